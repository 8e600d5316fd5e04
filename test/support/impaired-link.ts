/**
 * A private link between two kernels over bad lines: two network namespaces, a TUN device in each, an impaired line
 * before both, the gateway's pump between, and a tap on what the provider's kernel is given. With workers, each TUN device
 * has a queue for each, impaired by itself, and a pump between the two.
 */
import { ImpairedDevice } from '../../src/device/impair.js';
import type { Impairment, LineCounters } from '../../src/device/impaired-line.js';
import type { TunOptions } from '../../src/device/tun/options.js';
import { TunDevice } from '../../src/device/tun/tun-device.js';
import { Pump } from '../../src/gateway/pump.js';
import { SharingPump } from '../../src/gateway/workers/sharing-pump.js';
import { steeringMemory } from '../../src/gateway/workers/steering.js';
import type { Topology } from '../../src/translate/topology.js';
import * as ipv4 from '../../src/wire/ipv4.js';
import { get32 } from '../../src/wire/octets.js';
import * as tcp from '../../src/wire/tcp.js';
import { address, endpoint, link, rule, topology } from './bench.js';
import { HeaderTap } from './header-tap.js';
import { Namespaces, type Running } from './namespaces.js';
import type { StreamReport } from './stream-peer.js';

const CLIENT = '10.0.0.5';
const ENDPOINT = '10.0.0.9';
const BACKEND = '10.200.2.4';
const NAT = '10.200.1.4';
const PORT = 7002;
const LINK_ID = 1001;
const AZURE_HEADER = 36;

export interface LinkOptions {
  readonly mtu: number;
  readonly offload: boolean;
  readonly seed: number;
  /** Of each direction, on each of the two lines. */
  readonly impairment: Impairment;
  /** Segments with the header that are lost on purpose, of each stream. */
  readonly headersLost?: number;
  /** net.ipv4.tcp_syncookies of the provider's kernel: 2 is always. */
  readonly synCookies?: 0 | 1 | 2;
  /** 1 when left out. */
  readonly workers?: number;
}

export class ImpairedLink {
  readonly pumps: readonly Pump[];
  readonly taps: readonly HeaderTap[];
  readonly serverFaults: string[] = [];
  /** Headers lost on purpose. */
  headersLost = 0;
  private readonly consumers: readonly ImpairedDevice[];
  private readonly providers: readonly ImpairedDevice[];
  private readonly spaces = new Namespaces();
  private readonly red: string;
  private readonly blue: string;

  private constructor(options: LinkOptions) {
    const { mtu, offload, seed, impairment, workers = 1 } = options;
    this.red = this.spaces.add();
    this.blue = this.spaces.add();
    const taken: TunDevice[] = [];
    const open = (tun: TunOptions): TunDevice[] => {
      const shared = { mtu, offload, queueLength: 20_000, ...tun };
      const queues = workers === 1 ? [TunDevice.open(shared)] : TunDevice.openQueues(workers, shared);
      taken.push(...queues);
      return queues;
    };
    try {
      const reds = open({ netns: this.red, addresses: [`${CLIENT}/24`] });
      const blues = open({ netns: this.blue, addresses: [`${BACKEND}/24`], routes: ['10.200.0.0/16'] });
      this.taps = blues.map((blue) => new HeaderTap(blue, AZURE_HEADER));
      // Bits are turned on the way in alone, twice as often: two turned bits, one on each line, can leave a 16-bit sum as it
      // was, and no TCP would notice.
      const read = { limit: 20_000, ...impairment, corrupt: 2 * (impairment.corrupt ?? 0) };
      const roomy = { ...read, corrupt: 0 };
      const lose = this.loser(options.headersLost ?? 0);
      this.consumers = reds.map((red, i) => new ImpairedDevice(red, { seed: seed + 2 * i, read, write: roomy }));
      this.providers = this.taps.map((tap, i) => {
        const write = { ...roomy, lose };
        return new ImpairedDevice(tap, { seed: seed + 1 + 2 * i, read, write });
      });
    } catch (error) {
      for (const device of taken) device.close();
      this.spaces.remove();
      throw error;
    }
    const lab = topology(
      link({
        natAddresses: [address(NAT)],
        rules: [rule({ backends: [address(BACKEND)] })],
        endpoints: [endpoint({ address: address(ENDPOINT), linkId: LINK_ID })],
      }),
    );
    this.pumps =
      workers === 1
        ? [new Pump(lab, { maxFlows: 4096, absorbHeaderAck: true }, () => undefined)]
        : sharingPumps(lab, workers);
    this.pumps.forEach((pump, i) => {
      pump.add(this.consumers[i]!, 0, new Int32Array(0), 0);
      pump.add(this.providers[i]!, -1, Int32Array.of(address(NAT)), 1);
    });
  }

