/**
 * A second opinion: tcpdump in the namespaces. At the consumers it sees the ports that clients really used, and fragments;
 * at the provider, each PROXY header that came.
 */
import type { ChildProcess } from 'node:child_process';
import { CaptureReader } from '../capture/reader.js';
import { StreamSource } from '../capture/source.js';
import { locateIpv4 } from '../wire/link.js';
import { formatAddress } from '../wire/address.js';
import * as ipv4 from '../wire/ipv4.js';
import * as tcp from '../wire/tcp.js';
import { azureLinkId, decode } from '../wire/proxy/index.js';
import { CulvertError } from '../errors.js';
import type { Processes } from './processes.js';
import type { LabNames, Network } from './topology.js';

/** TCP payloads that begin as a PROXY header does; first SYNs; fragments. */
const HEADERS = 'tcp[((tcp[12] & 0xf0) >> 2):4] = 0x0d0a0d0a';
const SYNS = 'tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn';
const FRAGMENTS = 'ip[6:2] & 0x3fff != 0';
const START_MS = 30_000;
const REGION_OCTETS = 1 << 18;

export class Witness {
  /** Sources (`address:port`) of connections, by their destination. */
  readonly connections = new Map<string, Set<string>>();
  /** LINKIDs by `source destination` of the header. */
  readonly headers = new Map<string, Set<number>>();
  /** Fragments by their source address. */
  readonly fragments = new Map<string, number>();
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.child = child;
  }

  /** @throws CulvertError LAB_SERVER_FAILED */
  static async start(processes: Processes, names: LabNames, network: Network): Promise<Witness> {
    const filter = network === 'provider' ? HEADERS : `(${SYNS}) or (${FRAGMENTS})`;
    const command = ['tcpdump', '-n', '-p', '-U', '--immediate-mode', '-Z', 'root', '-s', '256', '-w', '-'];
    const child = processes.start(names.namespace[network], [...command, '-i', names.device[network], filter]);
    const witness = new Witness(child);
    await new Promise<void>((resolve, reject) => {
      let said = '';
      const failed = (): void => reject(new CulvertError('LAB_SERVER_FAILED', `tcpdump does not start: ${said}`));
      const timer = setTimeout(failed, START_MS);
      child.once('close', failed);
      child.stderr!.on('data', (part: Buffer) => {
        said += part.toString();
        if (!said.includes('listening on')) return;
        clearTimeout(timer);
        resolve();
      });
    });
    void witness.watch();
    return witness;
  }

  stop(): void {
    this.child.kill('SIGKILL');
  }

  private async watch(): Promise<void> {
    const source = new StreamSource(this.child.stdout!, 'tcpdump');
    const reader = await CaptureReader.fromSource(source, 'tcpdump', { slab: Buffer.alloc(REGION_OCTETS) });
    do {
      while (reader.next())
        this.see(reader.slab, reader.offset, reader.offset + reader.capturedLength, reader.linkType);
    } while (await reader.fill());
  }

  private see(b: Buffer, start: number, end: number, linkType: number): void {
    const ip = locateIpv4(linkType, b, start, end);
    if (ip < 0) return;
    const source = formatAddress(ipv4.source(b, ip) >>> 0);
    if ((ipv4.flagsAndOffset(b, ip) & ipv4.FRAGMENT_MASK) !== 0) {
      this.fragments.set(source, (this.fragments.get(source) ?? 0) + 1);
      return;
    }
    const segment = ip + ipv4.headerLength(b, ip);
    if ((tcp.flags(b, segment) & tcp.SYN) !== 0) {
      const destination = `${formatAddress(ipv4.destination(b, ip) >>> 0)}:${tcp.destinationPort(b, segment)}`;
      add(this.connections, destination, `${source}:${tcp.sourcePort(b, segment)}`);
      return;
    }
    const read = decode(b, segment + tcp.headerLength(b, segment), end);
    if (read.kind !== 'header' || read.header.family !== 'inet') return;
    const { header } = read;
    const [from, to] = [header.source, header.destination].map((each) => `${each.address}:${each.port}`);
    add(this.headers, `${from} ${to}`, azureLinkId(header) ?? -1);
  }
}

function add<T>(map: Map<string, Set<T>>, key: string, value: T): void {
  const values = map.get(key);
  if (values === undefined) map.set(key, new Set([value]));
  else values.add(value);
}
