/**
 * IPv4 addresses as unsigned 32-bit integers in host order, and CIDR blocks of them. Reading is strict: four decimal
 * parts, no leading zero (which some resolvers take for octal), no shorthand such as `10.1`.
 */
import { CulvertError } from '../errors.js';

const DOTTED = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/;
const CIDR = /^([^/]+)\/(0|[1-9]\d?)$/;

/** An address block: `base` is the network address (host bits zero), `prefix` 0 to 32. */
export interface Cidr {
  readonly base: number;
  readonly prefix: number;
}

/** The address as an unsigned 32-bit integer, or -1 if the text is not one strict dotted IPv4 address. */
export function parseAddress(text: string): number {
  const parts = DOTTED.exec(text);
  if (parts === null) return -1;
  let address = 0;
  for (let i = 1; i <= 4; i++) {
    const part = parts[i]!;
    const octet = Number(part);
    if (octet > 255 || (part.length > 1 && part.startsWith('0'))) return -1;
    address = address * 256 + octet;
  }
  return address;
}

/** Dotted text of an unsigned 32-bit address. */
export const formatAddress = (address: number): string =>
  `${String(address >>> 24)}.${String((address >>> 16) & 255)}.${String((address >>> 8) & 255)}.${String(address & 255)}`;

/** Whether the text has the look of an IPv6 address or prefix; for a better message only. */
export const looksLikeIpv6 = (text: string): boolean =>
  /^[0-9a-f.:%/]*:[0-9a-z.:%/]*$/i.test(text) && /:.*:/.test(text);

/** Number of addresses in a block of this prefix length, 1 to 2^32. */
export const cidrSize = (prefix: number): number => 2 ** (32 - prefix);

/**
 * Reads `address/prefix`; null if malformed. Host bits are cleared in `base`: a caller that minds them compares the
 * text with {@link formatCidr}.
 */
export function parseCidr(text: string): Cidr | null {
  const parts = CIDR.exec(text);
  if (parts === null) return null;
  const address = parseAddress(parts[1]!);
  const prefix = Number(parts[2]!);
  if (address < 0 || prefix > 32) return null;
  return { base: address - (address % cidrSize(prefix)), prefix };
}

export const formatCidr = (cidr: Cidr): string => `${formatAddress(cidr.base)}/${String(cidr.prefix)}`;

/** Last address of the block (the broadcast address where there is one). */
export const cidrLast = (cidr: Cidr): number => cidr.base + cidrSize(cidr.prefix) - 1;

export const cidrContains = (cidr: Cidr, address: number): boolean => address >= cidr.base && address <= cidrLast(cidr);

export const cidrWithin = (inner: Cidr, outer: Cidr): boolean =>
  inner.base >= outer.base && cidrLast(inner) <= cidrLast(outer);

export const cidrsOverlap = (a: Cidr, b: Cidr): boolean => a.base <= cidrLast(b) && b.base <= cidrLast(a);

/**
 * The usable host addresses of a pool text: addresses and CIDR blocks, separated by commas, for example
 * `198.18.0.0/29` or `10.0.0.4, 10.0.1.0/30`. Network and broadcast addresses are left out of blocks shorter than /31
 * (RFC 3021); an address named twice counts once, in the order of first appearance.
 * @param limit most addresses to expand to
 * @throws {CulvertError} ADDRESS_POOL_INVALID
 */
export function expandPool(text: string, limit = 65536): number[] {
  const invalid = (what: string): CulvertError => new CulvertError('ADDRESS_POOL_INVALID', what);
  const seen = new Set<number>();
  for (const part of text.split(',')) {
    const item = part.trim();
    const cidr = parseCidr(item.includes('/') ? item : `${item}/32`);
    if (cidr === null) {
      const hint = looksLikeIpv6(item) ? 'IPv6 is not supported: IPv4 only' : 'write 198.18.0.1 or 198.18.0.0/29';
      throw invalid(`'${item}' is neither an IPv4 address nor a CIDR block; ${hint}`);
    }
    const edge = cidr.prefix < 31 ? 1 : 0;
    if (cidrSize(cidr.prefix) - 2 * edge > limit) {
      throw invalid(`'${item}' has more than ${String(limit)} addresses; write a longer prefix`);
    }
    for (let address = cidr.base + edge; address <= cidrLast(cidr) - edge; address++) seen.add(address);
    if (seen.size > limit) throw invalid(`the pool has more than ${String(limit)} addresses; write a shorter list`);
  }
  return [...seen];
}
