/**
 * The flow table: one record a flow in one Int32Array, found from either side by a hash index, expired by a timing
 * wheel.
 *
 * Theory of operation
 * - A record is 28 integers (112 octets) in an array that is allocated at its full size: the kernel gives zero pages as
 *   they are touched, so the table grows without copying and resident memory follows the live flows. With both indexes
 *   at 11 to 21 octets an entry each, a flow costs 134 to 154 octets.
 * - Free records form a list; a record's `GENERATION` counts its lives, so that others (held fragments) can name a flow
 *   without keeping it alive.
 * - The consumer index is symmetric: one probe finds a flow by the tuple in either direction and tells which.
 */
import { HashIndex } from './hash-index.js';
import { flowHash } from './hash.js';
import { TimerWheel } from './timer-wheel.js';

/** Integers a record. */
export const STRIDE = 28;

// Columns in the order of their use: first what a client's usual segment alone touches, then what both ways do, then what
// a backend's alone does. Either way that is 17 columns from a multiple of four on, and records begin at a multiple of 16
// octets: so it lies on two cache lines at most, which its first and last column bring into the cache (`prefetch`).

/** Highest sequence number that the client has sent, in its own numbering, and its highest acknowledgment. */
export const CLIENT_NEXT = 0;
export const CLIENT_ACK = 1;
/** Octets of IPv4 packets from the consumer: a double, by the view `counters` at (record * STRIDE + column) / 2. */
export const OCTETS_OUT = 2;
// The tuple as the consumer knows it: consumer and private endpoint. Addresses are int32.
export const CONSUMER = 4;
export const ENDPOINT_ADDRESS = 5;
/** Consumer's port << 16 | endpoint's port. */
export const CONSUMER_PORTS = 6;
/** Consumer network << 8 | protocol. */
export const CONSUMER_SCOPE = 7;
// The tuple as the provider knows it: NAT address and backend.
export const NAT_ADDRESS = 8;
export const BACKEND = 9;
/** NAT port << 16 | backend's port. */
export const PROVIDER_PORTS = 10;
/** State (low 5 bits), the bits below, and the header's length (high 16 bits). */
export const STATUS = 11;
/** Checksum deltas from the consumer's to the provider's form: addresses << 16 | ports. */
export const DELTAS = 12;
/** S: the client's initial sequence number + 1. */
export const START = 13;
/** Of UDP, which has no S: `Tables.healthGeneration` when the health of the flow's backend was last looked at. */
export const HEALTH = 13;
/** Last window fields: client's << 16 | server's. */
export const WINDOWS = 14;
/** Milliseconds, modulo 2^32, of the last packet. */
export const SEEN = 15;
/** Index of the private endpoint in the tables. */
export const ENDPOINT = 16;
/** As CLIENT_NEXT of the server: its sequence number in its own numbering, its acknowledgment in the client's. */
export const SERVER_ACK = 17;
/** Octets of IPv4 packets to the consumer: a double, as OCTETS_OUT. */
export const OCTETS_BACK = 18;
export const SERVER_NEXT = 20;
/** Index of the port pool that the NAT port goes back to. */
export const POOL = 21;
/** Handshake's round trip in ms (at most 65,535) << 16 | SCALE_OFFERED | the server's window scale shift, 0 if none. */
export const SCALES = 22;
/** In SCALES: the client's SYN offered window scaling. */
export const SCALE_OFFERED = 0x100;
/** Index of the pending header (header not acknowledged yet), or -1. */
export const PENDING = 23;
/** Idle limit in milliseconds while established, or for UDP. */
export const IDLE_MS = 24;
/** Lives of this record so far. */
export const GENERATION = 25;
export const WHEEL_NEXT = 26;
export const WHEEL_PREVIOUS = 27;

/** States, the low 5 bits of STATUS. 0 is a free record. */
export const STATE_MASK = 0x1f;
export const FREE = 0;
/** SYN seen from the consumer. */
export const SYN_SENT = 1;
/** SYN-ACK seen from the backend. */
export const SYN_RECEIVED = 2;
export const ESTABLISHED = 3;
/** FIN both ways, or a valid RST. */
export const CLOSING = 4;
export const UDP = 5;
/** TCP whose start was not seen. */
export const MIDSTREAM = 6;

