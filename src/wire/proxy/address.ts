/** IPv4 and IPv6 addresses between text and octets, strictly: no octal, no zone, no brackets, no short IPv4 forms. */
import { formatAddress, parseAddress } from '../address.js';

/** Writes the four octets of a dotted-decimal address at `at`; false, with nothing written, where it is not one. */
export function writeIpv4(text: string, b: Buffer, at: number): boolean {
  const address = parseAddress(text);
  if (address >= 0) b.writeUInt32BE(address, at);
  return address >= 0;
}

export const readIpv4 = (b: Buffer, at: number): string => formatAddress(b.readUInt32BE(at));

/** Writes the hextets of a colon-separated list, its last part perhaps an IPv4 address; -1 where it is not one. */
function writeHextets(text: string, b: Buffer, room: number): number {
  if (text === '') return 0;
  let length = 0;
  const parts = text.split(':');
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (part.includes('.')) {
      if (i !== parts.length - 1 || length + 4 > room || !writeIpv4(part, b, length)) return -1;
      return length + 4;
    }
    if (length + 2 > room || !/^[0-9a-fA-F]{1,4}$/.test(part)) return -1;
    const hextet = parseInt(part, 16);
    b[length++] = hextet >>> 8;
    b[length++] = hextet & 0xff;
  }
  return length;
}

/** Writes the sixteen octets of an IPv6 address (RFC 4291 section 2.2) at `at`; false where it is not one. */
export function writeIpv6(text: string, b: Buffer, at: number): boolean {
  if (text.length > 45) return false;
  const address = Buffer.alloc(16);
  const gap = text.indexOf('::');
  if (gap < 0) {
    if (writeHextets(text, address, 16) !== 16) return false;
  } else {
    // An IPv4 tail ends an address, so none may stand before the gap.
    const head = text.slice(0, gap);
    const headLength = head.includes('.') ? -1 : writeHextets(head, address, 14);
    if (headLength < 0) return false;
    const tail = Buffer.alloc(16);
    const tailLength = writeHextets(text.slice(gap + 2), tail, 14 - headLength);
    if (tailLength < 0) return false;
    tail.copy(address, 16 - tailLength, 0, tailLength);
  }
  address.copy(b, at);
  return true;
}

/** The text of RFC 5952: lower case, the longest run of zero hextets shortened, IPv4-mapped addresses dotted. */
export function readIpv6(b: Buffer, at: number): string {
  const hextets: number[] = [];
  for (let i = 0; i < 16; i += 2) hextets.push((b[at + i]! << 8) | b[at + i + 1]!);

  let gap = -1;
  let gapLength = 1; // one zero hextet alone is not shortened
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && hextets[i + run] === 0) run++;
    if (run > gapLength) {
      gap = i;
      gapLength = run;
    }
    i += run;
  }
  if (gap === 0 && gapLength === 5 && hextets[5] === 0xffff) return `::ffff:${readIpv4(b, at + 12)}`;
  const text = (from: number, to: number): string =>
    hextets
      .slice(from, to)
      .map((hextet) => hextet.toString(16))
      .join(':');
  return gap < 0 ? text(0, 8) : `${text(0, gap)}::${text(gap + gapLength, 8)}`;
}
