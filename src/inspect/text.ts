/** One line a packet. */
import { formatAddress } from '../wire/address.js';
import type { CaptureInterface } from '../capture/index.js';
import type { Palette } from './colour.js';
import { icmpName, isEcho, protocolName } from './names.js';
import type { TcpOption } from './options.js';
import { isPart, portsOf } from './packet.js';
import type { DecodedFrame, IcmpMessage, Ipv4Packet, QuotedPacket, StreamPosition, TcpSegment } from './packet.js';
import { printable } from './printable.js';
import { proxyText } from './proxy-view.js';
import type { Instant, TimeStyle } from './time.js';
import { date, decimal, since } from './time.js';

export interface TextOptions {
  readonly time: TimeStyle;
  /** Sequence numbers as they stand in the header. */
  readonly absoluteSequence: boolean;
  readonly palette: Palette;
}

const FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR'];
/** The order in which flags are read aloud. */
const FLAG_ORDER = [1, 0, 2, 3, 5, 6, 7, 4];

/** Names of the TCP flags that are set, for example `SYN,ACK`; `none` without any. */
export const flagNames = (flags: number): string =>
  FLAG_TEXTS[flags] ??
  (FLAG_TEXTS[flags] =
    FLAG_ORDER.filter((bit) => (flags & (1 << bit)) !== 0)
      .map((bit) => FLAGS[bit]!)
      .join(',') || 'none');
const FLAG_TEXTS: string[] = [];

export class LineWriter {
  readonly #options: TextOptions;
  readonly #interfaces: readonly CaptureInterface[];
  #first: Instant | null = null;
  #previous: Instant | null = null;

  /** @param interfaces of the capture; those met later are appended to it */
  constructor(options: TextOptions, interfaces: readonly CaptureInterface[]) {
    this.#options = options;
    this.#interfaces = interfaces;
  }

  /** To be called for every packet of the capture, shown or not: relative times count from the first. */
  see({ info }: DecodedFrame): void {
    this.#first ??= { seconds: info.seconds, nanoseconds: info.nanoseconds };
  }

  /** The line of a packet, with its line feed. @param digits of the seconds' fraction */
  line(frame: DecodedFrame, position: StreamPosition | null, digits: 6 | 9): string {
    const { palette } = this.#options;
    const parts = [
      String(frame.info.frame).padStart(6),
      palette.dim(this.#time(frame.info, digits).padStart(digits + 6)),
    ];
    const where = this.#where(frame);
    if (where !== '') parts.push(palette.dim(where));
    if (position !== null) parts.push(palette.stream(`#${position.stream}`));
    parts.push(frame.ip === null ? printable(frame.other) : this.#packet(frame, frame.ip, position));
    if (position?.proxy?.header) parts.push(palette.proxy(`| ${proxyText(position.proxy.header)}`));
    if (frame.notes.length > 0) parts.push(palette.note(`! ${frame.notes.map(printable).join('; ')}`));
    if (frame.info.comment !== '') parts.push(palette.dim(`"${printable(frame.info.comment)}"`));
    return `${parts.join(' ')}\n`;
  }

  #time({ seconds, nanoseconds }: Instant, digits: 6 | 9): string {
    const now = { seconds, nanoseconds };
    const { time } = this.#options;
    if (time === 'absolute') return date(now, digits);
    const from = time === 'relative' ? this.#first : this.#previous;
    this.#previous = now;
    return decimal(since(from ?? now, now), digits);
  }

  /** Interface, VLAN, PPPoE and MPLS, where they tell packets apart. */
  #where({ info, tags }: DecodedFrame): string {
    const words: string[] = [];
    const face = this.#interfaces[info.interfaceIndex];
    if (this.#interfaces.length > 1) words.push(face?.name ? printable(face.name) : `if${info.interfaceIndex}`);
    for (const vlan of tags.vlans) words.push(`vlan ${vlan}`);
    if (tags.pppoe >= 0) words.push(`pppoe ${tags.pppoe}`);
    for (const label of tags.mpls) words.push(`mpls ${label}`);
    return words.length === 0 ? '' : `{${words.join(' ')}}`;
  }

  #packet(frame: DecodedFrame, ip: Ipv4Packet, position: StreamPosition | null): string {
    const { palette } = this.#options;
    const { transport, ports } = frame;
    const { header } = ip;
    const name = palette.protocol(protocolName(header.protocol));
    const from = formatAddress(header.source);
    const to = formatAddress(header.destination);
    const tail = ipText(ip);
    if (transport === null || isPart(frame)) {
      const at = transport === null || transport.kind === 'icmp' ? ports : portsOf(transport);
      const ends = at === null ? `${from} > ${to}` : `${from}:${at.source} > ${to}:${at.destination}`;
      return `${name} ${ends} len ${ip.length - header.headerWords * 4}${tail}`;
    }
    switch (transport.kind) {
      case 'tcp': {
        const { sourcePort, destinationPort } = transport.header;
        return `${name} ${from}:${sourcePort} > ${to}:${destinationPort} ${this.#tcp(transport, position)}${tail}`;
      }
      case 'udp': {
        const { sourcePort, destinationPort } = transport.header;
        return `${name} ${from}:${sourcePort} > ${to}:${destinationPort} len ${transport.payload.length}${tail}`;
      }
      case 'icmp':
        return `${name} ${from} > ${to} ${icmpText(transport)}${tail}`;
    }
  }

