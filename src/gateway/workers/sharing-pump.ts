/**
 * The pump of a worker: between reading and translating, packets of other workers' flows go to those, and what they hand
 * over is moved as if it came from one more device. See steering.ts.
 */
import { MAX_BURST, type PacketDevice } from '../../device/device.js';
import type { TranslatorOptions } from '../../translate/options.js';
import type { Topology } from '../../translate/topology.js';
import { Patience } from '../patience.js';
import { LARGE, type Lane, longestWaitMs, type Port, Pump } from '../pump.js';
import { FOR_READER, FROM_PROVIDER } from './owner.js';
import { Steering, type SteeringOptions } from './steering.js';

/** Bursts of others' packets before the devices get their turn. */
const MAX_BURSTS = 16;

export class SharingPump extends Pump {
  readonly steering: Steering;
  /** The packets of a burst that stay here. */
  private readonly own = new Int32Array(MAX_BURST);
  private readonly ownLengths = new Int32Array(MAX_BURST);
  /** By number. */
  private readonly numbered: (Lane | undefined)[] = [];
  private resting = false;

  /** Arguments as of Pump; the share in `options` is that of `steering`. */
  constructor(
    topology: Topology,
    options: Partial<TranslatorOptions>,
    onGone: (port: Port) => void,
    steering: Omit<SteeringOptions, 'drops' | 'fragmentMs' | 'clock'>,
    clock?: () => number,
  ) {
    super(topology, options, onGone, clock, new Patience(longestWaitMs(steering.workers)));
    this.steering = new Steering({
      ...steering,
      drops: this.translator.drops,
      fragmentMs: this.translator.core.options.timeouts.fragmentMs,
      clock: this.clock,
    });
    this.rest();
  }

  override add(device: PacketDevice, network: number, natAddresses: Int32Array, number = 0): Lane {
    return (this.numbered[number] = super.add(device, network, natAddresses, number));
  }

  override remove(port: Port): void {
    const at = this.numbered.findIndex((lane) => lane === port);
    if (at >= 0) this.numbered[at] = undefined;
    super.remove(port);
  }

  /** Others have handed something over. */
  wake(): void {
    if (this.closed) return;
    this.steering.stayAwake();
    this.begin();
    const n = this.takeElse();
    this.finish(n === 1 && this.ownLengths[0]! <= LARGE);
    this.rest();
  }

  override get handedOver(): { readonly packets: number; readonly lost: number } {
    return { packets: this.steering.handedOver, lost: this.steering.lost };
  }

  override get fragmentsWaiting(): number {
    return super.fragmentsWaiting + this.steering.waiting;
  }

  override get fragmentsHeld(): number {
    return super.fragmentsHeld + this.steering.kept;
  }

  override get fragmentsEvicted(): number {
    return super.fragmentsEvicted + this.steering.evicted;
  }

  protected override serve(lane: Lane): void {
    this.steering.stayAwake();
    super.serve(lane);
    this.rest();
  }

  protected override goOn(): void {
    this.steering.stayAwake();
    super.goOn();
    this.rest();
  }

  protected override finish(talk: boolean): void {
    const n = this.takeElse();
    super.finish(talk && n <= 1);
  }

  protected override tick(): void {
    this.steering.expire();
    super.tick();
  }

  /** Hands over what is others' of a burst, and moves the rest. */
  protected override sort(lane: Lane, n: number): number {
    const { steering, slab, slots, lengths, own, ownLengths } = this;
    let count = 0;
    for (let i = 0; i < n; i++) {
      const ip = slots[i]!;
      const length = lengths[i]!;
      if (!steering.stays(lane.number, this.sideOf(lane, ip), slab, ip, ip + length)) continue;
      own[count] = ip;
      ownLengths[count++] = length;
    }
    steering.wakeOthers();
    if (count > 0) this.burst(lane, own, ownLengths, count);
    return count;
  }

  /** Moves what others have handed over. */
  protected override takeElse(): number {
    let n = 0;
    for (let burst = 0; burst < MAX_BURSTS && !this.closed; burst++) {
      const got = this.takeBurst();
      if (got === 0) break;
      n += got;
    }
    return n;
  }

  /** A burst is of one port. @returns packets taken, those included that go on to others */
  private takeBurst(): number {
    const { steering, slab, slots, own, ownLengths } = this;
    let lane: Lane | undefined;
    let count = 0;
    let n = 0;
    for (let length = steering.next(); length >= 0 && n < MAX_BURST; length = steering.next()) {
      const from = this.numbered[steering.port];
      if (count > 0 && from !== lane) break;
      lane = from;
      const ip = slots[n++]!;
      steering.take(slab, ip);
      if (lane === undefined) {
        this.noDevice++;
        continue;
      }
      if (!steering.takenStays(lane.number, this.sideOf(lane, ip), slab, ip, ip + length)) continue;
      own[count] = ip;
      ownLengths[count++] = length;
    }
    steering.nextTurn();
    steering.wakeOthers();
    if (lane !== undefined && count > 0) this.burst(lane, own, ownLengths, count);
    this.account(count);
    return n;
  }

  private sideOf(lane: Lane, ip: number): number {
    if (this.isReturn(lane, ip)) return FROM_PROVIDER;
    return lane.network < 0 || this.isForProbes(lane, ip) ? FOR_READER : lane.network;
  }

  /** Goes to sleep, but for what has been handed over meanwhile. */
  private rest(): void {
    if (this.resting || this.closed || this.steering.sleep()) return;
    this.resting = true;
    setImmediate(() => {
      this.resting = false;
      this.wake();
    });
  }
}
