/**
 * The burst loop: packets from the devices through one translator to the devices.
 *
 * Theory of operation
 * - All devices share one slab: slots that a burst is read into, and the translator's scratch behind them. A burst is
 *   read, translated and written before the next one is read, so the slots are free again each time.
 * - A device says when packets wait (level-triggered). It is then read until a burst is not full, at most `MAX_BURSTS`
 *   times, so that one busy device does not starve the others; what still waits is told again in the next turn of the
 *   event loop. Nothing runs while nothing waits, but for a wait of microseconds where answers come that soon
 *   (patience.ts).
 * - Large packets come in smaller bursts, so that what was read is still in the processor's cache when it is written.
 * - What the translator gives is grouped by device, in its order, and written with one call a device. A device that is
 *   full is asked again a few times, since the kernel may be emptying it on another processor; what it does not take
 *   then is a counted loss, as in any router.
 * - Time moves at the start of each burst, and by one timer that runs only while something can time out: quickly while
 *   headers wait for their acknowledgment, slowly while there are only flows, and once nothing has come between two of its
 *   calls, not before the next flow can end.
 * - A packet of the provider's side goes to the device whose network has its NAT address; NAT addresses are unique.
 * - What is protected is for the pump that shares the flows with others: workers/sharing-pump.ts.
 */
import { availableParallelism } from 'node:os';
import { GONE, HEADROOM, MAX_BURST, type PacketDevice, SUPER_PACKET } from '../device/device.js';
import { TO_CONSUMER } from '../packet/outbox.js';
import { drop } from '../packet/verdict.js';
import type { TranslatorOptions } from '../translate/options.js';
import type { Topology } from '../translate/topology.js';
import { Translator } from '../translate/translator.js';
import { Latency } from './latency.js';
import { Patience } from './patience.js';
import { PROBE_ADDRESS } from './probes/tcp-stack.js';
import * as ipv4 from '../wire/ipv4.js';
import { clear, HEADER as VNET_HEADER, needsChecksum } from '../wire/virtio-net.js';

/** Takes packets that are for the gateway itself. */
export interface OwnPackets {
  /**
   * @param end end of the octets at hand
   * @param partial its L4 checksum field holds the pseudo-header sum only
   * @returns false if it is none that this could take
   */
  receive(b: Buffer, ip: number, end: number, partial: boolean): boolean;
}

/** A device in the pump. */
export interface Port {
  readonly device: PacketDevice;
  /** Index of the consumer network whose packets come and go here, or -1. */
  network: number;
  /** The NAT addresses (int32) of the services in this port's network; empty: no provider's network. */
  natAddresses: Int32Array;
  /** Takes what backends send to the probes' address. */
  probes: OwnPackets | null;
  /** Packets that the device did not take, or that came for a device that is gone. */
  lost: number;
  /** The device was removed under us. */
  gone: boolean;
}

/** Looks on at all packets; it must not change them. */
export interface PacketTap {
  /** A burst came from a device and is about to be translated, in place. */
  received(port: Port, slab: Buffer, offsets: Int32Array, lengths: Int32Array, count: number): void;
  /** It has been translated. */
  translated(): void;
  /** Packets are given to a device. */
  sent(port: Port, slab: Buffer, offsets: Int32Array, lengths: Int32Array, count: number): void;
}

export interface Lane extends Port {
  /** Where pumps share the flows: the same number with each of them. */
  readonly number: number;
  readonly offsets: Int32Array;
  readonly lengths: Int32Array;
  count: number;
  /** Packets that the next burst may have. */
  most: number;
}

const SLOT = HEADROOM + SUPER_PACKET + 1;
const SCRATCH_OCTETS = 1 << 20;
/** Room for a packet of the gateway's own, behind the scratch. */
const OWN_OCTETS = 1500;
/** Octets above which a packet is one of a transfer: 16 super-packets are as much as a processor's own cache holds. */
export const LARGE = 4096;
const LARGE_BURST = 16;
/** The longest wait of so many pumps for the next packet, where there is another processor for who sends it. */
export const longestWaitMs = (pumps: number): number => (availableParallelism() > pumps ? 0.06 : 0);
/** A wait in which packets come gives the event loop its turn after this, which does not sleep then, and goes on; */
const TURN_MS = 2;
/** and whatever the clock says after so many rounds. */
const MAX_ROUNDS = 4096;
/** Bursts read from a device in one turn of the event loop. */
const MAX_BURSTS = 16;
/** Calls without progress after which a full device loses packets. */
const MAX_WRITE_TRIES = 8;
/** The header timer's wheel has ticks of 32 ms, the flows' of 256 ms. */
const FINE_MS = 32;
const COARSE_MS = 256;

