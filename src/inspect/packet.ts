/** A packet as the inspector sees it: everything decoded, nothing formatted. */
import type { ProxyHeader } from '../wire/proxy/index.js';
import type { Checksum } from './checksums.js';
import type { IcmpHeader, Ipv4Header, TcpHeader, UdpHeader } from './headers.js';
import type { LinkTags } from './link-tags.js';
import type { Ipv4Option, TcpOption } from './options.js';

/** Where and when a frame was captured. */
export interface FrameInfo {
  /** From 1. */
  readonly frame: number;
  /** Since 1970, UTC; see `CaptureReader`. */
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly linkType: number;
  readonly interfaceIndex: number;
  /** Octets on the wire. */
  readonly originalLength: number;
  /** Octets in the capture. */
  readonly capturedLength: number;
  /** The capture's own comment on the packet, or empty. */
  readonly comment: string;
}

/** An IPv4 header with what it covers. */
export interface Ipv4Packet {
  readonly header: Ipv4Header;
  readonly options: readonly Ipv4Option[];
  readonly checksum: Checksum;
  /** Octets of header and payload; from the frame where the header says 0. */
  readonly length: number;
  readonly isFragment: boolean;
  /** Where the fragment's payload stands in the datagram's, in octets. */
  readonly fragmentOffset: number;
}

/** Octets of a payload: `[at, end)` of a buffer that is good until the next frame is read. */
export interface Payload {
  readonly buffer: Buffer;
  readonly at: number;
  readonly end: number;
  /** Octets on the wire; more than `end - at` where the capture cut them off. */
  readonly length: number;
}

export interface TcpSegment {
  readonly kind: 'tcp';
  readonly header: TcpHeader;
  readonly options: readonly TcpOption[];
  readonly checksum: Checksum;
  readonly payload: Payload;
}

export interface UdpDatagram {
  readonly kind: 'udp';
  readonly header: UdpHeader;
  readonly checksum: Checksum;
  readonly payload: Payload;
}

/** The packet that an ICMP error quotes, as far as it goes. */
export interface QuotedPacket {
  readonly header: Ipv4Header;
  readonly headerChecksumHolds: boolean;
  /** -1 where the quote has none, as the next one. */
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** TCP sequence number, 0 to 2^32-1, or -1. */
  readonly sequence: number;
}

export interface IcmpMessage {
  readonly kind: 'icmp';
  readonly header: IcmpHeader;
  readonly checksum: Checksum;
  /** For errors. */
  readonly quoted: QuotedPacket | null;
  readonly payload: Payload;
}

/** What IP carries, when it is decoded further. */
export type Transport = TcpSegment | UdpDatagram | IcmpMessage;

/** A decoded frame. */
export interface DecodedFrame {
  readonly info: FrameInfo;
  readonly tags: LinkTags;
  readonly ip: Ipv4Packet | null;
  readonly transport: Transport | null;
  /** Ports of a transport that is not decoded: its header is cut off, or stands in another fragment. */
  readonly ports: { readonly source: number; readonly destination: number } | null;
  /** A frame without (sound) IPv4 in a few words, or empty. */
  readonly other: string;
  /** What is remarkable or wrong. */
  readonly notes: string[];
}

/** Ports of a decoded transport. */
export const portsOf = ({ header }: TcpSegment | UdpDatagram): { source: number; destination: number } => ({
  source: header.sourcePort,
  destination: header.destinationPort,
});

/** The frame is a fragment that completes no datagram: its transport, if decoded at all, is cut short. */
export const isPart = ({ ip, transport }: DecodedFrame): boolean =>
  ip?.isFragment === true && (transport === null || transport.checksum.verdict === 'unchecked');

/** A PROXY header found in a stream. */
export interface ProxyFinding {
  /** Null where it is malformed. */
  readonly header: ProxyHeader | null;
  /** Octets of the header; 0 where it is malformed. */
  readonly length: number;
  /** What is wrong with it, or empty. */
  readonly problem: string;
  /** The stream's direction had shown it before: a retransmission. */
  readonly isRepeated: boolean;
}

/** Where a TCP segment stands in its stream. Sequence numbers are relative: 0 is the SYN's, 1 the first octet's. */
export interface StreamPosition {
  /** Number of the stream, from 1, in order of appearance. */
  readonly stream: number;
  /** Nothing of the stream was seen before. */
  readonly isFirst: boolean;
  readonly isFromClient: boolean;
  readonly sequence: number;
  readonly acknowledgment: number;
  /** Relative SACK edges. */
  readonly sack: readonly (readonly [left: number, right: number])[];
  /** Octets; what the header says, where the shift is not known. */
  readonly window: number;
  readonly isWindowScaled: boolean;
  /** Octets seen before, all of them. */
  readonly isRetransmission: boolean;
  readonly proxy: ProxyFinding | null;
}
