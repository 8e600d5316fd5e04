/**
 * What may go back to consumers: packets of servers whose clients were carried to the provider's side, and how much of
 * what servers sent has come.
 */
import { CurrentStream } from './current-stream.js';
import type { Frame } from './frames.js';
import type { DatagramFlow, InputIndex, Stream } from './input.js';
import { cover, offsetIn, tupleKey } from './input.js';
import { nameOf, rangesText } from './names.js';
import type { Packet, Transport } from './packet.js';
import { ICMP, SYN, TCP } from './packet.js';
import type { Problems } from './problems.js';

export class ReturnFlows {
  private readonly clients = new Map<string, Stream[]>();
  private readonly servers = new Map<string, Stream[]>();
  private readonly answers = new Map<string, DatagramFlow[]>();
  /** Both addresses of each direction back; and consumers alone, to whom ICMP errors may come from anywhere. */
  private readonly pairs = new Set<string>();
  private readonly consumers = new Set<number>();
  private readonly input: InputIndex;
  private readonly current: CurrentStream;
  private networksTold = false;

  /** @param input after the provider's side was checked: its carriers are known */
  constructor(input: InputIndex) {
    this.input = input;
    this.current = new CurrentStream(input);
    for (const streams of input.streams.values()) {
      for (const s of streams) {
        if (s.carrier === null) continue;
        add(this.clients, tupleKey(s.destination, s.destinationPort, s.source, s.sourcePort), s);
        this.add(s);
      }
    }
    for (const streams of input.streams.values()) {
      const s = streams[0]!;
      const key = tupleKey(s.source, s.sourcePort, s.destination, s.destinationPort);
      if (this.clients.has(key)) for (const stream of streams) add(this.servers, key, stream);
    }
    const carried = new Set<string>();
    for (const flow of input.flows.values()) {
      // A client whose datagram never became whole has been carried as far as it went.
      if (flow.carrier !== null || (flow.isOpener && flow.required === 0)) this.add(flow);
      if (flow.carrier === null) continue;
      carried.add(tupleKey(flow.destination, flow.destinationPort, flow.source, flow.sourcePort));
    }
    for (const flow of input.flows.values()) {
      const key = tupleKey(flow.source, flow.sourcePort, flow.destination, flow.destinationPort);
      if (carried.has(key)) add(this.answers, key, flow);
    }
  }

  mayReturn(p: Packet): boolean {
    return (
      this.pairs.has(`${String(p.source)} ${String(p.destination)}`) ||
      (p.protocol === ICMP && this.consumers.has(p.destination))
    );
  }

  /** Client streams that a packet to a consumer may belong to, the latest last. */
  clientsOf(p: Packet, t: Transport): readonly Stream[] {
    return this.clients.get(tupleKey(p.source, t.sourcePort, p.destination, t.destinationPort)) ?? [];
  }

  /** A datagram came back. */
  count(p: Packet, t: Transport, frame: Frame): void {
    const key = tupleKey(p.source, t.sourcePort, p.destination, t.destinationPort);
    if (frame.network >= 0) this.networksTold = true;
    if (t.protocol === TCP) {
      const exact = frame.network < 0 ? undefined : this.input.streams.get(`${String(frame.network)} ${key}`);
      const s = this.current.of(exact ?? this.servers.get(key), t);
      if (s === undefined) return;
      const offset = offsetIn(s, t.sequence) + ((t.flags & SYN) !== 0 ? 1 : 0);
      if (offset >= 0) cover(s.covered, offset, t);
      return;
    }
    const flow = this.answers.get(key)?.find((f) => frame.network < 0 || f.network === frame.network);
    if (flow !== undefined) flow.covered++;
  }

  /** After the last packet. */
  finish(problems: Problems, file: string): void {
    for (const streams of this.servers.values()) {
      if (this.cannotTell(streams)) continue;
      for (const s of streams) {
        // Only what answers a client that was carried for certain, and was known before the server spoke.
        const client = this.clientOf(s);
        if (s.kind !== 'server' || s.carrier !== null || client?.ambiguous !== false) continue;
        if (s.conversation.isNarrow && client.headerLength === 0) continue; // the connection may have been refused
        const missing = s.required.minus(s.covered);
        if (missing.length > 0) {
          problems.add('return-missing', `${nameOf(s)}: octets ${rangesText(missing)} of IN are not in ${file}`);
        }
      }
    }
    for (const flows of this.answers.values()) {
      if (this.cannotTell(flows)) continue;
      for (const flow of flows) {
        if (flow.isOpener || flow.covered >= flow.required) continue;
        const missing = String(flow.required - flow.covered);
        problems.add('return-missing', `${nameOf(flow)}: ${missing} of ${String(flow.required)} datagrams`);
      }
    }
  }

  /** A file that does not tell networks apart cannot tell whose octets came. */
  private cannotTell(flows: readonly { readonly network: number }[]): boolean {
    return !this.networksTold && flows.some((f) => f.network !== flows[0]!.network);
  }

  private clientOf(s: Stream): Stream | undefined {
    const key = tupleKey(s.source, s.sourcePort, s.destination, s.destinationPort);
    return this.clients.get(key)?.find((c) => c.conversation === s.conversation && c.network === s.network);
  }

  private add(ends: { readonly source: number; readonly destination: number }): void {
    this.pairs.add(`${String(ends.destination)} ${String(ends.source)}`);
    this.consumers.add(ends.source);
  }
}

function add<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
