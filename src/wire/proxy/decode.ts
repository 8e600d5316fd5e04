import { invalid, malformed } from './codes.js';
import type { DecodeResult } from './header.js';
import { MAX_LENGTH_V2, SIGNATURE_V2 } from './header.js';
import { decodeV1, KEYWORD_V1, MIN_LENGTH_V1 } from './v1.js';
import { decodeV2 } from './v2.js';

export interface DecodeOptions {
  /** The longest header to accept, in octets, 16 to 65551 (the default, the protocol's own limit). */
  readonly maxLength?: number;
}

/**
 * Decodes the PROXY header, version 1 or 2, that begins at `start`.
 *
 * Octets outside [start, end) are never read, the buffer is not changed, and TLV values are views of it. `need` says
 * how many more octets the header takes at the least; a malformed header is told as soon as its octets show it.
 *
 * A `PROXY` header must be well-formed to its end and its CRC32C, where it has one, right. A `LOCAL` header's block is
 * skipped by its length whatever is in it, as section 2.2 has it; those of its TLVs that can be read are given.
 *
 * @throws CulvertError with a code of {@link PROXY_ERROR_CODES}; `place.offset` is from the header's first octet
 */
export function decode(b: Buffer, start = 0, end: number = b.length, options: DecodeOptions = {}): DecodeResult {
  if (!Number.isInteger(start) || !Number.isInteger(end) || start < 0 || end < start || end > b.length) {
    const range = `[${start}, ${end})`;
    throw invalid('PROXY_RANGE', 'start, end', `${range} is not a range of the buffer's ${b.length} octets`);
  }
  const maxLength = checkMaxLength(options.maxLength);
  if (start === end) return { kind: 'need', octets: MIN_LENGTH_V1 };
  if (b[start] === KEYWORD_V1[0]) {
    checkSignature(b, start, end, KEYWORD_V1);
    return decodeV1(b, start, end, maxLength);
  }
  checkSignature(b, start, end, SIGNATURE_V2);
  return decodeV2(b, start, end, maxLength);
}

export function checkMaxLength(maxLength: number = MAX_LENGTH_V2): number {
  if (!Number.isInteger(maxLength) || maxLength < 16 || maxLength > MAX_LENGTH_V2) {
    throw invalid('PROXY_RANGE', 'maxLength', `${maxLength} is not an integer from 16 to 65551`);
  }
  return maxLength;
}

function checkSignature(b: Buffer, start: number, end: number, signature: readonly number[]): void {
  for (let i = 0; i < signature.length && start + i < end; i++) {
    if (b[start + i] !== signature[i]) {
      throw malformed('PROXY_NO_SIGNATURE', i, 'The stream does not begin with a PROXY header; is its sender set to?');
    }
  }
}