const NOT_IPV4 = drop('not-ipv4');
const NO_FLOW = drop('no-flow');

export class Pump {
  readonly translator: Translator;
  protected readonly slab: Buffer;
  protected readonly slots = new Int32Array(MAX_BURST);
  protected readonly lengths = new Int32Array(MAX_BURST);
  private readonly lanes: Lane[] = [];
  /** By consumer network. */
  private byNetwork: (Lane | undefined)[] = [];
  /** By NAT address. */
  private readonly byNatAddress = new Map<number, Lane>();
  protected readonly clock: () => number;
  protected readonly patience: Patience;
  private readonly onGone: (port: Port) => void;
  /** When the clock was last read around the devices: what is read next has been in the gateway since then. */
  private lookedAt = 0;
  private timer: NodeJS.Timeout | null = null;
  private periodMs = 0;
  /** A burst has come since the timer's last call. */
  private moved = false;
  private goingOn: NodeJS.Immediate | null = null;
  protected closed = false;
  readonly latency = new Latency();
  /** Packets towards a network that has no device (any more). */
  noDevice = 0;
  /** Packets that came from this pump's devices and are other pumps', and those that these had no room for. */
  get handedOver(): { readonly packets: number; readonly lost: number } {
    return { packets: 0, lost: 0 };
  }
  /** Null while nobody looks on. */
  tap: PacketTap | null = null;
  /** Told when time went on while there are flows, and once more when there are none. */
  onTick: () => void = () => undefined;

  /**
   * @param onGone told once of each device that was removed under us
   * @param clock monotonic milliseconds
   * @param patience how long to stay for the next packet
   */
  constructor(
    topology: Topology,
    options: Partial<TranslatorOptions>,
    onGone: (port: Port) => void,
    clock: () => number = () => performance.now(),
    patience = new Patience(longestWaitMs(1)),
  ) {
    const scratch = MAX_BURST * SLOT;
    // Pages of slots that no super-packet ever fills are never touched, and take no memory.
    this.slab = Buffer.allocUnsafeSlow(scratch + SCRATCH_OCTETS + HEADROOM + OWN_OCTETS);
    for (let i = 0; i < MAX_BURST; i++) this.slots[i] = i * SLOT + HEADROOM;
    this.translator = new Translator(topology, this.slab, scratch, scratch + SCRATCH_OCTETS, options);
    this.clock = clock;
    this.patience = patience;
    this.onGone = onGone;
    this.translator.start(clock());
  }

  /** Monotonic milliseconds, as the translator's clock. */
  get now(): number {
    return this.clock();
  }

  /**
   * For the control side, which may change what the timer rests on: the translator, told what time it is, since its clock
   * rests too; the timer looks at it soon.
   */
  attend(): Translator {
    const { core } = this.translator;
    core.now = Math.max(core.now, this.clock());
    if (this.periodMs > COARSE_MS) this.set(COARSE_MS);
    return this.translator;
  }

  get ports(): readonly Port[] {
    return this.lanes;
  }

  /**
   * Takes a device in and starts it.
   * @param network index of the consumer network, or -1
   * @param natAddresses int32; empty if the network provides no service
   */
  add(device: PacketDevice, network: number, natAddresses: Int32Array, number = 0): Lane {
    const { capacity } = this.translator.outbox;
    const lane: Lane = {
      number,
      device,
      network,
      natAddresses,
      probes: null,
      lost: 0,
      gone: false,
      offsets: new Int32Array(capacity),
      lengths: new Int32Array(capacity),
      count: 0,
      most: MAX_BURST,
    };
    this.lanes.push(lane);
    this.index();
    device.onReadable(() => {
      this.serve(lane);
    });
    device.start();
    return lane;
  }

  /** What ports are for has changed. */
  assign(roles: readonly (readonly [Port, network: number, natAddresses: Int32Array])[]): void {
    for (const [port, network, natAddresses] of roles) {
      port.network = network;
      port.natAddresses = natAddresses;
    }
    this.index();
  }

  /** Takes a device out; closing it is its owner's. */
  remove(port: Port): void {
    const at = this.lanes.findIndex((lane) => lane === port);
    if (at < 0) return;
    port.device.stop();
    this.lanes.splice(at, 1);
    this.index();
  }

  /** Stops all devices and the timer. */
  close(): void {
    this.closed = true;
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    if (this.goingOn !== null) clearImmediate(this.goingOn);
    this.goingOn = null;
    for (const lane of this.lanes) lane.device.stop();
  }

  private index(): void {
    this.byNetwork = [];
    for (const lane of this.lanes) if (lane.network >= 0) this.byNetwork[lane.network] = lane;
    this.byNatAddress.clear();
    for (const lane of this.lanes) for (const address of lane.natAddresses) this.byNatAddress.set(address, lane);
  }

