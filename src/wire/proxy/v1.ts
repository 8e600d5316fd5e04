/**
 * Decoding PROXY protocol version 1: one line of text (section 2.1).
 *
 *     PROXY TCP4 192.0.2.1 198.51.100.1 40000 443 CRLF
 *     PROXY UNKNOWN anything CRLF
 */
import { readIpv4, readIpv6, writeIpv4, writeIpv6 } from './address.js';
import { malformed } from './codes.js';
import type { DecodeResult, InetConnection, ProxyHeader } from './header.js';
import { MAX_LENGTH_V1 } from './header.js';

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;

/** `PROXY` and a space. */
export const KEYWORD_V1: readonly number[] = [0x50, 0x52, 0x4f, 0x58, 0x59, SPACE];

/** The protocols a line may name, and the octets of the shortest line with each. */
const PROTOCOLS = [
  { text: 'TCP4 ', family: 'inet', minLength: 'PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n'.length },
  { text: 'TCP6 ', family: 'inet6', minLength: 'PROXY TCP6 :: :: 0 0\r\n'.length },
  { text: 'UNKNOWN', family: 'unspec', minLength: 'PROXY UNKNOWN\r\n'.length },
] as const;

/** The octets of the shortest line. */
export const MIN_LENGTH_V1 = PROTOCOLS[2].minLength;

/** Decodes the line at `start`, whose keyword, as far as it is there, has been checked. */
export function decodeV1(b: Buffer, start: number, end: number, maxLength: number): DecodeResult {
  const have = end - start;
  const protocolAt = start + KEYWORD_V1.length;
  const candidates = PROTOCOLS.filter(({ text }) => isPrefix(b, protocolAt, end, text));
  const [protocol] = candidates;
  if (protocol === undefined) {
    throw malformed('PROXY_V1_PROTOCOL', KEYWORD_V1.length, 'The protocol is not TCP4, TCP6 or UNKNOWN');
  }
  // A line that has its end has all of its protocol too, and then there is one candidate.
  const limit = Math.min(maxLength, MAX_LENGTH_V1);
  const lineEnd = findLineEnd(b, start, Math.min(end, start + limit), protocol.family);
  if (lineEnd < 0) {
    const shortest = Math.min(...candidates.map(({ minLength }) => minLength));
    const octets = b[end - 1] === CR ? 1 : Math.max(2, shortest - have);
    if (have + octets > limit) {
      const code = limit < MAX_LENGTH_V1 ? 'PROXY_TOO_LONG' : 'PROXY_V1_TOO_LONG';
      throw malformed(code, limit, `The line does not end within ${limit} octets`);
    }
    return { kind: 'need', octets };
  }
  const length = lineEnd + 2 - start;
  if (protocol.family === 'unspec') {
    const header: ProxyHeader = { version: 1, command: 'PROXY', family: 'unspec', transport: 'unspec', tlvs: [] };
    return { kind: 'header', header, length };
  }
  const fieldsAt = KEYWORD_V1.length + protocol.text.length;
  const connection = parseFields(b.toString('latin1', start + fieldsAt, lineEnd), fieldsAt, protocol.family);
  return { kind: 'header', header: { version: 1, ...connection, tlvs: [] }, length };
}

/** Whether the octets from `at`, as far as they are there, begin `text`. */
function isPrefix(b: Buffer, at: number, end: number, text: string): boolean {
  for (let i = 0; i < text.length && at + i < end; i++) {
    if (b[at + i] !== text.charCodeAt(i)) return false;
  }
  return true;
}

/** The offset of the CR that ends the line, or -1. After UNKNOWN anything but CRLF is skipped. */
function findLineEnd(b: Buffer, start: number, end: number, family: ProxyHeader['family']): number {
  const from = start + KEYWORD_V1.length + 'UNKNOWN'.length;
  if (family === 'unspec' && from < end && b[from] !== SPACE && b[from] !== CR) {
    throw malformed('PROXY_V1_PROTOCOL', from - start, 'UNKNOWN is not followed by a space or CRLF');
  }
  for (let i = start + KEYWORD_V1.length; i < end; i++) {
    if (b[i] === CR && i + 1 < end && b[i + 1] === LF) return i;
    if (family === 'unspec') continue;
    if (b[i] === LF) throw malformed('PROXY_V1_LINE_END', i - start, 'The line ends with LF alone, not CRLF');
    if (b[i] === CR && i + 1 < end) throw malformed('PROXY_V1_LINE_END', i - start, 'CR is not followed by LF');
  }
  return -1;
}

function parseFields(text: string, offset: number, family: 'inet' | 'inet6'): InetConnection {
  const fields = text.split(' ');
  if (fields.length !== 4 || fields.includes('')) {
    throw malformed('PROXY_V1_FIELDS', offset, 'The line is not two addresses and two ports, each after one space');
  }
  const [source, destination, sourcePort, destinationPort] = fields as [string, string, string, string];
  const destinationAt = offset + source.length + 1;
  const sourcePortAt = destinationAt + destination.length + 1;
  const destinationPortAt = sourcePortAt + sourcePort.length + 1;
  return {
    command: 'PROXY',
    family,
    transport: 'stream',
    source: { address: parseAddress(source, offset, family), port: parsePort(sourcePort, sourcePortAt) },
    destination: {
      address: parseAddress(destination, destinationAt, family),
      port: parsePort(destinationPort, destinationPortAt),
    },
  };
}

/** The address in the same text that version 2 would give, so that the two versions compare. */
function parseAddress(text: string, offset: number, family: 'inet' | 'inet6'): string {
  const octets = Buffer.alloc(16);
  const valid = family === 'inet' ? writeIpv4(text, octets, 0) : writeIpv6(text, octets, 0);
  if (!valid) {
    const name = family === 'inet' ? 'IPv4' : 'IPv6';
    throw malformed('PROXY_V1_ADDRESS', offset, `${JSON.stringify(text)} is not an ${name} address`);
  }
  return family === 'inet' ? readIpv4(octets, 0) : readIpv6(octets, 0);
}

function parsePort(text: string, offset: number): number {
  const port = Number(text);
  if (!/^(?:0|[1-9][0-9]{0,4})$/.test(text) || port > 0xffff) {
    throw malformed('PROXY_V1_PORT', offset, `${JSON.stringify(text)} is not a port, 0 to 65535 without leading zeros`);
  }
  return port;
}
