/** TCP and IPv4 options as records: each whole option of a header, in its order, NOPs left out. */
import { formatAddress } from '../wire/address.js';
import { get16, get32 } from '../wire/octets.js';
import * as tcp from '../wire/tcp.js';

/** One TCP option (IANA "TCP Parameters"). */
export type TcpOption =
  | { readonly name: 'mss'; readonly mss: number }
  /** `shift` as it stands in the option, 0 to 255; above 14 it counts as 14 (RFC 7323 section 2.3). */
  | { readonly name: 'window-scale'; readonly shift: number }
  | { readonly name: 'sack-permitted' }
  /** Edges are 0 to 2^32-1. */
  | { readonly name: 'sack'; readonly blocks: readonly (readonly [left: number, right: number])[] }
  | { readonly name: 'timestamps'; readonly value: number; readonly echo: number }
  | { readonly name: 'mptcp'; readonly subtype: string; readonly version?: number }
  /** A Fast Open request has no cookie; `cookie` is hex. */
  | { readonly name: 'fast-open'; readonly cookie: string; readonly experimental: boolean }
  | { readonly name: 'md5' }
  | { readonly name: 'ao' }
  /** In seconds (RFC 5482). */
  | { readonly name: 'user-timeout'; readonly seconds: number }
  /** Any other; `data` is hex. `malformed` ends a list that makes no sense from there on. */
  | { readonly name: 'unknown' | 'malformed'; readonly kind: number; readonly data: string };

const OPTION_USER_TIMEOUT = 28;
const OPTION_EXPERIMENT_1 = 253;

// RFC 8684 section 8.2.
const MPTCP_SUBTYPES = [
  'capable',
  'join',
  'dss',
  'add-address',
  'remove-address',
  'priority',
  'fail',
  'fast-close',
  'reset',
];
const MPTCP_CAPABLE = 0;

/** Reads all options of a TCP header that `tcp.check` found whole. */
export function readTcpOptions(b: Buffer, header: number): readonly TcpOption[] {
  const end = header + tcp.headerLength(b, header);
  const found: TcpOption[] = [];
  for (let at = header + tcp.MIN_HEADER; at < end; at = tcp.nextOption(b, at, end)) {
    const kind = b[at]!;
    if (kind === tcp.OPTION_END) break;
    if (kind === tcp.OPTION_NOP) continue;
    if (!tcp.wholeOption(b, at, end)) {
      found.push({ name: 'malformed', kind, data: hex(b, at + 1, end) });
      break;
    }
    found.push(readTcpOption(b, at, kind, b[at + 1]!));
  }
  return found;
}

function readTcpOption(b: Buffer, at: number, kind: number, length: number): TcpOption {
  switch (kind) {
    case tcp.OPTION_MSS:
      if (length === 4) return { name: 'mss', mss: get16(b, at + 2) };
      break;
    case tcp.OPTION_WINDOW_SCALE:
      if (length === 3) return { name: 'window-scale', shift: b[at + 2]! };
      break;
    case tcp.OPTION_SACK_PERMITTED:
      if (length === 2) return { name: 'sack-permitted' };
      break;
    case tcp.OPTION_SACK:
      if (length % 8 === 2) return readSack(b, at, length);
      break;
    case tcp.OPTION_TIMESTAMPS:
      if (length === 10) return { name: 'timestamps', value: get32(b, at + 2) >>> 0, echo: get32(b, at + 6) >>> 0 };
      break;
    case tcp.OPTION_MD5:
      return { name: 'md5' };
    case OPTION_USER_TIMEOUT:
      if (length === 4) return { name: 'user-timeout', seconds: userTimeout(get16(b, at + 2)) };
      break;
    case tcp.OPTION_AO:
      return { name: 'ao' };
    case tcp.OPTION_MPTCP:
      if (length >= 3) return readMptcp(b, at);
      break;
    case tcp.OPTION_FAST_OPEN:
      return { name: 'fast-open', cookie: hex(b, at + 2, at + length), experimental: false };
    case OPTION_EXPERIMENT_1:
    case tcp.OPTION_EXPERIMENT_2:
      if (length >= 4 && get16(b, at + 2) === tcp.FAST_OPEN_MAGIC) {
        return { name: 'fast-open', cookie: hex(b, at + 4, at + length), experimental: true };
      }
      break;
  }
  return { name: 'unknown', kind, data: hex(b, at + 2, at + length) };
}

function readSack(b: Buffer, at: number, length: number): TcpOption {
  const blocks: [number, number][] = [];
  for (let p = at + 2; p < at + length; p += 8) blocks.push([get32(b, p) >>> 0, get32(b, p + 4) >>> 0]);
  return { name: 'sack', blocks };
}

/** RFC 5482 section 2: the first bit says minutes. */
const userTimeout = (field: number): number => ((field & 0x8000) === 0 ? field : (field & 0x7fff) * 60);

function readMptcp(b: Buffer, at: number): TcpOption {
  const number = b[at + 2]! >>> 4;
  const subtype = MPTCP_SUBTYPES[number] ?? `subtype-${number}`;
  return number === MPTCP_CAPABLE ? { name: 'mptcp', subtype, version: b[at + 2]! & 15 } : { name: 'mptcp', subtype };
}

/** One IPv4 option; `data` is hex, or for routes the addresses, comma-separated. */
export interface Ipv4Option {
  readonly name: string;
  readonly data: string;
}

// IANA "IP Option Numbers".
const IPV4_OPTIONS: ReadonlyMap<number, string> = new Map([
  [7, 'record-route'],
  [68, 'timestamps'],
  [130, 'security'],
  [131, 'loose-source-route'],
  [134, 'commercial-security'],
  [136, 'stream-id'],
  [137, 'strict-source-route'],
  [148, 'router-alert'],
]);
const ROUTES: ReadonlySet<number> = new Set([7, 131, 137]);

/** Reads the IPv4 options in `[from, end)`. */
export function readIpv4Options(b: Buffer, from: number, end: number): readonly Ipv4Option[] {
  const found: Ipv4Option[] = [];
  for (let at = from; at < end;) {
    const kind = b[at]!;
    if (kind === 0) break;
    if (kind === 1) {
      at++;
      continue;
    }
    const length = at + 1 < end ? b[at + 1]! : 0;
    if (length < 2 || at + length > end) {
      found.push({ name: 'malformed', data: hex(b, at, end) });
      break;
    }
    const name = IPV4_OPTIONS.get(kind) ?? `option-${kind}`;
    found.push({ name, data: ROUTES.has(kind) ? addresses(b, at + 3, at + length) : hex(b, at + 2, at + length) });
    at += length;
  }
  return found;
}

function addresses(b: Buffer, from: number, end: number): string {
  const found: string[] = [];
  for (let at = from; at + 4 <= end; at += 4) found.push(formatAddress(get32(b, at) >>> 0));
  return found.join(',');
}

const hex = (b: Buffer, from: number, end: number): string => b.toString('hex', from, end);