/** The flow is a Direct Connect link's, whose bandwidth may be limited. */
export const POLICED = 0x20;
// The bits of STATUS above the state. Its high 16 bits hold L, the length of the inserted header; 0: none.
/** The SYN took the header and data along: the SYN-ACK may acknowledge more than S. */
export const SYN_CARRIED = 0x40;
/** An in-window SYN was passed unchanged: a SYN-ACK that acknowledges something else is of a new connection. */
export const SYN_PASSED = 0x80;
/** The header has been sent at least once: from here on the backend's numbering differs from the client's. */
export const HEADER_SENT = 0x100;
/** The backend has acknowledged the whole header. */
export const HEADER_ACKED = 0x200;
/** The stream is so far past S that comparing with S would soon go wrong: everything is behind it. */
export const PAST_START = 0x400;
export const CLIENT_FIN = 0x800;
export const SERVER_FIN = 0x1000;
/** Client data (or FIN) at S has been passed on: the next such segment is a retransmission. */
export const DATA_SENT = 0x2000;
/** Only in replay: the recorded server acknowledged S, from which an acknowledged header was inferred. */
export const HEADER_ASSUMED = 0x4000;
/** The rule asks for RST both ways when the flow ends for idleness. */
export const RESET_ON_IDLE = 0x8000;
export const HEADER_SHIFT = 16;

export class FlowTable {
  readonly capacity: number;
  readonly records: Int32Array;
  readonly counters: Float64Array;
  private readonly byConsumer: HashIndex;
  private readonly byProvider: HashIndex;
  readonly wheel: TimerWheel;
  private readonly seed: number;
  private freeList = -1;
  private used = 0;
  /** Live flows. */
  count = 0;
  /** After `find`: the packet goes the way the consumer sends. */
  forward = true;
  /** What prefetching has read of the indexes, kept so that it is read. */
  slotsRead = 0;

  /** @param capacity most flows at a time */
  constructor(capacity: number, seed: number) {
    this.capacity = capacity;
    // Shared memory is not counted as garbage-to-be: an ordinary buffer of this size makes V8 collect at once.
    const memory = new SharedArrayBuffer(capacity * STRIDE * 4);
    this.records = new Int32Array(memory);
    this.counters = new Float64Array(memory);
    this.byConsumer = new HashIndex(1024);
    this.byProvider = new HashIndex(1024);
    this.wheel = new TimerWheel(8, 2048, this.records, STRIDE, WHEEL_NEXT, WHEEL_PREVIOUS);
    this.seed = seed;
  }

  /** Octets of the records ever used and of both indexes. */
  get octets(): number {
    return this.used * STRIDE * 4 + this.byConsumer.octets + this.byProvider.octets;
  }

  /**
   * Finds the flow of a packet seen in a consumer network, sent by either end; `forward` tells which.
   * @param ports source << 16 | destination
   * @returns its index or -1
   */
  find(source: number, destination: number, ports: number, scope: number): number {
    const hash = flowHash(source, destination, ports, scope, this.seed);
    const r = this.records;
    const reversed = (ports << 16) | (ports >>> 16);
    for (let f = this.byConsumer.first(hash); f >= 0; f = this.byConsumer.next(hash)) {
      const at = f * STRIDE;
      if (r[at + CONSUMER_SCOPE] !== scope) continue;
      if (r[at + CONSUMER] === source && r[at + ENDPOINT_ADDRESS] === destination && r[at + CONSUMER_PORTS] === ports) {
        this.forward = true;
        return f;
      }
      if (
        r[at + CONSUMER] === destination &&
        r[at + ENDPOINT_ADDRESS] === source &&
        r[at + CONSUMER_PORTS] === reversed
      ) {
        this.forward = false;
        return f;
      }
    }
    return -1;
  }

