/**
 * The interfaces a capture was taken on: what a pcapng interface description block says, and how to read the
 * time stamps of packets seen there.
 */
import {
  OPTION_COMMENT,
  OPTION_END,
  OPTION_IF_DESCRIPTION,
  OPTION_IF_NAME,
  OPTION_IF_TSOFFSET,
  OPTION_IF_TSRESOL,
  u16,
  u32,
} from './format.js';

/** One capture interface. A pcap file has exactly one, without texts. */
export interface CaptureInterface {
  /** Section of the file, from 0. */
  readonly section: number;
  /** Link type of its packets. */
  readonly linkType: number;
  /** Octets kept of each packet; 0 is no limit. */
  readonly snapLength: number;
  /** For example `eth0`; empty when the file gives none, as are the next two. */
  readonly name: string;
  readonly description: string;
  /** Several comments are joined by a line feed. */
  readonly comment: string;
  /** Time stamp resolution as if_tsresol writes it: n is 10^-n s, 128 + n is 2^-n s. */
  readonly resolution: number;
  /** Seconds to add to each time stamp (if_tsoffset). */
  readonly offsetSeconds: number;
}

/** Calls `visit` for each option in `[at, end)`; stops at the end-of-options mark or at the first that does not fit. */
function forEachOption(
  b: Buffer,
  at: number,
  end: number,
  little: boolean,
  visit: (code: number, from: number, to: number) => void,
): void {
  let p = at;
  while (end - p >= 4) {
    const code = u16(b, p, little);
    const length = u16(b, p + 2, little);
    p += 4;
    if (code === OPTION_END || length > end - p) return;
    visit(code, p, p + length);
    p += (length + 3) & ~3;
  }
}

/** The comment options in `[at, end)`, joined by a line feed; empty when there is none. */
export function readComment(b: Buffer, at: number, end: number, little: boolean): string {
  if (end - at < 4) return ''; // most packets have no options
  const comments: string[] = [];
  forEachOption(b, at, end, little, (code, from, to) => {
    if (code === OPTION_COMMENT) comments.push(b.toString('utf8', from, to));
  });
  return comments.join('\n');
}

/**
 * Reads an interface description block.
 * @param at offset of the block's body: link type, reserved, snap length, options
 * @param end offset just past the options; `end - at` is at least 8
 * @param textBudget octets of text that may still be kept; text past that is dropped, so that a hostile file
 * cannot fill the memory
 */
export function readInterface(
  b: Buffer,
  at: number,
  end: number,
  little: boolean,
  section: number,
  textBudget: number,
): CaptureInterface {
  let name = '';
  let description = '';
  let resolution = 6;
  let offsetSeconds = 0;
  const comments: string[] = [];
  let budget = textBudget;
  forEachOption(b, at + 8, end, little, (code, from, to) => {
    const length = to - from;
    if (code === OPTION_IF_TSRESOL) {
      if (length >= 1) resolution = b[from]!;
    } else if (code === OPTION_IF_TSOFFSET) {
      if (length >= 8) offsetSeconds = Number(little ? b.readBigInt64LE(from) : b.readBigInt64BE(from));
    } else if (length <= budget) {
      if (code === OPTION_IF_NAME) name = b.toString('utf8', from, to);
      else if (code === OPTION_IF_DESCRIPTION) description = b.toString('utf8', from, to);
      else if (code === OPTION_COMMENT) comments.push(b.toString('utf8', from, to));
      else return;
      budget -= length;
    }
  });
  return {
    section,
    linkType: u16(b, at, little),
    snapLength: u32(b, at + 4, little),
    name,
    description,
    comment: comments.join('\n'),
    resolution,
    offsetSeconds,
  };
}

/** Octets of text that an interface keeps. */
export function textLength(face: CaptureInterface): number {
  return face.name.length + face.description.length + face.comment.length;
}

/**
 * Time stamp units in a second when plain integer arithmetic serves (10^-6 to 10^-9), else 0: then
 * `splitTimestamp` is needed.
 */
export function unitsPerSecond(resolution: number): number {
  return resolution >= 6 && resolution <= 9 ? 10 ** resolution : 0;
}

/**
 * Splits a time stamp of any resolution, exactly; nanoseconds are rounded down.
 * @param high upper 32 bits
 * @param low lower 32 bits
 * @param resolution as if_tsresol writes it
 * @param into receives whole seconds, then nanoseconds, 0 to 999999999
 */
export function splitTimestamp(high: number, low: number, resolution: number, into: Float64Array): void {
  const units = (BigInt(high) << 32n) | BigInt(low);
  const exponent = BigInt(resolution & 0x7f);
  const perSecond = (resolution & 0x80) !== 0 ? 1n << exponent : 10n ** exponent;
  into[0] = Number(units / perSecond);
  into[1] = Number(((units % perSecond) * 1_000_000_000n) / perSecond);
}
