/** The first octets of a client stream on the provider's side: one whole, right PROXY v2 header. */
import { CulvertError } from '../errors.js';
import { formatAddress } from '../wire/address.js';
import type { ProxyHeader } from '../wire/proxy/index.js';
import { azureLinkId, decode } from '../wire/proxy/index.js';
import type { InputIndex, Stream } from './input.js';
import type { Packet, Transport } from './packet.js';
import type { ProblemCode } from './problems.js';
import type { ProviderStream } from './provider-stream.js';

/** The 12 octets that begin every PROXY v2 header. */
const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

export class HeaderCheck {
  private readonly linkIdOf: ((address: number, port: number, network: number) => number | null) | undefined;
  private readonly report: (code: ProblemCode, text: string) => void;

  constructor(
    linkIdOf: ((address: number, port: number, network: number) => number | null) | undefined,
    report: (code: ProblemCode, text: string) => void,
  ) {
    this.linkIdOf = linkIdOf;
    this.report = report;
  }

  /**
   * Reads the header that the segment begins with. Whatever is wrong is reported, and the stream is given up where
   * nothing behind the header could be compared.
   * @returns the header's length, and the input's stream that it names
   */
  first(
    p: Packet,
    t: Transport,
    s: ProviderStream,
    where: string,
    index: InputIndex,
  ): { length: number; input: Stream } | null {
    let result;
    try {
      result = decode(p.b, t.dataAt, t.dataEnd);
    } catch (error) {
      if (!(error instanceof CulvertError)) throw error;
      s.given = 'broken';
      const looksLikeOne = p.b.subarray(t.dataAt, Math.min(t.dataEnd, t.dataAt + 12)).equals(SIGNATURE);
      this.report(looksLikeOne ? 'header-malformed' : 'header-missing', `${where}: ${error.message}`);
      return null;
    }
    if (result.kind === 'need') {
      const cut = t.dataEnd < t.dataAt + t.dataLength;
      s.given = cut ? 'unknown' : 'broken';
      if (!cut) this.report('header-split', `${where}: ${String(result.octets)} octets or more are not in the segment`);
      return null;
    }
    const { header, length } = result;
    if (header.version !== 2 || header.family !== 'inet' || header.transport !== 'stream') {
      s.given = 'broken';
      const kind = `version ${String(header.version)}, ${header.command} ${header.family} ${header.transport}`;
      this.report('header-malformed', `${where}: ${kind}`);
      return null;
    }
    const source = `${header.source.address}:${String(header.source.port)}`;
    const destination = `${header.destination.address}:${String(header.destination.port)}`;
    const input = this.named(index, s, source, destination) ?? s.input;
    if (input === null) {
      s.given = 'broken';
      return null;
    }
    if (sourceOf(input) !== source || destinationOf(input) !== destination) {
      const right = `${sourceOf(input)} to ${destinationOf(input)}`;
      this.report('header-address', `${where}: ${source} to ${destination}; the stream is from ${right}`);
    }
    this.linkId(header, input, where);
    return { length, input };
  }

  /** The stream that the header names, of those with this initial sequence number. */
  private named(index: InputIndex, s: ProviderStream, source: string, destination: string): Stream | undefined {
    const all = (index.clients.get(s.isn) ?? []).filter(
      (c) => sourceOf(c) === source && destinationOf(c) === destination,
    );
    return all.find((c) => c === s.input) ?? all.find((c) => c.carrier === null) ?? all[0];
  }

  private linkId(header: ProxyHeader, input: Stream, where: string): void {
    const right = this.linkIdOf?.(input.destination, input.destinationPort, input.network) ?? null;
    if (right === null) return;
    let found: number | undefined;
    try {
      found = azureLinkId(header);
    } catch (error) {
      if (!(error instanceof CulvertError)) throw error;
      this.report('header-linkid', `${where}: ${error.message}`);
      return;
    }
    if (found === right) return;
    this.report('header-linkid', `${where}: ${found === undefined ? 'none' : String(found)}, not ${String(right)}`);
  }
}

const sourceOf = (s: Stream): string => `${formatAddress(s.source)}:${String(s.sourcePort)}`;
const destinationOf = (s: Stream): string => `${formatAddress(s.destination)}:${String(s.destinationPort)}`;