  /** Packets wait at a device. */
  protected serve(lane: Lane): void {
    this.begin();
    let n = 0;
    for (let burst = 0; burst < MAX_BURSTS && !this.closed; burst++) {
      const { most } = lane;
      const got = this.take(lane);
      if (got > 0) n = got;
      if (got < most) break;
    }
    this.finish(this.isTalk(n));
  }

  protected begin(): void {
    this.lookedAt = this.clock();
    this.patience.woke(this.lookedAt);
  }

  /**
   * Stays while it pays.
   * @param talk see `isTalk`
   */
  protected finish(talk: boolean): void {
    const { patience } = this;
    if (patience.waitMs > 0 && talk && !this.stay() && !this.closed) {
      this.goingOn ??= setImmediate(() => {
        this.goingOn = null;
        if (!this.closed) this.goOn();
      });
    }
    patience.left(this.lookedAt);
    this.arm();
  }

  /** The event loop has had its turn, and a conversation goes on. */
  protected goOn(): void {
    this.lookedAt = this.clock();
    this.finish(true);
  }

  /** Reads a burst and moves it. @returns its packets; 0: nothing waited, or the device is gone */
  private take(lane: Lane): number {
    const n = lane.device.read(this.slab, this.slots, SUPER_PACKET, this.lengths, lane.most);
    if (n === GONE) this.lose(lane);
    if (n <= 0) return 0;
    lane.most = this.lengths[n - 1]! > LARGE ? LARGE_BURST : MAX_BURST;
    this.account(this.sort(lane, n));
    return n;
  }

  /** So many packets have been moved since the clock was last read. */
  protected account(packets: number): void {
    const done = this.clock();
    this.latency.note(done - this.lookedAt, packets);
    this.lookedAt = done;
  }

  /** A burst has been read. @returns how many of it have been moved */
  protected sort(lane: Lane, n: number): number {
    this.burst(lane, this.slots, this.lengths, n);
    return n;
  }

  /** Moves what waits elsewhere than at a device. @returns packets */
  protected takeElse(): number {
    return 0;
  }

  /** Whether the last burst is of one conversation, not of a transfer or of many: the next packet is worth waiting for. */
  private isTalk(n: number): boolean {
    return n === 1 && this.lengths[0]! <= LARGE;
  }

  /**
   * Asks all devices in turn until nothing has come for as long as it pays, or there is more to do.
   * @returns false: until the event loop has to have its turn
   */
  private stay(): boolean {
    const { lanes, patience } = this;
    const began = this.lookedAt;
    let since = began;
    for (let round = 0; round < MAX_ROUNDS && !this.closed; round++) {
      for (let k = 0; k < lanes.length; k++) {
        const n = this.take(lanes[k]!);
        if (n === 0) continue;
        if (!this.isTalk(n)) return true;
        since = this.lookedAt;
        patience.met(since);
      }
      if (this.takeElse() > 0) {
        since = this.lookedAt;
        patience.met(since);
      }
      const now = this.clock();
      this.lookedAt = now;
      if (!patience.goesOn(since, now)) return true;
      if (now - began > TURN_MS) return false;
    }
    return false;
  }

  /** Translates the packets at `offsets`, and sends what comes of them. */
  protected burst(lane: Lane, offsets: Int32Array, lengths: Int32Array, n: number): void {
    const { translator: t, slab, tap } = this;
    this.moved = true;
    if (tap !== null) tap.received(lane, slab, offsets, lengths, n);
    t.begin();
    t.advance(this.clock());
    if (lane.network >= 0) t.prefetch(offsets, n, lane.network);
    if (lane.natAddresses.length > 0) t.prefetch(offsets, n, -1);
    for (let i = 0; i < n; i++) {
      const ip = offsets[i]!;
      // The kernel's own IPv6 chatter, where it has some.
      if (slab[ip]! >>> 4 !== 4) {
        t.drops.add(NOT_IPV4);
        continue;
      }
      const end = ip + lengths[i]!;
      const partial = needsChecksum(slab, ip - VNET_HEADER);
      if (this.isReturn(lane, ip)) t.fromProvider(ip, end, 0, partial);
      else if (this.isForProbes(lane, ip)) {
        if (!lane.probes!.receive(slab, ip, end, partial)) t.drops.add(NO_FLOW);
      } else if (lane.network >= 0) t.fromConsumer(ip, end, lane.network, 0, partial);
      else t.drops.add(NO_FLOW);
    }
    if (tap !== null) tap.translated();
    this.flush();
  }

