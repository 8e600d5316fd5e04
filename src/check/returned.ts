/**
 * The consumer's side where a capture of the provider's side is the reference: what comes back carries the octets that
 * the backend sent at the same sequence numbers, and never acknowledges what its client has not sent.
 */
import { CurrentStream } from './current-stream.js';
import type { Frame } from './frames.js';
import type { InputIndex, Stream } from './input.js';
import { cover, greatestAcknowledged, offsetIn } from './input.js';
import { carrierKey, nameOf, rangesText } from './names.js';
import type { Packet, Transport } from './packet.js';
import { ACK, SYN, TCP, UDP, datagramKey } from './packet.js';
import type { Problems } from './problems.js';
import type { ReturnFlows } from './return-flows.js';

const SACK = 5;
const FAR = 2 ** 30;

export class ReturnedCheck {
  checked = 0;
  unchecked = 0;
  /** Streams of backends, by the tuple of the clients' packets that they answer. */
  private readonly carried = new Map<string, Stream[]>();
  private readonly used = new Set<string>();
  private readonly unknown = new Set<string>();
  private readonly current: CurrentStream;
  private readonly provider: InputIndex;
  private readonly flows: ReturnFlows;
  private readonly problems: Problems;
  private readonly file: string;

  /** @param provider what was captured on the provider's side, octets of servers kept */
  constructor(provider: InputIndex, flows: ReturnFlows, file: string, problems: Problems) {
    this.provider = provider;
    this.current = new CurrentStream(provider);
    this.flows = flows;
    this.file = file;
    this.problems = problems;
    for (const streams of provider.streams.values()) {
      const s = streams[0]!;
      this.carried.set(carrierKey(TCP, s.destination, s.destinationPort, s.source, s.sourcePort), streams);
    }
  }

  datagram(p: Packet, frame: Frame): void {
    const t = p.transport!;
    if (t.protocol === TCP) this.segment(p, t, frame);
    else if (t.protocol === UDP) this.udp(p, t, frame);
  }

  /** After the last packet. */
  finish(): void {
    for (const [key, streams] of this.carried) {
      if (!this.used.has(key) || this.unknown.has(key)) continue;
      for (const s of streams) {
        const missing = s.kind === 'server' ? s.required.minus(s.covered) : [];
        if (missing.length > 0) {
          const text = `${nameOf(s)}: octets ${rangesText(missing)} are not in ${this.file}`;
          this.problems.add('return-missing', text);
        }
      }
    }
  }

  private segment(p: Packet, t: Transport, frame: Frame): void {
    const clients = this.flows.clientsOf(p, t);
    const client = clients.findLast((c) => this.serverOf(c, t) !== undefined) ?? clients.at(-1);
    if (client === undefined) {
      this.problems.add('return-unexplained', `${this.at(frame)}: no client speaks to that server`);
      return;
    }
    const server = this.serverOf(client, t);
    if (client.ambiguous && client.carrier !== null) this.unknown.add(client.carrier);
    if (server === undefined || client.ambiguous) {
      this.unchecked++;
      return;
    }
    if (!knowsMore(server, client)) this.acknowledgments(p, t, frame, client);
    this.checked++;
    const offset = offsetIn(server, t.sequence) + ((t.flags & SYN) !== 0 ? 1 : 0);
    if (offset < 0) return;
    cover(server.covered, offset, t);
    const found = server.octets?.compare(offset, p.b, t.dataAt, t.dataEnd);
    if (found?.kind !== 'differs' && found?.kind !== 'unknown') return;
    const text = `octet ${String(found.offset)} of ${nameOf(server)}`;
    this.problems.add(
      'return-octets-differ',
      `${this.at(frame)}: ${text}${found.kind === 'unknown' ? ' was never sent' : ''}`,
    );
  }

  /** Neither the acknowledgment nor a SACK edge lies behind what the client sent (RFC 9293, RFC 2018). */
  private acknowledgments(p: Packet, t: Transport, frame: Frame, client: Stream): void {
    if ((t.flags & ACK) === 0 || client.kind !== 'client' || client.ambiguous) return;
    // Where the capture has gaps the client may have sent more than is known.
    if (client.held.firstGap(0, client.held.end) !== client.held.end) return;
    for (const edge of [t.acknowledgment, ...sackEdges(p, t)]) {
      const beyond = offsetIn(client, edge) - client.sent;
      if (beyond <= 0 || beyond >= FAR) continue;
      const text = `${String(edge)} is ${String(beyond)} octets more than ${nameOf(client)} sent`;
      this.problems.add('ack-beyond-sent', `${this.at(frame)}: ${text}`);
    }
  }

  private serverOf(client: Stream, t: Transport): Stream | undefined {
    const key = client.carrier;
    if (key === null) return undefined;
    const found = this.current.of(this.carried.get(key), t);
    if (found !== undefined) this.used.add(key);
    return found;
  }

  private udp(p: Packet, t: Transport, frame: Frame): void {
    const list = this.provider.datagrams.get(datagramKey(p, t));
    const entry = list?.entries.find((e) => !e.taken);
    if (entry === undefined) {
      if (this.provider.datagramsLost > 0) this.unchecked++;
      else this.problems.add('return-unexplained', `${this.at(frame)}: a datagram that no backend sent`);
      return;
    }
    entry.taken = true;
    this.checked++;
  }

  private at(frame: Frame): string {
    return `${this.file} frame ${String(frame.number)}`;
  }
}

/** Whether the backend acknowledged octets of the client that were not captured; what it tells is then no measure. */
function knowsMore(server: Stream, client: Stream): boolean {
  const greatest = greatestAcknowledged(server);
  return greatest >= 0 && offsetIn(client, greatest) - client.headerLength > client.sent;
}

function sackEdges(p: Packet, t: Transport): number[] {
  const edges: number[] = [];
  for (let at = t.at + 20; at < t.dataAt && p.b[at] !== 0;) {
    const length = p.b[at] === 1 ? 1 : Math.max(2, p.b[at + 1]!);
    if (p.b[at] === SACK) {
      for (let edge = at + 2; edge + 4 <= Math.min(t.dataAt, at + length); edge += 4)
        edges.push(p.b.readUInt32BE(edge));
    }
    at += length;
  }
  return edges;
}
