/**
 * Link layers: where, in a captured frame, the IPv4 header starts.
 *
 * Link types are the numbers of capture files (LINKTYPE_ and DLT_ values, as registered with the tcpdump group).
 * `locateIpv4` only walks the encapsulation; whether what follows is a sound IPv4 packet is for the IP check to say.
 */
import { get16 } from './octets.js';

/** BSD loopback: a 4-octet address family in the byte order of the capturing machine. */
export const LINK_NULL = 0;
/** Ethernet, without preamble or FCS. */
export const LINK_ETHERNET = 1;
/** PPP, with or without the HDLC address and control octets (RFC 1661, RFC 1662). */
export const LINK_PPP = 9;
/** IP without a link layer, as OpenBSD and some others number it. */
export const LINK_RAW_12 = 12;
/** IP without a link layer, as BSD/OS numbers it. */
export const LINK_RAW_14 = 14;
/** PPP in HDLC-like framing (RFC 1662). */
export const LINK_PPP_HDLC = 50;
/** IP without a link layer, version by its first four bits. */
export const LINK_RAW = 101;
/** Cisco HDLC: address, control, EtherType. */
export const LINK_C_HDLC = 104;
/** OpenBSD loopback: a 4-octet address family in network byte order. */
export const LINK_LOOP = 108;
/** Linux cooked capture, version 1: 16 octets. */
export const LINK_LINUX_SLL = 113;
/** IPv4 without a link layer. */
export const LINK_IPV4 = 228;
/** IPv6 without a link layer. */
export const LINK_IPV6 = 229;
/** Linux cooked capture, version 2: 20 octets. */
export const LINK_LINUX_SLL2 = 276;

/** The frame carries something other than IPv4: ARP, IPv6, a control protocol. */
export const LINK_NOT_IPV4 = -1;
/** The frame ends inside its link-layer headers. */
export const LINK_TRUNCATED = -2;
/** Frames of this link type are not understood. */
export const LINK_UNSUPPORTED = -3;

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_VLAN = 0x8100; // IEEE 802.1Q
const ETHERTYPE_QINQ = 0x88a8; // IEEE 802.1ad
const ETHERTYPE_QINQ_9100 = 0x9100; // older switches' outer tags
const ETHERTYPE_QINQ_9200 = 0x9200;
const ETHERTYPE_MPLS = 0x8847; // RFC 5332
const ETHERTYPE_MPLS_UPSTREAM = 0x8848;
const ETHERTYPE_PPPOE_SESSION = 0x8864; // RFC 2516
/** Below this the field is the length of an IEEE 802.3 frame and an LLC header follows. */
const ETHERTYPE_MIN = 0x0600;
const PPP_IPV4 = 0x0021; // RFC 1332
/** The only address family that means IPv4, the same on every system. */
const AF_INET = 2;

/**
 * Finds the IPv4 header of a frame. Never reads outside `[start, end)`.
 *
 * A frame of a RAW link type is taken for IPv4 unless it says it is IPv6, so that a bad version is counted
 * where versions are checked.
 *
 * @param linkType link type of the capture or the interface
 * @param b the octets
 * @param start offset of the frame's first octet
 * @param end offset just past the frame's last captured octet
 * @returns the absolute offset of the IPv4 header, at most `end`; or LINK_NOT_IPV4, LINK_TRUNCATED or
 * LINK_UNSUPPORTED, all negative
 */
export function locateIpv4(linkType: number, b: Buffer, start: number, end: number): number {
  switch (linkType) {
    case LINK_ETHERNET: {
      if (end - start < 14) return LINK_TRUNCATED;
      const type = get16(b, start + 12);
      if (type === ETHERTYPE_IPV4) return start + 14;
      return type < ETHERTYPE_MIN ? afterLlc(b, start + 14, end) : afterEtherType(type, b, start + 14, end);
    }
    case LINK_RAW:
    case LINK_RAW_12:
    case LINK_RAW_14:
    case LINK_IPV4:
    case LINK_IPV6:
      if (start >= end) return LINK_TRUNCATED;
      return b[start]! >> 4 === 6 ? LINK_NOT_IPV4 : start;
    case LINK_LINUX_SLL:
      if (end - start < 16) return LINK_TRUNCATED;
      return afterEtherType(get16(b, start + 14), b, start + 16, end);
    case LINK_LINUX_SLL2:
      if (end - start < 20) return LINK_TRUNCATED;
      return afterEtherType(get16(b, start), b, start + 20, end);
    case LINK_NULL:
    case LINK_LOOP: {
      if (end - start < 4) return LINK_TRUNCATED;
      if (b[start + 1] !== 0 || b[start + 2] !== 0) return LINK_NOT_IPV4;
      const first = b[start]!;
      const last = b[start + 3]!;
      if (first === 0 && last === AF_INET) return start + 4;
      return linkType === LINK_NULL && first === AF_INET && last === 0 ? start + 4 : LINK_NOT_IPV4;
    }
    case LINK_PPP:
    case LINK_PPP_HDLC: {
      // Address 0xff and control 0x03 may have been negotiated away (RFC 1661 section 6.6); no protocol number
      // starts with 0xff, so that they are told apart by sight.
      const framed = end - start >= 2 && b[start] === 0xff && b[start + 1] === 0x03;
      return afterPpp(b, framed ? start + 2 : start, end);
    }
    case LINK_C_HDLC:
      if (end - start < 4) return LINK_TRUNCATED;
      return afterEtherType(get16(b, start + 2), b, start + 4, end);
    default:
      return LINK_UNSUPPORTED;
  }
}