  #tcp(segment: TcpSegment, position: StreamPosition | null): string {
    const { header, options, payload } = segment;
    const isRelative = position !== null && !this.#options.absoluteSequence;
    const words = [`[${flagNames(header.flags)}]`, 'seq', String(isRelative ? position.sequence : header.sequence)];
    if ((header.flags & 0x10) !== 0) {
      words.push('ack', String(isRelative ? position.acknowledgment : header.acknowledgment));
    }
    words.push('win', String(position?.window ?? header.window));
    if ((header.flags & 0x20) !== 0) words.push('urg', String(header.urgentPointer));
    words.push('len', String(payload.length));
    if (options.length > 0) {
      const sack = isRelative && position.sack.length > 0 ? position.sack : null;
      words.push(`<${options.map((option) => optionText(option, sack)).join(', ')}>`);
    }
    return words.join(' ');
  }
}

/** What the IPv4 header says beyond the ordinary. */
function ipText({ header, options, isFragment, fragmentOffset }: Ipv4Packet): string {
  const words: string[] = [];
  if (isFragment) {
    words.push(
      `frag id ${header.identification} offset ${fragmentOffset}${header.moreFragments === 1 ? '+' : ' last'}`,
    );
  }
  for (const { name, data } of options) words.push(data === '' ? name : `${name} ${data}`);
  return words.length === 0 ? '' : ` (${words.join(', ')})`;
}

function icmpText({ header, quoted, payload }: IcmpMessage): string {
  const name = icmpName(header.type, header.code);
  if (isEcho(header.type)) return `${name} id ${header.high} seq ${header.low} len ${payload.length}`;
  if (quoted === null) return `${name} len ${payload.length}`;
  const mtu = header.type === 3 && header.code === 4 ? ` mtu ${header.low}` : '';
  const route = header.type === 5 ? ` to ${formatAddress(header.high * 65536 + header.low)}` : '';
  return `${name}${mtu}${route}, about ${quotedText(quoted)}`;
}

function quotedText({ header, sourcePort, destinationPort, sequence }: QuotedPacket): string {
  const at = (address: number, port: number): string =>
    port < 0 ? formatAddress(address) : `${formatAddress(address)}:${port}`;
  const ends = `${at(header.source, sourcePort)} > ${at(header.destination, destinationPort)}`;
  return `[${protocolName(header.protocol)} ${ends}${sequence < 0 ? '' : ` seq ${sequence}`}]`;
}

/** @param sack relative blocks to show in place of the option's own */
function optionText(option: TcpOption, sack: StreamPosition['sack'] | null): string {
  switch (option.name) {
    case 'mss':
      return `mss ${option.mss}`;
    case 'window-scale':
      return `ws ${option.shift}`;
    case 'sack-permitted':
      return 'sackOK';
    case 'sack':
      return `sack ${(sack ?? option.blocks).map(([left, right]) => `${left}..${right}`).join(' ')}`;
    case 'timestamps':
      return `ts ${option.value}/${option.echo}`;
    case 'mptcp':
      return `mptcp ${option.subtype}${option.version === undefined ? '' : ` v${option.version}`}`;
    case 'fast-open':
      return `tfo ${option.cookie === '' ? 'request' : option.cookie}${option.experimental ? ' experimental' : ''}`;
    case 'user-timeout':
      return `user timeout ${option.seconds} s`;
    case 'md5':
    case 'ao':
      return option.name;
    case 'unknown':
      return `option ${option.kind}${option.data === '' ? '' : ` ${option.data}`}`;
    case 'malformed':
      return `malformed option ${option.kind}`;
  }
}
