/**
 * The bandwidth of a link: a token bucket of octets for each direction.
 *
 * Theory of operation. Tokens are millionths of a bit, so that a rate in bits a second gives a whole number of them each
 * microsecond: all sums are of integers below 2^53, nothing is rounded but the time, down to the microsecond. A packet
 * passes if the bucket has tokens for all its octets, and takes them; one that does not pass takes none. The bucket holds
 * what comes in 10 ms, at least two packets of the greatest length. What the gateway itself adds, the PROXY header, always
 * goes, since the stream cannot do without, and takes tokens that later packets lack; no more than one bucket of them.
 */
const PER_OCTET = 8_000_000;
const BURST_US = 10_000;
const LEAST_BURST_OCTETS = 131_072;
/** Bits a second; the sums of greater rates would not be exact. */
export const MAX_RATE = 100_000_000_000;

/** Index of the time of a direction's last filling; its tokens are at its own number. */
const FILLED_AT = 2;

export class Policer {
  /** Bits a second. */
  readonly rate: number;
  private readonly burst: number;
  /** Microseconds after which any bucket is full. */
  private readonly fillUs: number;
  private readonly state = new Float64Array(4);

  /** @param rate bits a second, a whole number, 1 to MAX_RATE */
  constructor(rate: number) {
    this.rate = rate;
    this.burst = Math.max(rate * BURST_US, LEAST_BURST_OCTETS * PER_OCTET);
    this.fillUs = Math.ceil(this.burst / rate);
    this.state.fill(-Infinity, FILLED_AT);
  }

  /** Octets that pass at once after a rest. */
  get burstOctets(): number {
    return Math.floor(this.burst / PER_OCTET);
  }

  /**
   * Whether a packet passes, which takes its tokens.
   * @param side TO_PROVIDER or TO_CONSUMER
   * @param octets of the IPv4 packet, at most 65,535
   * @param clock milliseconds, never going back; an object, since a number with a fraction would be made anew for each call
   */
  passes(side: number, octets: number, clock: { readonly now: number }): boolean {
    const { state } = this;
    this.fill(side, clock);
    const cost = octets * PER_OCTET;
    if (cost > state[side]!) return false;
    state[side]! -= cost;
    return true;
  }

  /** Takes the tokens of octets that pass in any case; arguments as of `passes`. */
  take(side: number, octets: number, clock: { readonly now: number }): void {
    const { state } = this;
    this.fill(side, clock);
    state[side] = Math.max(-this.burst, state[side]! - octets * PER_OCTET);
  }

  private fill(side: number, clock: { readonly now: number }): void {
    const { state } = this;
    const nowUs = Math.floor(clock.now * 1000);
    const passed = nowUs - state[FILLED_AT + side]!;
    if (passed <= 0) return;
    // From nothing, or from as much below it as a bucket holds.
    state[side] = passed >= 2 * this.fillUs ? this.burst : Math.min(this.burst, state[side]! + passed * this.rate);
    state[FILLED_AT + side] = nowUs;
  }
}