  /** The server listens when it is there. */
  static async up(options: LinkOptions): Promise<ImpairedLink> {
    const it = new ImpairedLink(options);
    try {
      const cookies = `echo ${String(options.synCookies ?? 1)} > /proc/sys/net/ipv4/tcp_syncookies`;
      await it.spaces.run(it.blue, 'sh', '-c', cookies);
      const server = it.spaces.node(it.blue, 'stream-peer', 'serve', BACKEND, String(PORT));
      await server.line();
      void it.listen(server);
      return it;
    } catch (error) {
      it.down();
      throw error;
    }
  }

  /**
   * What is wrong with the streams so far: octets, who the header tells of, and the header in every stream exactly one
   * segment at its start.
   * @param streams how many there were
   */
  faults(streams: number, ...reports: readonly StreamReport[]): string[] {
    const { taps, serverFaults } = this;
    const seen = taps.reduce((n, tap) => n + tap.streams.size, 0);
    const withoutHeader = taps.reduce((n, tap) => n + tap.withoutHeader, 0);
    const found = [
      ...reports.flatMap((report) => report.faults),
      ...serverFaults,
      ...taps.flatMap((tap) => tap.faults),
    ];
    const good = reports.reduce((n, report) => n + report.good, 0);
    if (good !== streams) found.push(`${good} streams of ${streams} were right`);
    if (seen !== streams) found.push(`the taps saw ${seen} streams of ${streams}`);
    if (withoutHeader > 0) found.push(`${withoutHeader} streams had no whole header`);
    return found;
  }

  /** The only pump, where there are no workers. */
  get pump(): Pump {
    return this.pumps[0]!;
  }

  get tap(): HeaderTap {
    return this.taps[0]!;
  }

  /** Streams at once, each so many octets both ways. */
  async run(count: number, octets: number, how: 'speak' | 'listen', seed: number): Promise<StreamReport> {
    const numbers = [PORT, LINK_ID, count, octets].map(String);
    const client = this.spaces.node(this.red, 'stream-peer', 'run', ENDPOINT, ...numbers, how, String(seed));
    return JSON.parse(await client.finished) as StreamReport;
  }

  /** What became of the packets on both lines, in both directions. */
  get lines(): LineCounters {
    const all = [...this.consumers, ...this.providers].flatMap(({ lines: { read, write } }) => [read, write]);
    const sum = { ...all[0]! };
    for (const each of all.slice(1))
      for (const key of Object.keys(sum) as (keyof LineCounters)[]) sum[key] += each[key];
    return sum;
  }

  down(): void {
    for (const pump of this.pumps) pump.close();
    for (const device of [...this.consumers, ...this.providers]) device.close();
    this.spaces.remove();
  }

  private async listen(server: Running): Promise<void> {
    try {
      for (;;) this.serverFaults.push(await server.line());
    } catch {
      // It was killed in the end.
    }
  }

  /** Decides on losing the first `most` segments with the header, of each stream. */
  private loser(most: number): (b: Buffer, ip: number, length: number) => boolean {
    const lost = new Map<number, number>();
    return (b, ip, length) => {
      if (length > 256 || ipv4.protocol(b, ip) !== ipv4.PROTOCOL_TCP) return false;
      const l4 = ip + ipv4.headerLength(b, ip);
      const data = l4 + tcp.headerLength(b, l4);
      if (data + AZURE_HEADER !== ip + length || get32(b, data) !== 0x0d0a0d0a) return false;
      const port = tcp.sourcePort(b, l4);
      const n = lost.get(port) ?? 0;
      if (n >= most) return false;
      lost.set(port, n + 1);
      this.headersLost++;
      return true;
    };
  }
}

/** Workers' pumps, all in this thread. */
function sharingPumps(lab: Topology, workers: number): SharingPump[] {
  const memory = steeringMemory(workers);
  const wake = (worker: number): void => {
    setImmediate(() => pumps[worker]!.wake());
  };
  const pumps: SharingPump[] = Array.from({ length: workers }, (_, index) => {
    const share = { index, of: workers };
    return new SharingPump(lab, { maxFlows: 4096, share, absorbHeaderAck: true }, () => undefined, {
      index,
      workers,
      memory,
      wake,
    });
  });
  return pumps;
}
