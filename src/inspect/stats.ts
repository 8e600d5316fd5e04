/** Counts over a capture. */
import type { CaptureInterface } from '../capture/index.js';
import { formatAddress } from '../wire/address.js';
import { linkTypeName } from '../wire/link.js';
import { protocolName } from './names.js';
import type { DecodedFrame, StreamPosition } from './packet.js';
import { printable } from './printable.js';
import { linkIdOf } from './proxy-view.js';
import type { Instant } from './time.js';
import { decimal, isBefore, since } from './time.js';

/** Addresses and LINKIDs counted at a time; past that the smallest give way and the list is approximate. */
const MAX_COUNTED = 65536;
const TOP = 10;

interface Tally {
  packets: number;
  octets: number;
}

/** A bounded map of tallies. */
class Tallies<K> {
  readonly entries = new Map<K, Tally>();
  isApproximate = false;

  add(key: K, octets: number): void {
    let tally = this.entries.get(key);
    if (tally === undefined) {
      if (this.entries.size >= MAX_COUNTED) this.#dropSmallerHalf();
      tally = { packets: 0, octets: 0 };
      this.entries.set(key, tally);
    }
    tally.packets++;
    tally.octets += octets;
  }

  top(most: number): [K, Tally][] {
    return [...this.entries].sort(([, a], [, z]) => z.octets - a.octets || z.packets - a.packets).slice(0, most);
  }

  #dropSmallerHalf(): void {
    const kept = this.top(MAX_COUNTED / 2);
    this.entries.clear();
    for (const [key, tally] of kept) this.entries.set(key, tally);
    this.isApproximate = true;
  }
}

/** What `culvert inspect --stats --json` gives. */
export interface StatsReport {
  /** Packets counted: those that the filter lets through. */
  readonly packets: number;
  /** On the wire. */
  readonly octets: number;
  /** In the capture. */
  readonly capturedOctets: number;
  /** Seconds since 1970, nine digits; null without packets. */
  readonly firstTime: string | null;
  readonly lastTime: string | null;
  /** Seconds, nine digits. */
  readonly duration: string;
  readonly interfaces: readonly { readonly index: number; readonly name: string; readonly packets: number }[];
  readonly linkTypes: readonly { readonly linkType: number; readonly name: string; readonly packets: number }[];
  readonly protocols: readonly { readonly name: string; readonly packets: number; readonly octets: number }[];
  /** TCP streams and UDP flows that have a packet among those counted. */
  readonly tcpStreams: number;
  readonly udpFlows: number;
  /** Segments, all of whose octets had been seen in their stream. */
  readonly retransmissions: number;
  readonly fragments: number;
  /** Packets that the capture cut off. */
  readonly cutOff: number;
  /** Packets by what is wrong with a checksum of theirs: `bad` or `partial`. */
  readonly badChecksums: number;
  readonly partialChecksums: number;
  readonly icmpErrors: number;
  /** PROXY headers by version, each once a stream and direction; malformed ones, and those sent again. */
  readonly proxyHeaders: {
    readonly v1: number;
    readonly v2: number;
    readonly malformed: number;
    readonly repeated: number;
  };
  /** Streams by LINKID. */
  readonly linkIds: readonly { readonly linkId: number; readonly streams: number }[];
  readonly topTalkers: readonly { readonly address: string; readonly packets: number; readonly octets: number }[];
  /** There were too many addresses, LINKIDs or flows at a time to count them all exactly. */
  readonly isApproximate: boolean;
}

export class Stats {
  #packets = 0;
  #octets = 0;
  #capturedOctets = 0;
  #first: Instant | null = null;
  #last: Instant | null = null;
  readonly #interfaces = new Tallies<number>();
  readonly #linkTypes = new Tallies<number>();
  readonly #protocols = new Tallies<string>();
  readonly #talkers = new Tallies<number>();
  readonly #linkIds = new Tallies<number>();
  #tcpStreams = 0;
  #udpFlows = 0;
  #retransmissions = 0;
  #fragments = 0;
  #cutOff = 0;
  #bad = 0;
  #partial = 0;
  #icmpErrors = 0;
  readonly #proxy = { v1: 0, v2: 0, malformed: 0, repeated: 0 };

