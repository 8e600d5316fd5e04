/**
 * A map that forgets: entries not asked for while `capacity` others came or were asked for are let go. Two plain maps,
 * of which the older is dropped whole, cost far less a look-up than a list in order of use.
 */
export class TwoGenerations<K, V> {
  /** Whether anything was let go so far. */
  hasForgotten = false;
  readonly #capacity: number;
  readonly #onForget: (value: V) => void;
  #young = new Map<K, V>();
  #old = new Map<K, V>();

  /**
   * @param capacity entries kept for certain; at most twice as many are there
   * @param onForget is given each value that is let go
   */
  constructor(capacity: number, onForget: (value: V) => void) {
    this.#capacity = capacity;
    this.#onForget = onForget;
  }

  get(key: K): V | undefined {
    const value = this.#young.get(key);
    if (value !== undefined) return value;
    const old = this.#old.get(key);
    if (old === undefined) return undefined;
    this.#old.delete(key);
    this.set(key, old);
    return old;
  }

  set(key: K, value: V): void {
    if (this.#young.size >= this.#capacity && !this.#young.has(key)) {
      if (this.#old.size > 0) this.hasForgotten = true;
      for (const forgotten of this.#old.values()) this.#onForget(forgotten);
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#old.delete(key);
    this.#young.set(key, value);
  }
}
