/**
 * Standard output for many short lines: they go out in pieces of some size, and at the latest when there is time.
 * When nobody reads any more (a pipe to `head`), that is quietly the end.
 */
import { CulvertError } from '../errors.js';

/** Characters kept back at the most. */
const PIECE_LENGTH = 64 * 1024;

export class LineOutput {
  isClosed = false;
  readonly #stream: NodeJS.WriteStream;
  #lines: string[] = [];
  #length = 0;
  #failure: CulvertError | null = null;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    stream.on('error', this.#onError);
  }

  write(text: string): void {
    this.#lines.push(text);
    this.#length += text.length;
  }

  get isFull(): boolean {
    return this.#length >= PIECE_LENGTH;
  }

  /** @throws CulvertError CAPTURE_WRITE_FAILED */
  async settle(): Promise<void> {
    if (this.#length > 0 && !this.isClosed) {
      const text = this.#lines.join('');
      this.#lines = [];
      this.#length = 0;
      await new Promise<void>((resolve) => {
        this.#stream.write(text, (error) => {
          if (error) this.#onError(error);
          resolve();
        });
      });
    }
    if (this.#failure !== null) throw this.#failure;
  }

  /** Lets the rest go out. @throws CulvertError CAPTURE_WRITE_FAILED */
  async end(): Promise<void> {
    await this.settle();
    this.#stream.off('error', this.#onError);
  }

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    this.isClosed = true;
    if (error.code === 'EPIPE' || this.#failure !== null) return;
    this.#failure = new CulvertError('CAPTURE_WRITE_FAILED', `standard output: ${error.message}`, {}, { cause: error });
  };
}