  /**
   * Finds the flow of a packet from a backend to a NAT address.
   * @param ports NAT port << 16 | backend's port
   * @returns its index or -1
   */
  findProvider(nat: number, backend: number, ports: number, protocol: number): number {
    const hash = flowHash(nat, backend, ports, protocol, this.seed);
    const r = this.records;
    for (let f = this.byProvider.first(hash); f >= 0; f = this.byProvider.next(hash)) {
      const at = f * STRIDE;
      if (
        r[at + PROVIDER_PORTS] === ports &&
        r[at + NAT_ADDRESS] === nat &&
        r[at + BACKEND] === backend &&
        (r[at + CONSUMER_SCOPE]! & 0xff) === protocol
      ) {
        return f;
      }
    }
    return -1;
  }

  /** Hash of a packet's tuple, of either index: by consumer with the whole scope, by provider with the protocol alone. */
  hash(source: number, destination: number, ports: number, scope: number): number {
    return flowHash(source, destination, ports, scope, this.seed);
  }

  /**
   * Reads the slots, then of the records the cache lines, that look-ups by these hashes and what follows will need.
   * @param back the packets are backends': the hashes are of the provider's index
   * @returns a number that depends on all that was read of records, so that no compiler leaves it out
   */
  prefetch(hashes: Int32Array, count: number, back: boolean): number {
    const index = back ? this.byProvider : this.byConsumer;
    const first = back ? CONSUMER : CLIENT_NEXT;
    const last = back ? SERVER_NEXT : ENDPOINT;
    const r = this.records;
    let seen = 0;
    for (let i = 0; i < count; i++) seen ^= index.peek(hashes[i]!);
    this.slotsRead = seen;
    seen = 0;
    for (let i = 0; i < count; i++) {
      const f = index.first(hashes[i]!);
      if (f >= 0) seen ^= r[f * STRIDE + first]! ^ r[f * STRIDE + last]!;
    }
    return seen;
  }

  /** A record with both tuples still to be filled in, or -1 when the table is full; then `link` it. */
  allocate(): number {
    const r = this.records;
    let f = this.freeList;
    let generation = 0;
    if (f >= 0) {
      const at = f * STRIDE;
      this.freeList = r[at + WHEEL_NEXT]!;
      generation = r[at + GENERATION]!;
      r.fill(0, at, at + STRIDE);
    } else {
      if (this.used === this.capacity) return -1;
      f = this.used++; // all zero yet
    }
    const at = f * STRIDE;
    r[at + GENERATION] = generation + 1;
    r[at + PENDING] = -1;
    this.count++;
    return f;
  }

  /** Goes on with what growth has left to do. */
  settle(): void {
    this.byConsumer.settle();
    this.byProvider.settle();
  }

  /** Enters a filled record into both indexes. */
  link(f: number): void {
    this.byConsumer.insert(this.consumerHash(f), f);
    this.byProvider.insert(this.providerHash(f), f);
  }

  /** Takes a linked record, whose timer is not set, out of the table. */
  release(f: number): void {
    this.byConsumer.remove(this.consumerHash(f), f);
    this.byProvider.remove(this.providerHash(f), f);
    const at = f * STRIDE;
    this.records[at + STATUS] = FREE;
    this.records[at + WHEEL_NEXT] = this.freeList;
    this.freeList = f;
    this.count--;
  }

  private consumerHash(f: number): number {
    const r = this.records;
    const at = f * STRIDE;
    const scope = r[at + CONSUMER_SCOPE]!;
    return flowHash(r[at + CONSUMER]!, r[at + ENDPOINT_ADDRESS]!, r[at + CONSUMER_PORTS]!, scope, this.seed);
  }

  private providerHash(f: number): number {
    const r = this.records;
    const at = f * STRIDE;
    const protocol = r[at + CONSUMER_SCOPE]! & 0xff;
    return flowHash(r[at + NAT_ADDRESS]!, r[at + BACKEND]!, r[at + PROVIDER_PORTS]!, protocol, this.seed);
  }

  /** Every live flow's index; for status and tests. */
  *[Symbol.iterator](): Generator<number> {
    for (let f = 0; f < this.used; f++) {
      if (this.records[f * STRIDE + STATUS] !== FREE) yield f;
    }
  }
}
