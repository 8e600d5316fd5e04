/**
 * Standard output for many short lines: they go out in pieces of some size, and at the latest when there is time. An
 * output that fails, or that nobody reads any more, ends the command where that is noticed (main.ts).
 */

/** Characters kept back at the most. */
const PIECE_LENGTH = 64 * 1024;

export class LineOutput {
  readonly #stream: NodeJS.WriteStream;
  #lines: string[] = [];
  #length = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  /** Takes whole lines. */
  write(text: string): void {
    this.#lines.push(text);
    this.#length += text.length;
  }

  get isFull(): boolean {
    return this.#length >= PIECE_LENGTH;
  }

  /** Lets what there is go out. */
  async settle(): Promise<void> {
    if (this.#length === 0) return;
    const text = this.#lines.join('');
    this.#lines = [];
    this.#length = 0;
    await new Promise<void>((resolve) => {
      this.#stream.write(text, () => {
        resolve();
      });
    });
  }
}
