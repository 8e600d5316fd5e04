/**
 * Coded errors. Control code, readers of files and parsers of configuration throw these; the packet path
 * never throws: a packet gets a verdict and a counted drop reason instead.
 */

/** Where in its input an error was found; every part is optional. */
export interface ErrorPlace {
  /** File name as the user gave it; `-` is standard input. */
  readonly file?: string;
  /** Line, from 1. */
  readonly line?: number;
  /** Column, from 1. */
  readonly column?: number;
  /** Octet offset from the start of the input, from 0. */
  readonly offset?: number;
  /** Path inside a document, for example `privateLinkServices.web.natIps[1]`. */
  readonly path?: string;
}

/**
 * An error with a stable code. The message says what is wrong and, where that is not obvious, what to do.
 * Codes are part of the public interface: upper-case words joined by underscores, never renamed;
 * a rule for which Azure publishes a code has Azure's spelling.
 */
export class CulvertError extends Error {
  readonly code: string;
  readonly place: ErrorPlace;

  constructor(code: string, message: string, place: ErrorPlace = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CulvertError';
    this.code = code;
    this.place = place;
  }
}
