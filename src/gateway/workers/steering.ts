/**
 * How packets come to the worker that they belong to.
 *
 * Theory of operation
 * - Each worker reads one queue of every interface. The kernel remembers by which queue an interface was last given a
 *   packet of a flow, in either direction, and puts what the interface has of the flow into that queue; it forgets after
 *   three seconds without one. As only a flow's owner (owner.ts) writes its packets, they come to the owner once one has
 *   gone the other way through the same interface: the backend's with its first answer, the consumer's behind that.
 *   What nobody answers is never learnt. What comes to another worker is handed over through a ring in shared memory,
 *   one for each ordered pair of workers. A ring that is full loses packets, and counts them.
 * - Who hands over wakes the other only if that one sleeps. A worker says so before it goes back to its event loop, and
 *   then looks at its rings once more: of the two, one sees what the other did, since both store before they load.
 * - Fragments: only the first has ports, and they may come in any order, each to another worker. So all go to the
 *   datagram's keeper first, which a hash of addresses, protocol and identification tells. The keeper learns the owner
 *   from the first fragment and hands all on; those that come before the first wait with the keeper. They arrive at the
 *   owner in the keeper's order, the first one before all others, and are translated there as ever (fragments.ts).
 */
import { HeldFragments } from '../../flow/held-fragments.js';
import { SetCache, VALUE } from '../../flow/set-cache.js';
import { drop, type DropCounters } from '../../packet/verdict.js';
import * as ipv4 from '../../wire/ipv4.js';
import { HEADER as VNET_HEADER } from '../../wire/virtio-net.js';
import { FOR_READER, keeperOf, NOBODY, ownerOf } from './owner.js';
import { PacketRing, ringMemory } from './packet-ring.js';

const FRAGMENT_LIMIT = drop('fragment-limit');
const FRAGMENT_TIMEOUT = drop('fragment-timeout');

/** Memory of a ring; many workers have many rings. A super-packet has 64 KiB. */
const RING_OCTETS = 1 << 20;
const ROOMY_RING_OCTETS = 4 << 20;
const FEW_WORKERS = 4;
/** From one worker's sleep mark to the next, in 32-bit words: each has its own cache line. */
const MARK_STRIDE = 16;

/** What all workers of a gateway share. */
export interface SteeringMemory {
  /** From worker `i` to worker `j` at `i * workers + j`; also from each to itself. */
  readonly rings: readonly SharedArrayBuffer[];
  readonly marks: SharedArrayBuffer;
}

export function steeringMemory(workers: number): SteeringMemory {
  const octets = workers <= FEW_WORKERS ? ROOMY_RING_OCTETS : RING_OCTETS;
  return {
    rings: Array.from({ length: workers * workers }, () => ringMemory(octets)),
    marks: new SharedArrayBuffer(workers * MARK_STRIDE * 4),
  };
}

export interface SteeringOptions {
  /** This worker, 0 to workers - 1. */
  readonly index: number;
  readonly workers: number;
  readonly memory: SteeringMemory;
  /** How long fragments wait for the first of their datagram. */
  readonly fragmentMs: number;
  readonly drops: DropCounters;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  /** Wakes another worker, so that it looks at its rings. */
  readonly wake: (worker: number) => void;
}

export class Steering {
  /** Packets handed to other workers, and those that found their ring full. */
  handedOver = 0;
  lost = 0;
  /** Fragments that had to wait for the first of their datagram. */
  kept = 0;
  /** Of the packet that `next` told of: the number of its port. */
  port = 0;
  private isFragment = false;
  private readonly index: number;
  private readonly workers: number;
  private readonly outgoing: readonly PacketRing[];
  private readonly incoming: readonly PacketRing[];
  private readonly marks: Int32Array;
  private readonly options: SteeringOptions;
  /** By worker, 1: was handed something since it was last woken. */
  private readonly handed: Uint8Array;
  /** Index of the ring that `next` looks at first. */
  private turn = 0;
  private readonly datagrams: SetCache;
  private readonly held = new HeldFragments();

  constructor(options: SteeringOptions) {
    const { index, workers, memory } = options;
    this.index = index;
    this.workers = workers;
    this.options = options;
    this.datagrams = new SetCache(1024, options.fragmentMs);
    const all = Array.from({ length: workers }, (_, i) => i);
    this.outgoing = all.map((to) => new PacketRing(memory.rings[index * workers + to]!));
    this.incoming = all.map((from) => new PacketRing(memory.rings[from * workers + index]!));
    this.marks = new Int32Array(memory.marks);
    this.handed = new Uint8Array(workers);
  }

  /**
   * Sees to a packet that was read from a device.
   * @param port number of the port that it came from
   * @param side as of `ownerOf`, or FOR_READER
   * @param ip where it begins in `b`, its virtio-net header right before it
   * @returns whether it is to be translated here; else it is gone from here
   */
  stays(port: number, side: number, b: Buffer, ip: number, end: number): boolean {
    if (side === FOR_READER || end - ip < ipv4.MIN_HEADER || b[ip]! >>> 4 !== 4) return true;
    const { index, workers } = this;
    const fragment = (ipv4.flagsAndOffset(b, ip) & ipv4.FRAGMENT_MASK) !== 0;
    // The translator takes no fragments of other protocols.
    if (fragment && (ipv4.protocol(b, ip) === ipv4.PROTOCOL_TCP || ipv4.protocol(b, ip) === ipv4.PROTOCOL_UDP)) {
      const keeper = keeperOf(b, ip, workers);
      if (keeper === index) return this.keep(port, side, b, ip, end);
      this.hand(keeper, port, true, b, ip - VNET_HEADER, end);
      return false;
    }
    const owner = ownerOf(side, b, ip, end, workers);
    if (owner === index || owner === NOBODY) return true;
    this.hand(owner, port, false, b, ip - VNET_HEADER, end);
    return false;
  }

