/**
 * What stands before the IPv4 header of a frame (VLAN tags, PPPoE session, MPLS labels), and what a frame that carries
 * no IPv4 carries instead. Where the IPv4 header starts is for `locateIpv4` to say; this only describes.
 */
import { formatAddress } from '../wire/address.js';
import {
  LINK_C_HDLC,
  LINK_ETHERNET,
  LINK_LINUX_SLL,
  LINK_LINUX_SLL2,
  LINK_PPP,
  LINK_PPP_HDLC,
  linkTypeName,
} from '../wire/link.js';
import { get16, get32 } from '../wire/octets.js';
import { readIpv6 } from '../wire/proxy/address.js';
import { protocolName } from './names.js';

export interface LinkTags {
  /** VLAN identifiers, outermost first, 0 to 4095. */
  readonly vlans: readonly number[];
  /** PPPoE session, or -1. */
  readonly pppoe: number;
  /** MPLS labels, outermost first. */
  readonly mpls: readonly number[];
  /** What is carried when it is not IPv4: `arp`, `ipv6`, `ethertype 0x88cc`; `ipv4`, or empty when it cannot be told. */
  readonly network: string;
  /** Where that starts. */
  readonly at: number;
}

const NOTHING: LinkTags = { vlans: [], pppoe: -1, mpls: [], network: '', at: 0 };
/** Shared by all frames that have nothing but IPv4 on Ethernet. */
const PLAIN: LinkTags = { ...NOTHING, network: 'ipv4' };

const ETHERTYPES: ReadonlyMap<number, string> = new Map([
  [0x0800, 'ipv4'],
  [0x0806, 'arp'],
  [0x86dd, 'ipv6'],
  [0x8863, 'pppoe-discovery'],
  [0x888e, 'eapol'],
  [0x88cc, 'lldp'],
]);
const TAG_TYPES: ReadonlySet<number> = new Set([0x8100, 0x88a8, 0x9100, 0x9200]);
const PPP_PROTOCOLS: ReadonlyMap<number, string> = new Map([
  [0x0021, 'ipv4'],
  [0x0057, 'ipv6'],
  [0x0281, 'mpls'],
  [0x8021, 'ipcp'],
  [0xc021, 'lcp'],
  [0xc023, 'pap'],
  [0xc223, 'chap'],
]);

const fourHex = (n: number): string => n.toString(16).padStart(4, '0');

/** Describes the frame `[start, end)`; reads nothing outside it. */
export function readLinkTags(linkType: number, b: Buffer, start: number, end: number): LinkTags {
  const length = end - start;
  switch (linkType) {
    case LINK_ETHERNET: {
      if (length < 14) return NOTHING;
      const type = get16(b, start + 12);
      if (type === 0x0800) return PLAIN;
      return type < 0x0600 ? afterLength(b, start + 14, end) : afterEtherType(type, b, start + 14, end);
    }
    case LINK_LINUX_SLL:
      return length < 16 ? NOTHING : afterEtherType(get16(b, start + 14), b, start + 16, end);
    case LINK_LINUX_SLL2:
      return length < 20 ? NOTHING : afterEtherType(get16(b, start), b, start + 20, end);
    case LINK_C_HDLC:
      return length < 4 ? NOTHING : afterEtherType(get16(b, start + 2), b, start + 4, end);
    case LINK_PPP:
    case LINK_PPP_HDLC: {
      const isFramed = length >= 2 && b[start] === 0xff && b[start + 1] === 0x03;
      return afterPpp(b, isFramed ? start + 2 : start, end, NOTHING);
    }
    default:
      if (length >= 1 && b[start]! >>> 4 === 6 && linkTypeName(linkType).startsWith('raw')) {
        return { ...NOTHING, network: 'ipv6', at: start };
      }
      return NOTHING;
  }
}

/** IEEE 802.3 with LLC; SNAP carries an EtherType (RFC 1042). */
function afterLength(b: Buffer, at: number, end: number): LinkTags {
  if (end - at >= 8 && b[at] === 0xaa && b[at + 1] === 0xaa) return afterEtherType(get16(b, at + 6), b, at + 8, end);
  return { ...NOTHING, network: end - at >= 2 && b[at] === 0x42 ? 'stp' : 'llc', at };
}

function afterEtherType(etherType: number, b: Buffer, at: number, end: number): LinkTags {
  const vlans: number[] = [];
  let type = etherType;
  let p = at;
  for (; TAG_TYPES.has(type); p += 4) {
    if (end - p < 4) return { ...NOTHING, vlans };
    vlans.push(get16(b, p) & 0xfff);
    type = get16(b, p + 2);
  }
  const soFar: LinkTags = { ...NOTHING, vlans, at: p };
  if (type === 0x8864) {
    return end - p < 6 ? soFar : afterPpp(b, p + 6, end, { ...soFar, pppoe: get16(b, p + 2) });
  }
  if (type === 0x8847 || type === 0x8848) return afterMpls(b, p, end, soFar);
  return { ...soFar, network: ETHERTYPES.get(type) ?? `ethertype 0x${fourHex(type)}` };
}

function afterPpp(b: Buffer, at: number, end: number, soFar: LinkTags): LinkTags {
  if (end - at < 2) return soFar;
  const protocol = get16(b, at);
  return { ...soFar, network: PPP_PROTOCOLS.get(protocol) ?? `ppp 0x${fourHex(protocol)}`, at: at + 2 };
}

function afterMpls(b: Buffer, at: number, end: number, soFar: LinkTags): LinkTags {
  const mpls: number[] = [];
  for (let p = at; end - p >= 4; p += 4) {
    mpls.push(get32(b, p) >>> 12);
    if ((b[p + 2]! & 1) === 0) continue;
    const version = p + 4 < end ? b[p + 4]! >>> 4 : 0;
    return { ...soFar, mpls, network: version === 4 ? 'ipv4' : version === 6 ? 'ipv6' : '', at: p + 4 };
  }
  return { ...soFar, mpls };
}

/** A frame without IPv4 in a few words; `network` where no more can be told. */
export function describeOther(tags: LinkTags, b: Buffer, end: number): string {
  const { network, at } = tags;
  if (network === 'arp' && end - at >= 28 && get16(b, at + 2) === 0x0800) {
    const sender = formatAddress(get32(b, at + 14) >>> 0);
    const target = formatAddress(get32(b, at + 24) >>> 0);
    const operation = get16(b, at + 6);
    if (operation === 1) return `ARP who has ${target}? tell ${sender}`;
    if (operation === 2) return `ARP ${sender} is at ${hardwareAddress(b, at + 8)}`;
  }
  if (network === 'ipv6' && end - at >= 40) {
    const next = protocolName(b[at + 6]!);
    return `IPv6 ${readIpv6(b, at + 8)} > ${readIpv6(b, at + 24)} ${next} len ${get16(b, at + 4)}`;
  }
  return network === 'ipv6' ? 'IPv6' : /^[a-z]{3,4}$/.test(network) ? network.toUpperCase() : network;
}

function hardwareAddress(b: Buffer, at: number): string {
  return b.toString('hex', at, at + 6).replace(/..(?!$)/g, '$&:');
}