/** Walks VLAN tags, then PPPoE or MPLS. `at` is the offset after the EtherType field. */
function afterEtherType(etherType: number, b: Buffer, at: number, end: number): number {
  let type = etherType;
  let p = at;
  while (
    type === ETHERTYPE_VLAN ||
    type === ETHERTYPE_QINQ ||
    type === ETHERTYPE_QINQ_9100 ||
    type === ETHERTYPE_QINQ_9200
  ) {
    if (end - p < 4) return LINK_TRUNCATED;
    type = get16(b, p + 2);
    p += 4;
  }
  if (type === ETHERTYPE_IPV4) return p;
  if (type === ETHERTYPE_PPPOE_SESSION) return afterPpp(b, p + 6, end);
  if (type === ETHERTYPE_MPLS || type === ETHERTYPE_MPLS_UPSTREAM) return afterMpls(b, p, end);
  return LINK_NOT_IPV4;
}

/** An IEEE 802.3 frame: only LLC SNAP with the null OUI says an EtherType (RFC 1042). */
function afterLlc(b: Buffer, at: number, end: number): number {
  if (end - at < 8) return LINK_NOT_IPV4;
  const snap = b[at] === 0xaa && b[at + 1] === 0xaa && b[at + 2] === 0x03;
  if (!snap || b[at + 3] !== 0 || b[at + 4] !== 0 || b[at + 5] !== 0) return LINK_NOT_IPV4;
  return afterEtherType(get16(b, at + 6), b, at + 8, end);
}

function afterPpp(b: Buffer, at: number, end: number): number {
  if (end - at < 2) return LINK_TRUNCATED;
  return get16(b, at) === PPP_IPV4 ? at + 2 : LINK_NOT_IPV4;
}

/** Pops labels to the bottom of the stack; nothing then names the payload but its first four bits (RFC 3032). */
function afterMpls(b: Buffer, at: number, end: number): number {
  for (let p = at; end - p >= 4; p += 4) {
    if ((b[p + 2]! & 1) === 0) continue;
    if (end - p < 5) return LINK_TRUNCATED;
    return b[p + 4]! >> 4 === 4 ? p + 4 : LINK_NOT_IPV4;
  }
  return LINK_TRUNCATED;
}

const NAMES: ReadonlyMap<number, string> = new Map([
  [LINK_NULL, 'BSD loopback'],
  [LINK_ETHERNET, 'Ethernet'],
  [LINK_PPP, 'PPP'],
  [LINK_RAW_12, 'raw IP'],
  [LINK_RAW_14, 'raw IP'],
  [LINK_PPP_HDLC, 'PPP in HDLC framing'],
  [LINK_RAW, 'raw IP'],
  [LINK_C_HDLC, 'Cisco HDLC'],
  [LINK_LOOP, 'OpenBSD loopback'],
  [LINK_LINUX_SLL, 'Linux cooked v1'],
  [LINK_IPV4, 'raw IPv4'],
  [LINK_IPV6, 'raw IPv6'],
  [LINK_LINUX_SLL2, 'Linux cooked v2'],
  // Not understood, but often met: a message that names them helps more than a number.
  [105, 'IEEE 802.11'],
  [127, 'IEEE 802.11 with radiotap'],
  [189, 'USB (Linux)'],
  [195, 'IEEE 802.15.4'],
  [220, 'USB (Linux, padded)'],
  [239, 'Linux netfilter log'],
  [253, 'Linux netlink'],
]);

/** The link type in words, for messages; a number without a name is told as a number. */
export function linkTypeName(linkType: number): string {
  return NAMES.get(linkType) ?? `link type ${String(linkType)}`;
}
