/**
 * A hash index from keys that live elsewhere to small numbers: open addressing with linear probing in one Int32Array,
 * 8 octets an entry (hash, value + 1; 0 marks a free slot), so that a look-up mostly touches one cache line.
 *
 * Theory of operation
 * - The index knows hashes only. A caller probes with `first` and `next` and compares its own keys.
 * - Deleting shifts later entries of the cluster back, so there are no tombstones and no rebuilds.
 * - Growing never stops the world: at three quarters full a table of twice the size is added, and each insertion moves
 *   a few entries over, from the old table's first slot to its last. While both exist, probes go through the new table
 *   first, then the old one, where nothing is entered any more: an entry that is moved or removed leaves a mark, not a
 *   gap, so both stay valid at every step. Since probing two tables costs twice, `settle` moves entries while none are
 *   inserted.
 */
const SLOTS_MOVED_PER_INSERT = 16;
const SLOTS_MOVED_PER_SETTLING = 64;
/** In the old table, in place of value + 1: the entry is there no more. */
const GONE = -1;

export class HashIndex {
  private table: Int32Array;
  private mask: number;
  private old: Int32Array | null = null;
  private oldMask = 0;
  private movedTo = 0;
  /** Entries in all. */
  count = 0;

  // The probe's state: a probe is two numbers, kept here so that probing allocates nothing.
  private at = 0;
  private inOld = false;

  /** @param capacity slots to begin with, a power of two */
  constructor(capacity: number) {
    this.table = tableOf(capacity);
    this.mask = capacity - 1;
  }

  /** Octets of both tables. */
  get octets(): number {
    return this.table.byteLength + (this.old?.byteLength ?? 0);
  }

  /** What stands in the slot that a hash names: read only for the slot to be in the cache when it is needed. */
  peek(hash: number): number {
    return this.table[2 * (hash & this.mask)]!;
  }

  /** Starts a probe. @returns the first value stored under this hash, or -1 */
  first(hash: number): number {
    // The usual answer without the general loop's state: nearly every packet asks.
    const { table, mask } = this;
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const v = table[2 * i + 1]!;
      if (table[2 * i] === hash && v !== 0) {
        this.inOld = false;
        this.at = i;
        return v - 1;
      }
      if (v !== 0) continue;
      if (this.old === null) return -1;
      this.inOld = true;
      this.at = hash & this.oldMask;
      return this.scan(hash);
    }
  }

  /** @returns the next value under the hash that `first` was called with, or -1 */
  next(hash: number): number {
    this.at = (this.at + 1) & (this.inOld ? this.oldMask : this.mask);
    return this.scan(hash);
  }

  private scan(hash: number): number {
    if (!this.inOld) {
      const { table, mask } = this;
      let i = this.at;
      for (;;) {
        const v = table[2 * i + 1]!;
        if (v === 0) break;
        if (table[2 * i] === hash) {
          this.at = i;
          return v - 1;
        }
        i = (i + 1) & mask;
      }
      if (this.old === null) return -1;
      this.inOld = true;
      this.at = hash & this.oldMask;
    }
    const table = this.old!;
    const mask = this.oldMask;
    let i = this.at;
    for (;;) {
      const v = table[2 * i + 1]!;
      if (v === 0) return -1;
      if (table[2 * i] === hash && v !== GONE) {
        this.at = i;
        return v - 1;
      }
      i = (i + 1) & mask;
    }
  }

  insert(hash: number, value: number): void {
    if (this.old !== null) this.moveSome(SLOTS_MOVED_PER_INSERT);
    else if (this.count >= (this.mask + 1) * 0.75) this.grow();
    place(this.table, this.mask, hash, value + 1);
    this.count++;
  }

  /** Removes the entry (hash, value), which must be there. */
  remove(hash: number, value: number): void {
    let at = slotOf(this.table, this.mask, hash, value + 1);
    if (at >= 0) {
      close(this.table, this.mask, at);
    } else {
      at = this.old === null ? -1 : slotOf(this.old, this.oldMask, hash, value + 1);
      if (at < 0) return;
      this.old![2 * at + 1] = GONE;
    }
    this.count--;
  }

  private grow(): void {
    this.old = this.table;
    this.oldMask = this.mask;
    this.movedTo = 0;
    const capacity = (this.mask + 1) * 2;
    this.table = tableOf(capacity);
    this.mask = capacity - 1;
    this.moveSome(SLOTS_MOVED_PER_INSERT);
  }

  /** Goes on with a growth that is under way; some microseconds at most. */
  settle(): void {
    if (this.old !== null) this.moveSome(SLOTS_MOVED_PER_SETTLING);
  }

  private moveSome(slots: number): void {
    const old = this.old!;
    const end = Math.min(this.movedTo + slots, this.oldMask + 1);
    for (let i = this.movedTo; i < end; i++) {
      const v = old[2 * i + 1]!;
      if (v <= 0) continue;
      old[2 * i + 1] = GONE;
      place(this.table, this.mask, old[2 * i]!, v);
    }
    this.movedTo = end;
    if (end > this.oldMask) this.old = null;
  }
}

/**
 * Zero pages of the kernel, not touched before they are used; and shared memory, which is not counted as garbage-to-be: an
 * ordinary buffer of this size makes V8 collect at once.
 */
const tableOf = (capacity: number): Int32Array => new Int32Array(new SharedArrayBuffer(capacity * 8));

function place(table: Int32Array, mask: number, hash: number, stored: number): void {
  let i = hash & mask;
  while (table[2 * i + 1] !== 0) i = (i + 1) & mask;
  table[2 * i] = hash;
  table[2 * i + 1] = stored;
}

/** @returns the slot of an entry, or -1 */
function slotOf(table: Int32Array, mask: number, hash: number, stored: number): number {
  for (let i = hash & mask; ; i = (i + 1) & mask) {
    const v = table[2 * i + 1]!;
    if (v === 0) return -1;
    if (v === stored && table[2 * i] === hash) return i;
  }
}

/** Frees a slot and closes the gap: an entry may move back as far as the slot that its hash names. */
function close(table: Int32Array, mask: number, slot: number): void {
  let hole = slot;
  let i = hole;
  for (;;) {
    i = (i + 1) & mask;
    if (table[2 * i + 1] === 0) break;
    const home = table[2 * i]! & mask;
    if (((i - home) & mask) >= ((i - hole) & mask)) {
      table[2 * hole] = table[2 * i]!;
      table[2 * hole + 1] = table[2 * i + 1]!;
      hole = i;
    }
  }
  table[2 * hole + 1] = 0;
}
