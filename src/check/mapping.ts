/**
 * Who has which NAT address and port: one consumer's flow one provider's tuple at a time, and no tuple two live flows.
 * What ends a flow is judged with favour: a RST or a FIN each way, however it is timed, or a silence that some profile
 * takes for an end.
 */
import type { Problems } from './problems.js';

const UDP = 17;
const FIN = 1;
const RST = 4;
const ANSWERED_MICROS = 240e6;
const HALF_OPEN_MICROS = 4e6;
const UDP_MICROS = 30e6;
/** A port that a flow gave up is held for 120 s or more (RFC 6888 REQ-8), less what clocks differ by. */
const HOLD_MICROS = 100e6;

interface Carrier {
  /** The consumer's flow, in text, and the stream or datagram flow of the input. */
  readonly tuple: string;
  owner: object;
  readonly protocol: number;
  lastMicros: number;
  answered: boolean;
  /** FIN of the client 1, of the server 2. */
  fins: number;
  reset: boolean;
  /** Its consumer's flow has moved on to another tuple. */
  superseded: boolean;
}

export class Mapping {
  private readonly carriers = new Map<string, Carrier>();
  /** The tuple that a consumer's flow was on last. */
  private readonly holders = new Map<string, string>();
  private readonly problems: Problems;

  constructor(problems: Problems) {
    this.problems = problems;
  }

  /** A client packet of `owner`, whose flow is `tuple`, went out on `key`. @param where file and frame */
  claim(key: string, tuple: string, owner: object, protocol: number, micros: number, where: string): void {
    let carrier = this.carriers.get(key);
    if (carrier !== undefined && (carrier.tuple !== tuple || (carrier.owner !== owner && !isLive(carrier, micros)))) {
      if (isLive(carrier, micros) && !carrier.superseded) {
        this.problems.add('port-shared', `${where}: ${tuple} has a tuple that ${carrier.tuple} holds`);
      }
      carrier = undefined;
    }
    if (carrier === undefined) {
      carrier = {
        tuple,
        owner,
        protocol,
        lastMicros: micros,
        answered: false,
        fins: 0,
        reset: false,
        superseded: false,
      };
      this.carriers.set(key, carrier);
    }
    carrier.owner = owner;
    const flow = `${String(protocol)} ${tuple}`; // the same ports may carry TCP and UDP at a time, as for HTTP/3
    const holder = this.holders.get(flow);
    if (holder !== undefined && holder !== key) {
      const other = this.carriers.get(holder);
      if (carrier.superseded) {
        this.problems.add('mapping-split', `${where}: ${tuple} is back on a tuple that it had left`);
      } else if (other?.tuple === tuple && isLive(other, micros)) {
        // A client that forgot its connection gets another port for the next one; one connection never does.
        if (other.owner === owner) this.problems.add('mapping-split', `${where}: ${tuple} is on two tuples`);
        other.superseded = true;
      }
    }
    this.holders.set(flow, key);
  }

  /** Whether a flow has the tuple, or had it. */
  has(key: string): boolean {
    return this.carriers.has(key);
  }

  /** A packet of a flow was seen. @param key as the client's packets have it */
  touch(key: string, fromClient: boolean, flags: number, micros: number): void {
    const carrier = this.carriers.get(key);
    if (carrier === undefined) return;
    carrier.lastMicros = Math.max(carrier.lastMicros, micros);
    if (!fromClient) carrier.answered = true;
    if ((flags & RST) !== 0) carrier.reset = true;
    if ((flags & FIN) !== 0) carrier.fins |= fromClient ? 1 : 2;
  }
}

function isLive(c: Carrier, micros: number): boolean {
  if (c.reset || c.fins === 3) return false;
  if (c.superseded) return micros - c.lastMicros <= HOLD_MICROS;
  const limit = c.protocol === UDP ? UDP_MICROS : c.answered ? ANSWERED_MICROS : HALF_OPEN_MICROS;
  return micros - c.lastMicros <= limit;
}