  /** @param isNewFlow the packet is the first of a TCP stream or UDP flow */
  add(frame: DecodedFrame, position: StreamPosition | null, isNewFlow: boolean): void {
    const { info, ip, tags, transport } = frame;
    const octets = info.originalLength;
    this.#packets++;
    this.#octets += octets;
    this.#capturedOctets += info.capturedLength;
    if (this.#first === null || isBefore(info, this.#first)) this.#first = instantOf(info);
    if (this.#last === null || isBefore(this.#last, info)) this.#last = instantOf(info);
    this.#interfaces.add(info.interfaceIndex, octets);
    this.#linkTypes.add(info.linkType, octets);
    this.#protocols.add(ip === null ? tags.network || 'unknown' : protocolName(ip.header.protocol), octets);
    if (info.capturedLength < info.originalLength) this.#cutOff++;
    if (ip === null) return;
    this.#talkers.add(ip.header.source, octets);
    if (ip.header.source !== ip.header.destination) this.#talkers.add(ip.header.destination, octets);
    if (ip.isFragment) this.#fragments++;
    const verdicts = [ip.checksum.verdict, transport?.checksum.verdict];
    if (verdicts.includes('bad')) this.#bad++;
    else if (verdicts.includes('partial')) this.#partial++;
    if (transport?.kind === 'icmp' && transport.quoted !== null) this.#icmpErrors++;
    if (isNewFlow && transport?.kind === 'tcp') this.#tcpStreams++;
    if (isNewFlow && transport?.kind === 'udp') this.#udpFlows++;
    if (position !== null) this.#addPosition(position);
  }

  #addPosition({ isRetransmission, proxy }: StreamPosition): void {
    if (isRetransmission) this.#retransmissions++;
    if (proxy === null) return;
    if (proxy.isRepeated) this.#proxy.repeated++;
    else if (proxy.header === null) this.#proxy.malformed++;
    else {
      if (proxy.header.version === 1) this.#proxy.v1++;
      else this.#proxy.v2++;
      const linkId = linkIdOf(proxy.header);
      if (linkId !== undefined) this.#linkIds.add(linkId, 0);
    }
  }

  /** @param hasForgotten there were flows that were forgotten on the way, and so may have been counted twice */
  report(interfaces: readonly CaptureInterface[], hasForgotten: boolean): StatsReport {
    const tallies = [this.#talkers, this.#linkIds];
    return {
      packets: this.#packets,
      octets: this.#octets,
      capturedOctets: this.#capturedOctets,
      firstTime: this.#first === null ? null : decimal(this.#first, 9),
      lastTime: this.#last === null ? null : decimal(this.#last, 9),
      duration:
        this.#first === null || this.#last === null ? '0.000000000' : decimal(since(this.#first, this.#last), 9),
      interfaces: [...this.#interfaces.entries].map(([index, { packets }]) => ({
        index,
        name: interfaces[index]?.name ?? '',
        packets,
      })),
      linkTypes: [...this.#linkTypes.entries].map(([linkType, { packets }]) => ({
        linkType,
        name: linkTypeName(linkType),
        packets,
      })),
      protocols: this.#protocols.top(Infinity).map(([name, tally]) => ({ name, ...tally })),
      tcpStreams: this.#tcpStreams,
      udpFlows: this.#udpFlows,
      retransmissions: this.#retransmissions,
      fragments: this.#fragments,
      cutOff: this.#cutOff,
      badChecksums: this.#bad,
      partialChecksums: this.#partial,
      icmpErrors: this.#icmpErrors,
      proxyHeaders: this.#proxy,
      linkIds: this.#linkIds.top(Infinity).map(([linkId, { packets }]) => ({ linkId, streams: packets })),
      topTalkers: this.#talkers.top(TOP).map(([address, tally]) => ({ address: formatAddress(address), ...tally })),
      isApproximate: hasForgotten || tallies.some((tally) => tally.isApproximate),
    };
  }
}

const instantOf = ({ seconds, nanoseconds }: Instant): Instant => ({ seconds, nanoseconds });

/** LINKIDs shown in the table; `--json` has them all. */
const MAX_LINK_IDS_SHOWN = 20;

/** The report as a table. */
export function statsText(report: StatsReport): string {
  const rows: [string, string][] = [
    ['packets', String(report.packets)],
    ['octets', both(report.octets, report.capturedOctets)],
    ['duration', `${report.duration} s`],
    ...report.interfaces
      .filter(({ name }) => name !== '')
      .map(({ name, packets }): [string, string] => [`interface ${printable(name)}`, String(packets)]),
    ...report.linkTypes.map(({ name, packets }): [string, string] => [`link ${name}`, String(packets)]),
    ...report.protocols.map(({ name, packets, octets }): [string, string] => [
      name.length > 0 ? name : 'unknown',
      `${packets} packets, ${octets} octets`,
    ]),
    ['TCP streams', String(report.tcpStreams)],
    ['UDP flows', String(report.udpFlows)],
    ['retransmissions', String(report.retransmissions)],
    ['fragments', String(report.fragments)],
    ['cut off', String(report.cutOff)],
    ['bad checksums', String(report.badChecksums)],
    ['partial checksums', String(report.partialChecksums)],
    ['ICMP errors', String(report.icmpErrors)],
    ['PROXY headers', proxyCounts(report.proxyHeaders)],
    ...report.linkIds
      .slice(0, MAX_LINK_IDS_SHOWN)
      .map(({ linkId, streams }): [string, string] => [
        `LINKID ${linkId}`,
        `${streams} ${streams === 1 ? 'stream' : 'streams'}`,
      ]),
    ...report.topTalkers.map(({ address, packets, octets }): [string, string] => [
      address,
      `${packets} packets, ${octets} octets`,
    ]),
  ];
  const more = report.linkIds.length - MAX_LINK_IDS_SHOWN;
  if (more > 0) rows.push(['more LINKIDs', String(more)]);
  if (report.isApproximate) rows.push(['note', 'too many addresses or flows at a time: their counts are approximate']);
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('');
}

const both = (octets: number, captured: number): string =>
  octets === captured ? String(octets) : `${octets} (${captured} captured)`;

function proxyCounts({ v1, v2, malformed, repeated }: StatsReport['proxyHeaders']): string {
  const parts = [`${v2} v2`, `${v1} v1`];
  if (malformed > 0) parts.push(`${malformed} malformed`);
  if (repeated > 0) parts.push(`${repeated} sent again`);
  return parts.join(', ');
}
