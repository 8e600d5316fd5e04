import { CulvertError } from '../../errors.js';
import { invalid, malformed } from './codes.js';
import type { DecodeOptions } from './decode.js';
import { checkMaxLength, decode } from './decode.js';
import type { ProxyHeader } from './header.js';

/** A header read from a stream, and what of the stream came with it. */
export interface ReadHeader {
  readonly header: ProxyHeader;
  /** Octets of the stream after the header, a view of the last chunk; empty where the header ends the chunk. */
  readonly rest: Buffer;
}

/**
 * Reads the PROXY header, version 1 or 2, at the start of a stream that comes in chunks of any size. It never holds
 * more than the header, nor more than `maxLength` octets; a service that expects a LINKID alone may well set 512.
 * It keeps no time: give the socket a timeout, so that a peer that sends half a header does not stay.
 *
 * @example The LINKID of each connection to a service behind an Azure private link service
 * ```ts
 * const server = createServer((socket) => {
 *   const reader = new ProxyHeaderReader({ maxLength: 512 });
 *   const onData = (chunk: Buffer) => {
 *     try {
 *       const read = reader.push(chunk);
 *       if (read === undefined) return; // the header goes on in the next chunk
 *       socket.off('data', onData).pause();
 *       if (read.rest.length > 0) socket.unshift(read.rest);
 *       serve(socket, azureLinkId(read.header));
 *     } catch (error) {
 *       socket.destroy(error as CulvertError);
 *     }
 *   };
 *   socket.on('data', onData);
 * });
 * ```
 */
export class ProxyHeaderReader {
  readonly #maxLength: number;
  #held: Buffer = Buffer.alloc(0);
  #heldLength = 0;
  #needed = 0;
  #done = false;
  #failure: CulvertError | undefined;

  /** @throws CulvertError `PROXY_RANGE` */
  constructor(options: DecodeOptions = {}) {
    this.#maxLength = checkMaxLength(options.maxLength);
  }

  /**
   * Takes the next chunk; gives the header once it is complete. The header's TLVs are views of `chunk` where the whole
   * header was in it, else of octets that the reader gives away.
   *
   * @throws CulvertError as {@link decode} does, and the same again at every later push; `PROXY_READER_DONE` for a
   *   chunk after the header was given
   */
  push(chunk: Buffer): ReadHeader | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#done) {
      throw invalid('PROXY_READER_DONE', 'chunk', 'the header was given; what follows it belongs to the stream');
    }
    try {
      return this.#read(chunk);
    } catch (error) {
      if (error instanceof CulvertError) this.#failure = error;
      throw error;
    }
  }

  /**
   * Tells the reader that the stream has ended.
   *
   * @throws CulvertError `PROXY_TRUNCATED` where it ended before the header did; `place.offset` is where
   */
  end(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#done) return;
    const length = this.#heldLength;
    this.#failure = malformed('PROXY_TRUNCATED', length, 'The stream ended inside the header');
    throw this.#failure;
  }

  #read(chunk: Buffer): ReadHeader | undefined {
    if (this.#heldLength === 0) {
      const result = decode(chunk, 0, chunk.length, { maxLength: this.#maxLength });
      if (result.kind === 'header') return this.#finish(result.header, chunk.subarray(result.length));
      this.#hold(chunk);
      this.#needed = result.octets;
      return undefined;
    }
    let taken = 0;
    while (taken < chunk.length) {
      // The need is a lower bound, so what is taken never goes past the header.
      const part = chunk.subarray(taken, taken + this.#needed);
      this.#hold(part);
      taken += part.length;
      const result = decode(this.#held, 0, this.#heldLength, { maxLength: this.#maxLength });
      if (result.kind === 'header') return this.#finish(result.header, chunk.subarray(taken));
      this.#needed = result.octets;
    }
    return undefined;
  }

  #hold(octets: Buffer): void {
    const length = this.#heldLength + octets.length;
    if (length > this.#held.length) {
      const grown = Buffer.alloc(Math.max(length, 2 * this.#held.length, 128));
      this.#held.copy(grown, 0, 0, this.#heldLength);
      this.#held = grown;
    }
    octets.copy(this.#held, this.#heldLength);
    this.#heldLength = length;
  }

  #finish(header: ProxyHeader, rest: Buffer): ReadHeader {
    this.#done = true;
    this.#held = Buffer.alloc(0);
    return { header, rest };
  }
}
