/**
 * Decodes one frame: link layer, IPv4, then TCP, UDP or ICMP. It knows nothing of other frames. Any octets are
 * accepted: what is cut off or makes no sense is said in `notes`, and what stands before it is still decoded.
 */
import * as icmp from '../wire/icmp.js';
import * as ipv4 from '../wire/ipv4.js';
import { LINK_NOT_IPV4, LINK_TRUNCATED, linkTypeName, locateIpv4 } from '../wire/link.js';
import { get16, get32 } from '../wire/octets.js';
import * as tcp from '../wire/tcp.js';
import * as udp from '../wire/udp.js';
import type { Checksum } from './checksums.js';
import { expectedHeaderChecksum, judgeIcmp, judgeTransport, unchecked } from './checksums.js';
import { readIcmp, readIpv4, readTcp, readUdp } from './headers.js';
import { describeOther, readLinkTags } from './link-tags.js';
import type { LinkTags } from './link-tags.js';
import { protocolName } from './names.js';
import { readIpv4Options, readTcpOptions } from './options.js';
import type {
  DecodedFrame,
  FrameInfo,
  IcmpMessage,
  Ipv4Packet,
  QuotedPacket,
  TcpSegment,
  Transport,
  UdpDatagram,
} from './packet.js';

/** Decodes the frame `[start, end)` of `b`. */
export function decodeFrame(info: FrameInfo, b: Buffer, start: number, end: number): DecodedFrame {
  const tags = readLinkTags(info.linkType, b, start, end);
  const notes: string[] = [];
  if (info.capturedLength < info.originalLength) {
    notes.push(`cut off: ${info.capturedLength} of ${info.originalLength} octets captured`);
  }
  const at = locateIpv4(info.linkType, b, start, end);
  if (at < 0) return withoutIpv4(info, tags, notes, describe(at, info, tags, b, end));
  const missing = Math.max(0, info.originalLength - info.capturedLength);
  const verdict = ipv4.check(b, at, end, missing);
  switch (verdict) {
    case ipv4.TRUNCATED:
      return withoutIpv4(info, tags, notes, `IPv4 header cut off after ${end - at} octets`);
    case ipv4.BAD_VERSION:
      return withoutIpv4(info, tags, notes, `IP version ${b[at]! >>> 4} where IPv4 was announced`);
    case ipv4.BAD_HEADER_LENGTH:
      return withoutIpv4(info, tags, notes, `IPv4 header length of ${(b[at]! & 15) << 2} octets, less than 20`);
  }
  const ip = decodeIpv4(b, at, end - at + missing, notes);
  const { transport, ports } = decodeTransport(ip, b, at, Math.min(end, at + ip.length), notes);
  return { info, tags, ip, transport, ports, other: '', notes };
}

/** Decodes a datagram put together from fragments, which ended with the frame of `info`. */
export function decodeDatagram(frame: DecodedFrame, datagram: Buffer): DecodedFrame {
  const ip = decodeIpv4(datagram, 0, datagram.length, []);
  const { transport, ports } = decodeTransport(ip, datagram, 0, datagram.length, frame.notes);
  return { ...frame, transport, ports };
}

function withoutIpv4(info: FrameInfo, tags: LinkTags, notes: string[], other: string): DecodedFrame {
  return { info, tags, ip: null, transport: null, ports: null, other, notes };
}

function describe(located: number, info: FrameInfo, tags: LinkTags, b: Buffer, end: number): string {
  if (located === LINK_NOT_IPV4) return describeOther(tags, b, end) || 'not IPv4';
  if (located === LINK_TRUNCATED) return `${linkTypeName(info.linkType)} header cut off`;
  return `${linkTypeName(info.linkType)} frames are not decoded`;
}

/** @param available octets from the header to the end of the frame, on the wire */
function decodeIpv4(b: Buffer, at: number, available: number, notes: string[]): Ipv4Packet {
  const header = readIpv4(b, at);
  const headerLength = header.headerWords * 4;
  let length = ipv4.packetLength(b, at, available);
  if (header.totalLength === 0) {
    notes.push(`IP length 0 (offload): ${length} octets in the frame`);
  } else if (length > available) {
    notes.push(`IP length ${length}, but the frame has ${available} octets`);
    length = available;
  } else if (length < headerLength) {
    notes.push(`IP length ${length} is less than its header's ${headerLength}`);
    length = headerLength;
  }
  return {
    header,
    options: headerLength === ipv4.MIN_HEADER ? [] : readIpv4Options(b, at + ipv4.MIN_HEADER, at + headerLength),
    checksum: judgeIpv4(b, at, headerLength, header.checksum, notes),
    length,
    isFragment: header.moreFragments === 1 || header.fragmentOffset > 0,
    fragmentOffset: header.fragmentOffset * 8,
  };
}

function judgeIpv4(b: Buffer, at: number, headerLength: number, field: number, notes: string[]): Checksum {
  if (ipv4.checksumHolds(b, at, headerLength)) return { field, verdict: 'ok', expected: field };
  const expected = expectedHeaderChecksum(b, at, at + headerLength, field);
  if (field === 0) {
    notes.push('IP checksum 0 (offload)');
    return { field, verdict: 'partial', expected };
  }
  notes.push(wrong('IP', field, expected));
  return { field, verdict: 'bad', expected };
}

interface DecodedTransport {
  readonly transport: Transport | null;
  readonly ports: DecodedFrame['ports'];
}

const NONE: DecodedTransport = { transport: null, ports: null };

