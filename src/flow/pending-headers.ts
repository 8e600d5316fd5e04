/**
 * Headers that the backend has not acknowledged yet, with what is needed to send one again by timer: the record of a
 * sender's retransmission queue whose only segment is the header (stream-insertion rule 3).
 */
import { TimerWheel } from './timer-wheel.js';

export const P_STRIDE = 12;
export const P_FLOW = 0;
/** Acknowledgment of the client's last segment. */
export const P_ACK = 1;
/** Its window field << 16 | TTL << 8 | type of service. */
export const P_WINDOW_TTL_TOS = 2;
/** Its timestamps option, where P_HAS_TIMESTAMPS is 1. */
export const P_TSVAL = 3;
export const P_TSECR = 4;
export const P_HAS_TIMESTAMPS = 5;
/** Timer-driven sendings so far. */
export const P_TRIES = 6;
/** Current retransmission time-out in milliseconds. */
export const P_RTO = 7;
const P_NEXT = 8;
const P_PREVIOUS = 9;
/** 1 while the timer is set. */
export const P_TIMER = 10;
/** When it is due, milliseconds modulo 2^32: the wheel fires early what lies past its horizon. */
export const P_DUE = 11;

/** Header transmissions by timer, at most. */
export const MAX_TRIES = 6;

export class PendingHeaders {
  readonly records: Int32Array;
  readonly wheel: TimerWheel;
  private freeList = -1;
  private used = 0;

  constructor(capacity: number) {
    this.records = new Int32Array(capacity * P_STRIDE);
    // 32 ms a tick, 16 s ahead; P_DUE tells what is due later.
    this.wheel = new TimerWheel(5, 512, this.records, P_STRIDE, P_NEXT, P_PREVIOUS);
  }

  /** A zeroed record. There are as many as flows, so one is always free. */
  allocate(flow: number): number {
    let p = this.freeList;
    if (p >= 0) this.freeList = this.records[p * P_STRIDE + P_NEXT]!;
    else p = this.used++;
    const at = p * P_STRIDE;
    this.records.fill(0, at, at + P_STRIDE);
    this.records[at + P_FLOW] = flow;
    return p;
  }

  /** Ends the sending by timer for good; what is remembered stays. */
  stop(p: number): void {
    const at = p * P_STRIDE;
    if (this.records[at + P_TIMER] === 1) this.wheel.cancel(p);
    this.records[at + P_TIMER] = 0;
    this.records[at + P_TRIES] = MAX_TRIES;
  }

  release(p: number): void {
    const at = p * P_STRIDE;
    if (this.records[at + P_TIMER] === 1) this.wheel.cancel(p);
    this.records[at + P_NEXT] = this.freeList;
    this.freeList = p;
  }
}
