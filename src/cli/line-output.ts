/**
 * Standard output for many short lines: they go out in pieces of some size, and at the latest when there is time.
 */
import type { InspectSink } from '../inspect/inspect.js';
import { print } from './print.js';

/** Characters kept back at the most. */
const PIECE_LENGTH = 64 * 1024;

export class LineOutput implements InspectSink {
  #lines: string[] = [];
  #length = 0;

  /** Takes whole lines. */
  write(text: string): void {
    this.#lines.push(text);
    this.#length += text.length;
  }

  get isFull(): boolean {
    return this.#length >= PIECE_LENGTH;
  }

  /**
   * Lets what there is go out.
   * @throws CulvertError as `print` does
   */
  settle(): void {
    if (this.#length === 0) return;
    const text = this.#lines.join('');
    this.#lines = [];
    this.#length = 0;
    print(text);
  }
}