  /**
   * Looks for a packet that was handed to this worker.
   * @returns its octets without the virtio-net header, or -1 where there is none; `port` then tells where it came from
   */
  next(): number {
    for (let n = 0; n < this.workers; n++) {
      const ring = this.incoming[this.turn]!;
      const length = ring.nextLength();
      if (length >= 0) {
        this.port = ring.tag >> 1;
        this.isFragment = (ring.tag & 1) !== 0;
        return length - VNET_HEADER;
      }
      this.turn = this.turn + 1 === this.workers ? 0 : this.turn + 1;
    }
    return -1;
  }

  /** Takes the packet that `next` told of; its virtio-net header comes to lie right before `ip`. */
  take(b: Buffer, ip: number): void {
    this.incoming[this.turn]!.take(b, ip - VNET_HEADER);
  }

  /** As `stays`, of the packet just taken. */
  takenStays(port: number, side: number, b: Buffer, ip: number, end: number): boolean {
    return !this.isFragment || this.keep(port, side, b, ip, end);
  }

  /** Lets another worker's packets come first next time. */
  nextTurn(): void {
    this.turn = this.turn + 1 === this.workers ? 0 : this.turn + 1;
  }

  /** Wakes the workers that were handed something and sleep. */
  wakeOthers(): void {
    const { handed, marks, index } = this;
    for (let worker = 0; worker < handed.length; worker++) {
      if (handed[worker] === 0) continue;
      handed[worker] = 0;
      if (worker !== index && Atomics.exchange(marks, worker * MARK_STRIDE, 0) === 1) this.options.wake(worker);
    }
  }

  /** This worker looks at its rings by itself: nobody needs to wake it. */
  stayAwake(): void {
    Atomics.store(this.marks, this.index * MARK_STRIDE, 0);
  }

  /** Says that this worker sleeps until it is woken. @returns false when something is there for it to do first */
  sleep(): boolean {
    Atomics.store(this.marks, this.index * MARK_STRIDE, 1);
    for (const ring of this.incoming) {
      if (ring.isEmpty) continue;
      this.stayAwake();
      return false;
    }
    return true;
  }

  /** Fragments that wait for the first of their datagram. */
  get waiting(): number {
    return this.held.count;
  }

  /** Datagrams that were forgotten before their time. */
  get evicted(): number {
    return this.datagrams.evicted;
  }

  /** Drops fragments that have waited too long. */
  expire(): void {
    const { clock, fragmentMs, drops } = this.options;
    for (let n = this.held.expire(clock(), fragmentMs); n > 0; n--) drops.add(FRAGMENT_TIMEOUT);
  }

  /** As the keeper of its datagram sees to a fragment. @returns whether it is to be translated here */
  private keep(port: number, side: number, b: Buffer, ip: number, end: number): boolean {
    const { clock, drops } = this.options;
    const { datagrams, index } = this;
    const now = clock();
    const source = ipv4.source(b, ip);
    const destination = ipv4.destination(b, ip);
    const id = ipv4.identification(b, ip);
    const protocol = ipv4.protocol(b, ip);
    if (ipv4.fragmentOffset(b, ip) !== 0) {
      const entry = datagrams.find(port, source, destination, id, protocol, now);
      if (entry >= 0) return this.handOn(datagrams.cells[entry + VALUE]!, port, b, ip, end);
      const key = keyOf(port, source, destination, id, protocol);
      if (this.held.hold(key, b, ip - VNET_HEADER, end, 0, now)) this.kept++;
      else drops.add(FRAGMENT_LIMIT);
      return false;
    }
    const found = ownerOf(side, b, ip, end, this.workers);
    const owner = found === NOBODY ? index : found;
    datagrams.cells[datagrams.put(port, source, destination, id, protocol, now) + VALUE] = owner;
    const stays = this.handOn(owner, port, b, ip, end);
    if (this.held.count === 0) return stays;
    // Also where they stay: by its own ring this worker gets them behind the first one.
    for (const { octets } of this.held.take(keyOf(port, source, destination, id, protocol))) {
      this.hand(owner, port, false, octets, 0, octets.length);
    }
    return stays;
  }

  private handOn(owner: number, port: number, b: Buffer, ip: number, end: number): boolean {
    if (owner === this.index) return true;
    this.hand(owner, port, false, b, ip - VNET_HEADER, end);
    return false;
  }

  /** @param fragment for its keeper to see to */
  private hand(to: number, port: number, fragment: boolean, b: Buffer, from: number, end: number): void {
    if (this.outgoing[to]!.push((port << 1) | (fragment ? 1 : 0), b, from, end)) this.handedOver++;
    else this.lost++;
    this.handed[to] = 1;
  }
}

const keyOf = (port: number, source: number, destination: number, id: number, protocol: number): string =>
  `${port} ${source} ${destination} ${id} ${protocol}`;
