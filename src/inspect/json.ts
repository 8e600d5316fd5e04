/**
 * One JSON object a packet. Fields that do not apply are left out:
 *
 * - `frame` number from 1; `time` seconds since 1970 with nine digits (a JSON number: read it as a decimal to keep
 *   them all); `length` octets on the wire; `captured` octets in the file
 * - `interface` index, `interfaceName`; `linkType` number; `vlan`, `mpls` lists, outermost first; `pppoe` session
 * - `protocol`: `tcp`, `udp`, `icmp`, `ip` for any other that IPv4 carries, or what the frame carries instead (`arp`,
 *   `ipv6`, `unknown`, …); `other`: such a frame in words
 * - `ip`: `source`, `destination`, `protocol`, `tos`, `length`, `id`, `ttl`, `dontFragment`, `moreFragments`,
 *   `fragmentOffset` in octets, `options`, `checksum`
 * - `tcp`: `sourcePort`, `destinationPort`, `sequence` and `acknowledgment` as in the header, `relativeSequence`,
 *   `relativeAcknowledgment`, `flags` list, `window` in octets, `urgentPointer`, `options`, `payload` octets, `checksum`
 * - `udp`: `sourcePort`, `destinationPort`, `length`, `payload`, `checksum`
 * - `icmp`: `type`, `code`, `name`, `id` and `sequence` of echoes, `mtu`, `quoted` packet, `checksum`
 * - `stream` number from 1 and `direction`, `client` or `server` as its sender; `retransmission`
 * - `proxy`: the PROXY header that ends in this segment
 * - `notes`: what is remarkable or wrong, in words; `comment`: the capture's own
 *
 * A `checksum` is an object of `field` and `verdict` (`ok`, `bad`, `partial`, `absent`, `unchecked`), and `expected`
 * where it is bad.
 */
import type { CaptureInterface } from '../capture/index.js';
import { formatAddress } from '../wire/address.js';
import { PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP } from '../wire/ipv4.js';
import type { Checksum } from './checksums.js';
import { icmpName, isEcho } from './names.js';
import type { DecodedFrame, IcmpMessage, Ipv4Packet, StreamPosition, TcpSegment, UdpDatagram } from './packet.js';
import { proxyJson } from './proxy-view.js';
import { flagNames } from './text.js';
import { decimal } from './time.js';

const PROTOCOLS: ReadonlyMap<number, string> = new Map([
  [PROTOCOL_TCP, 'tcp'],
  [PROTOCOL_UDP, 'udp'],
  [PROTOCOL_ICMP, 'icmp'],
]);

/** The JSON of a packet, with a line feed. */
export function jsonLine(
  frame: DecodedFrame,
  position: StreamPosition | null,
  face: CaptureInterface | undefined,
): string {
  const { info, ip, tags, transport } = frame;
  const rest = {
    length: info.originalLength,
    captured: info.capturedLength,
    interface: info.interfaceIndex,
    interfaceName: face?.name === '' ? undefined : face?.name,
    linkType: info.linkType,
    vlan: tags.vlans.length > 0 ? tags.vlans : undefined,
    pppoe: tags.pppoe >= 0 ? tags.pppoe : undefined,
    mpls: tags.mpls.length > 0 ? tags.mpls : undefined,
    protocol: ip === null ? tags.network || 'unknown' : (PROTOCOLS.get(ip.header.protocol) ?? 'ip'),
    other: frame.other === '' ? undefined : frame.other,
    ip: ip === null ? undefined : ipJson(ip),
    tcp: transport?.kind === 'tcp' ? tcpJson(transport, position) : undefined,
    udp: transport?.kind === 'udp' ? udpJson(transport) : undefined,
    icmp: transport?.kind === 'icmp' ? icmpJson(transport) : undefined,
    ports: frame.ports ?? undefined,
    stream: position?.stream,
    direction: position === null ? undefined : position.isFromClient ? 'client' : 'server',
    retransmission: position?.isRetransmission === true ? true : undefined,
    proxy: position?.proxy?.header ? proxyJson(position.proxy.header, position.proxy.length) : undefined,
    notes: frame.notes.length > 0 ? frame.notes : undefined,
    comment: info.comment === '' ? undefined : info.comment,
  };
  // Put together by hand because a JavaScript number would not hold the time's nine digits.
  return `{"frame":${info.frame},"time":${decimal(info, 9)},${JSON.stringify(rest).slice(1)}\n`;
}

const checksumJson = ({ field, verdict, expected }: Checksum): Record<string, unknown> =>
  verdict === 'bad' ? { field, verdict, expected } : { field, verdict };

function ipJson({ header, options, checksum, length, fragmentOffset }: Ipv4Packet): Record<string, unknown> {
  return {
    source: formatAddress(header.source),
    destination: formatAddress(header.destination),
    protocol: header.protocol,
    tos: header.tos,
    length,
    id: header.identification,
    ttl: header.ttl,
    dontFragment: header.dontFragment === 1,
    moreFragments: header.moreFragments === 1,
    fragmentOffset,
    options: options.length > 0 ? options : undefined,
    checksum: checksumJson(checksum),
  };
}

function tcpJson(segment: TcpSegment, position: StreamPosition | null): Record<string, unknown> {
  const { header, options, checksum, payload } = segment;
  const hasAck = (header.flags & 0x10) !== 0;
  return {
    sourcePort: header.sourcePort,
    destinationPort: header.destinationPort,
    sequence: header.sequence,
    acknowledgment: hasAck ? header.acknowledgment : undefined,
    relativeSequence: position?.sequence,
    relativeAcknowledgment: hasAck ? position?.acknowledgment : undefined,
    flags: header.flags === 0 ? [] : flagNames(header.flags).split(','),
    window: position?.window ?? header.window,
    urgentPointer: (header.flags & 0x20) !== 0 ? header.urgentPointer : undefined,
    options: options.length > 0 ? options : undefined,
    payload: payload.length,
    checksum: checksumJson(checksum),
  };
}

function udpJson({ header, checksum, payload }: UdpDatagram): Record<string, unknown> {
  const { sourcePort, destinationPort, length } = header;
  return { sourcePort, destinationPort, length, payload: payload.length, checksum: checksumJson(checksum) };
}

function icmpJson({ header, checksum, quoted, payload }: IcmpMessage): Record<string, unknown> {
  const { type, code, high, low } = header;
  return {
    type,
    code,
    name: icmpName(type, code),
    ...(isEcho(type) ? { id: high, sequence: low } : {}),
    mtu: type === 3 && code === 4 ? low : undefined,
    payload: payload.length,
    quoted:
      quoted === null
        ? undefined
        : {
            source: formatAddress(quoted.header.source),
            destination: formatAddress(quoted.header.destination),
            protocol: quoted.header.protocol,
            sourcePort: quoted.sourcePort < 0 ? undefined : quoted.sourcePort,
            destinationPort: quoted.destinationPort < 0 ? undefined : quoted.destinationPort,
            sequence: quoted.sequence < 0 ? undefined : quoted.sequence,
          },
    checksum: checksumJson(checksum),
  };
}