/** @param end end of the packet's octets at hand */
function decodeTransport(ip: Ipv4Packet, b: Buffer, ipAt: number, end: number, notes: string[]): DecodedTransport {
  const { protocol } = ip.header;
  if (ip.fragmentOffset > 0) return NONE;
  const at = ipAt + ip.header.headerWords * 4;
  // On the wire; a first fragment has less than the whole.
  const length = ip.length - ip.header.headerWords * 4;
  let transport: Transport | null = null;
  if (protocol === ipv4.PROTOCOL_TCP) {
    if (tcp.check(b, at, end, length)) transport = decodeTcp(ip, b, at, end, length, notes);
  } else if (protocol === ipv4.PROTOCOL_UDP) {
    if (udp.check(b, at, end, Infinity)) transport = decodeUdp(ip, b, at, end, length, notes);
  } else if (protocol === ipv4.PROTOCOL_ICMP) {
    if (end - at >= icmp.HEADER) transport = decodeIcmp(ip, b, at, end, length, notes);
  } else {
    return NONE;
  }
  if (transport !== null) return { transport, ports: null };
  notes.push(`${protocolName(protocol)} header cut off or malformed`);
  const hasPorts = protocol !== ipv4.PROTOCOL_ICMP && end - at >= 4;
  return { transport, ports: hasPorts ? { source: get16(b, at), destination: get16(b, at + 2) } : null };
}

function decodeTcp(ip: Ipv4Packet, b: Buffer, at: number, end: number, length: number, notes: string[]): TcpSegment {
  const header = readTcp(b, at);
  const from = at + header.headerWords * 4;
  const isWhole = !ip.isFragment && end - at === length;
  const checksum = isWhole ? judgeWhole(ip, b, at, end, header.checksum, 'TCP', notes) : unchecked(header.checksum);
  const options = from - at === tcp.MIN_HEADER ? [] : readTcpOptions(b, at);
  const payload = { buffer: b, at: from, end, length: length - (from - at) };
  return { kind: 'tcp', header, options, checksum, payload };
}

function decodeUdp(ip: Ipv4Packet, b: Buffer, at: number, end: number, length: number, notes: string[]): UdpDatagram {
  const header = readUdp(b, at);
  // Of a fragmented datagram the header's length is the whole's; what follows a shorter one is padding.
  let wanted = header.length;
  if (wanted > length && !ip.isFragment) notes.push(`UDP length ${wanted}, but the packet has ${length} octets`);
  if (wanted > length) wanted = length;
  const isWhole = !ip.isFragment && header.length === wanted && end - at >= wanted;
  const last = Math.min(end, at + wanted);
  const checksum = isWhole ? judgeWhole(ip, b, at, last, header.checksum, 'UDP', notes) : unchecked(header.checksum);
  const payload = { buffer: b, at: at + udp.HEADER, end: last, length: wanted - udp.HEADER };
  return { kind: 'udp', header, checksum, payload };
}

function judgeWhole(
  ip: Ipv4Packet,
  b: Buffer,
  at: number,
  end: number,
  field: number,
  name: string,
  notes: string[],
): Checksum {
  const { source, destination, protocol } = ip.header;
  const judged = judgeTransport(b, at, end, source, destination, protocol, field);
  if (judged.verdict === 'bad') notes.push(wrong(name, field, judged.expected));
  if (judged.verdict === 'partial') notes.push(`partial ${name} checksum (offload)`);
  return judged;
}

function decodeIcmp(ip: Ipv4Packet, b: Buffer, at: number, end: number, length: number, notes: string[]): IcmpMessage {
  const header = readIcmp(b, at);
  const isWhole = !ip.isFragment && end - at === length;
  const checksum = isWhole ? judgeIcmp(b, at, end, header.checksum) : unchecked(header.checksum);
  if (checksum.verdict === 'bad') notes.push(wrong('ICMP', header.checksum, checksum.expected));
  const isError = icmp.isError(header.type) || header.type === icmp.REDIRECT;
  const quoted = isError ? decodeQuoted(b, at + icmp.HEADER, end) : null;
  if (isError && quoted === null) notes.push('the quoted packet is cut off');
  if (quoted !== null && !quoted.headerChecksumHolds) notes.push('bad IP checksum in the quoted packet');
  const payload = { buffer: b, at: at + icmp.HEADER, end, length: length - icmp.HEADER };
  return { kind: 'icmp', header, checksum, quoted, payload };
}

/** Octets that a quote may lack: it is mostly much shorter than the packet. */
const QUOTE_MISSING = 0xffff;

function decodeQuoted(b: Buffer, at: number, end: number): QuotedPacket | null {
  const verdict = ipv4.check(b, at, end, QUOTE_MISSING);
  if (verdict === ipv4.TRUNCATED || verdict === ipv4.BAD_VERSION || verdict === ipv4.BAD_HEADER_LENGTH) return null;
  const header = readIpv4(b, at);
  const l4 = at + header.headerWords * 4;
  const isTcp = header.protocol === ipv4.PROTOCOL_TCP;
  const hasPorts = (isTcp || header.protocol === ipv4.PROTOCOL_UDP) && header.fragmentOffset === 0 && end - l4 >= 4;
  return {
    header,
    headerChecksumHolds: verdict !== ipv4.BAD_CHECKSUM,
    sourcePort: hasPorts ? get16(b, l4) : -1,
    destinationPort: hasPorts ? get16(b, l4 + 2) : -1,
    sequence: hasPorts && isTcp && end - l4 >= 8 ? get32(b, l4 + 4) >>> 0 : -1,
  };
}

const fourHex = (n: number): string => `0x${n.toString(16).padStart(4, '0')}`;

const wrong = (name: string, field: number, expected: number): string =>
  `bad ${name} checksum ${fourHex(field)}, should be ${fourHex(expected)}`;
