/**
 * A timing wheel: timers on small numbers (flow indexes), O(1) to set, cancel and fire.
 *
 * Theory of operation
 * - Time is cut into ticks of `tickMs`; slot `tick mod slots` lists the ids that are due in that tick, linked through
 *   two columns of the caller's record table, so the wheel itself is one array of list heads.
 * - Activity does not touch the wheel. A flow that fires early is asked by its owner for its true deadline and set
 *   again: one look a timeout, not one a packet. A deadline past the horizon is set at the horizon.
 * - `nextDue` gives one id a call and goes on where it stopped, so a caller with a budget turns a million flows that
 *   expire together into many short calls and no long pause.
 */
export class TimerWheel {
  private readonly heads: Int32Array;
  private readonly slots: number;
  private readonly tickMs: number;
  private readonly links: Int32Array;
  private readonly stride: number;
  private readonly nextColumn: number;
  private readonly previousColumn: number;
  /** The first tick that is not done yet. */
  private tick = 0;
  /** Ids in the wheel. */
  count = 0;

  /**
   * @param tickLog2Ms a tick is 2^tickLog2Ms milliseconds
   * @param slots a power of two; the horizon is slots - 1 ticks
   * @param links the caller's records: `links[id * stride + nextColumn]` and previousColumn belong to the wheel
   */
  constructor(
    tickLog2Ms: number,
    slots: number,
    links: Int32Array,
    stride: number,
    nextColumn: number,
    previousColumn: number,
  ) {
    this.tickMs = 2 ** tickLog2Ms;
    this.slots = slots;
    this.heads = new Int32Array(slots).fill(-1);
    this.links = links;
    this.stride = stride;
    this.nextColumn = nextColumn;
    this.previousColumn = previousColumn;
  }

  /** Begins time at `nowMs` while the wheel is empty. */
  start(nowMs: number): void {
    if (this.count === 0) this.tick = Math.floor(nowMs / this.tickMs);
  }

  /** Sets the timer of `id`, which must not be set, to fire at or after `atMs`. */
  set(id: number, atMs: number): void {
    let t = Math.floor(atMs / this.tickMs) + 1;
    if (t < this.tick) t = this.tick;
    if (t > this.tick + this.slots - 1) t = this.tick + this.slots - 1;
    const slot = t & (this.slots - 1);
    const { heads, links, stride } = this;
    const head = heads[slot]!;
    const base = id * stride;
    links[base + this.nextColumn] = head;
    links[base + this.previousColumn] = -1 - slot; // a head names its slot instead of a predecessor
    if (head >= 0) links[head * stride + this.previousColumn] = id;
    heads[slot] = id;
    this.count++;
  }

  /** Takes the set timer of `id` out. */
  cancel(id: number): void {
    const { links, stride } = this;
    const base = id * stride;
    const next = links[base + this.nextColumn]!;
    const previous = links[base + this.previousColumn]!;
    if (previous < 0) this.heads[-1 - previous] = next;
    else links[previous * stride + this.nextColumn] = next;
    if (next >= 0) links[next * stride + this.previousColumn] = previous;
    this.count--;
  }

  /**
   * Moves time to `nowMs`.
   * @returns the next id that fires (its timer is no longer set), or -1 when nothing is due: call until -1, or until
   *   the caller's budget is spent
   */
  nextDue(nowMs: number): number {
    const target = Math.floor(nowMs / this.tickMs);
    if (this.count === 0) {
      if (target > this.tick) this.tick = target;
      return -1;
    }
    // After a long silence one turn of the wheel sees every slot.
    if (target - this.tick > this.slots) this.tick = target - this.slots;
    while (this.tick <= target) {
      const id = this.heads[this.tick & (this.slots - 1)]!;
      if (id >= 0) {
        this.cancel(id);
        return id;
      }
      if (this.tick === target) break;
      this.tick++;
    }
    return -1;
  }

  /** When the next timer fires, in milliseconds; Infinity: none is set. A look at every slot at worst. */
  get soonestMs(): number {
    if (this.count === 0) return Infinity;
    let t = this.tick;
    while (this.heads[t & (this.slots - 1)]! < 0) t++;
    return t * this.tickMs;
  }
}