  /** Whether a packet is for a NAT address of the network that it came from. */
  protected isReturn(lane: Lane, ip: number): boolean {
    const { natAddresses } = lane;
    if (natAddresses.length === 0) return false;
    const destination = ipv4.destination(this.slab, ip);
    for (let i = 0; i < natAddresses.length; i++) if (natAddresses[i] === destination) return true;
    return false;
  }

  /** Whether a packet of a provider's network is for the gateway's own probes. */
  protected isForProbes(lane: Lane, ip: number): boolean {
    if (lane.natAddresses.length === 0 || lane.probes === null) return false;
    return ipv4.destination(this.slab, ip) === PROBE_ADDRESS;
  }

  /** Sends a packet of the gateway's own. @param packet at most OWN_OCTETS long */
  send(port: Port, packet: Buffer): void {
    const lane = this.lanes.find((each) => each === port);
    if (lane === undefined || this.closed) return;
    const at = this.slab.length - OWN_OCTETS;
    clear(this.slab, at - VNET_HEADER);
    packet.copy(this.slab, at);
    // Between bursts and inside of one alike: lanes hold packets only while the outbox is being written.
    lane.offsets[0] = at;
    lane.lengths[0] = packet.length;
    lane.count = 1;
    this.write(lane);
  }

  /** Writes what the outbox holds. */
  private flush(): void {
    const { translator: t, slab, lanes } = this;
    const { outbox } = t;
    for (let i = 0; i < outbox.count; i++) {
      const offset = outbox.offset[i]!;
      const lane =
        outbox.side[i] === TO_CONSUMER
          ? this.byNetwork[outbox.network[i]!]
          : this.byNatAddress.get(ipv4.source(slab, offset));
      if (lane === undefined) {
        this.noDevice++;
        continue;
      }
      lane.offsets[lane.count] = offset;
      lane.lengths[lane.count] = outbox.length[i]!;
      lane.count++;
    }
    for (let k = 0; k < lanes.length; k++) if (lanes[k]!.count > 0) this.write(lanes[k]!);
    outbox.count = 0;
  }

  private write(lane: Lane): void {
    const { device, count } = lane;
    lane.count = 0;
    if (this.tap !== null) this.tap.sent(lane, this.slab, lane.offsets, lane.lengths, count);
    let from = 0;
    let tries = 0;
    while (from < count && !lane.gone) {
      const n = device.write(this.slab, lane.offsets, lane.lengths, from, count);
      if (n === GONE) {
        this.lose(lane);
        break;
      }
      from += n;
      tries = n > 0 ? 0 : tries + 1;
      if (tries === MAX_WRITE_TRIES) break;
    }
    lane.lost += count - from;
  }

  private lose(lane: Lane): void {
    if (lane.gone) return;
    lane.gone = true;
    lane.device.stop();
    this.onGone(lane);
  }

  /** Lets time go on without packets. */
  protected tick(): void {
    const { translator: t } = this;
    t.begin();
    const done = t.advance(this.clock());
    this.flush();
    this.onTick();
    // A million flows that end together end in many short turns, with packets in between.
    if (done) this.slowDown();
    else
      setImmediate(() => {
        if (!this.closed) this.tick();
      });
  }

  /** What the timer is needed for: 0 for nothing. */
  private wantedMs(): number {
    const { translator: t } = this;
    if (t.core.pending.wheel.count > 0) return FINE_MS;
    return t.flows.count > 0 || this.fragmentsWaiting > 0 ? COARSE_MS : 0;
  }

  /** Fragments that wait for the first one of their datagram. */
  get fragmentsWaiting(): number {
    return this.translator.fragments.waiting;
  }

  /** Those that have waited. */
  get fragmentsHeld(): number {
    return this.translator.counters.fragmentsHeld;
  }

  /** Datagrams that were forgotten before their time. */
  get fragmentsEvicted(): number {
    return this.translator.fragments.evicted;
  }

  /** Makes the timer as quick as it has to be; it is slowed down by its own calls only, not burst by burst. */
  private arm(): void {
    const wanted = this.wantedMs();
    // A timer that rests has to see that the last flow has ended.
    const least = wanted === 0 && this.timer !== null ? COARSE_MS : wanted;
    if (least === 0 || this.closed || (this.timer !== null && this.periodMs <= least)) return;
    this.set(least);
  }

  private slowDown(): void {
    let wanted = this.wantedMs();
    const { flows } = this.translator;
    if (wanted === COARSE_MS && !this.moved && this.fragmentsWaiting === 0) {
      wanted = Math.max(COARSE_MS, Math.ceil(flows.wheel.soonestMs - this.clock()));
    }
    this.moved = false;
    if (wanted !== this.periodMs) this.set(wanted);
  }

  private set(periodMs: number): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.periodMs = periodMs;
    this.timer = periodMs === 0 ? null : setInterval(() => this.tick(), periodMs);
  }
}
