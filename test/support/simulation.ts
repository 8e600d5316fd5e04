/**
 * A client and a server with the translator between them, over four lossy hops, in simulated time. One number decides
 * the whole run. What must hold at every step is checked here; what must hold in the end, by the caller.
 */
import assert from 'node:assert/strict';
import type { TranslatorOptions } from '../../src/translate/options.js';
import type { ProxySpec } from '../../src/translate/topology.js';
import { type Emitted, endpoint, Gateway, lab, link } from './gateway.js';
import { ACK, RST, SYN } from './packets.js';
import { parseTcp } from './parsed-tcp.js';
import { Random } from './random.js';
import { type Host, SimulatedTcp, type TcpSettings } from './simulated-tcp.js';

export interface Hop {
  /** Probabilities. */
  readonly loss: number;
  readonly duplicate: number;
  /** Delays spread over so many milliseconds, so that packets overtake one another. */
  readonly jitterMs: number;
}

export interface Scenario {
  readonly seed: number;
  readonly hop: Hop;
  readonly client: TcpSettings;
  readonly server: TcpSettings;
  readonly proxy: ProxySpec;
  /** Packets with the header that are lost between gateway and server, the first ones. */
  readonly headersLost?: number;
  readonly options?: Partial<TranslatorOptions>;
  /** Milliseconds after which one side aborts. */
  readonly clientAborts?: number;
  readonly serverAborts?: number;
}

interface Event {
  readonly at: number;
  readonly order: number;
  readonly what: () => void;
}

const LIMIT_MS = 600_000;
const LIMIT_EVENTS = 60_000;
const TICK_MS = 25;

export class Simulation {
  readonly client: SimulatedTcp;
  readonly server: SimulatedTcp;
  readonly gateway: Gateway;
  /** The header as it was first sent. */
  header: Buffer | null = null;
  /** How often the header was sent. */
  headers = 0;
  now = 0;
  /** A line a packet, when asked for. */
  readonly trace: string[] | null;
  private readonly events: Event[] = [];
  private order = 0;
  private readonly random: Random;
  private readonly scenario: Scenario;
  private headersToLose: number;
  private readonly start: number;

  constructor(scenario: Scenario, trace = false) {
    this.scenario = scenario;
    this.trace = trace ? [] : null;
    this.random = new Random(scenario.seed);
    this.headersToLose = scenario.headersLost ?? 0;
    this.start = (scenario.client.iss + 1) >>> 0;
    const topology = { ...lab(), links: [link({ proxy: scenario.proxy, endpoints: [endpoint()] })] };
    this.gateway = new Gateway(topology, { maxFlows: 16, ...scenario.options });
    this.client = new SimulatedTcp(
      this.host((p) => this.carry('client→gw', p, () => this.fromClient(p))),
      scenario.client,
    );
    this.server = new SimulatedTcp(
      this.host((p) => this.carry('server→gw', p, () => this.fromServer(p))),
      scenario.server,
    );
    this.client.onAck = (ack, edge, blocks) => this.checkAck(ack, edge, blocks);
  }

  private host(send: (packet: Buffer) => void): Host {
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- the clock moves on
    const simulation = this;
    return {
      get now() {
        return simulation.now;
      },
      random: this.random,
      after: (ms, what) => this.at(this.now + ms, what),
      send,
    };
  }

  /** Runs until `done`, or throws. */
  run(done: () => boolean): void {
    const { scenario } = this;
    this.server.listen();
    this.client.connect('10.9.0.4', 443);
    if (scenario.clientAborts !== undefined) this.at(scenario.clientAborts, () => this.client.abort());
    if (scenario.serverAborts !== undefined) this.at(scenario.serverAborts, () => this.server.abort());
    const tick = (): void => {
      this.at(this.now + TICK_MS, tick);
    };
    tick();
    for (let n = 0; !done(); n++) {
      const event = this.events.shift();
      assert(event !== undefined);
      assert(event.at < LIMIT_MS && n < LIMIT_EVENTS, `still running after ${event.at} ms and ${n} events`);
      this.now = event.at;
      this.deliver(this.gateway.advance(this.now));
      event.what();
    }
  }

  private at(when: number, what: () => void): void {
    const event = { at: when, order: this.order++, what };
    let i = this.events.length;
    while (i > 0 && this.events[i - 1]!.at > when) i--;
    this.events.splice(i, 0, event);
  }

  private carry(hop: string, packet: Buffer, deliver: () => void): void {
    const { random } = this;
    const { loss, duplicate, jitterMs } = this.scenario.hop;
    const lost = random.chance(loss);
    this.trace?.push(`${this.now} ${hop} ${describe(packet)}${lost ? ' LOST' : ''}`);
    if (lost) return;
    this.at(this.now + 5 + random.int(0, jitterMs), deliver);
    if (random.chance(duplicate)) this.at(this.now + 5 + random.int(0, 4 * jitterMs), deliver);
  }

  private fromClient(packet: Buffer): void {
    const { verdict, out } = this.gateway.fromConsumer(packet);
    if (verdict !== 'forward') this.trace?.push(`${this.now} gateway: ${verdict}: ${describe(packet)}`);
    this.deliver(out);
  }

  private fromServer(packet: Buffer): void {
    const { verdict, out } = this.gateway.fromProvider(packet);
    if (verdict !== 'forward') this.trace?.push(`${this.now} gateway: ${verdict}: ${describe(packet)}`);
    this.deliver(out);
  }

  private deliver(out: readonly Emitted[]): void {
    for (const { side, octets } of out) {
      if (side === 'consumer') {
        this.carry('gw→client', octets, () => this.client.receive(octets));
        continue;
      }
      const carriesHeader = this.checkToServer(octets);
      if (carriesHeader && this.headersToLose > 0) {
        this.headersToLose--;
        this.trace?.push(`${this.now} gw→server ${describe(octets)} HEADER LOST`);
        continue;
      }
      this.carry('gw→server', octets, () => this.server.receive(octets));
    }
  }

  /** What the backend may see. @returns whether the packet carries the header */
  private checkToServer(octets: Buffer): boolean {
    const p = parseTcp(octets);
    if ((p.flags & SYN) !== 0) {
      assert.equal(p.payload.length, 0, 'a SYN takes no data along');
      return false;
    }
    const at = (p.seq - this.start) | 0;
    const headerLength = this.gateway.translator.tables.endpoints[0]!.header!.octets.length;
    if (at === 0 && p.payload.length > 0) {
      assert.equal(p.payload.length, headerLength, 'the header is whole, in a segment of its own');
      this.header ??= Buffer.from(p.payload);
      assert.deepEqual(p.payload, this.header, 'the header is the same each time');
      this.headers++;
      return true;
    }
    const bareAck = (p.flags & (ACK | RST)) === ACK && p.payload.length === 0;
    assert(!(bareAck && at === 0), 'a bare ACK never takes the place of the header');
    const end = at + p.payload.length;
    assert(end <= 0 || at >= headerLength || p.payload.length === 0, `data [${at}, ${end}) in the place of the header`);
    return false;
  }

  /** What the client may see. */
  private checkAck(ack: number, edge: number, blocks: readonly (readonly [number, number])[]): void {
    const length = this.gateway.translator.tables.endpoints[0]!.header!.octets.length;
    assert(ack >= 0, `acknowledged ${ack}, before the client's first octet`);
    assert(ack <= this.client.sentTo, `acknowledged ${ack}, ${this.client.sentTo} sent`);
    const offered = Math.max(0, this.server.offeredTo - length);
    assert(edge <= offered, `a window up to ${edge} where the server offered ${offered}`);
    for (const [left, right] of blocks) {
      assert(left < right, `an empty SACK block at ${left}`);
      assert(left >= 0 && right <= this.client.sentTo, `SACK of [${left}, ${right}), ${this.client.sentTo} sent`);
      assert(this.server.has(left + length, right + length), `SACK of [${left}, ${right}), which did not arrive`);
    }
  }
}

function describe(packet: Buffer): string {
  const p = parseTcp(packet);
  const flags = ['F', 'S', 'R', 'P', 'A', 'U', 'E', 'C'].filter((_, i) => (p.flags >>> i) % 2 === 1).join('');
  const sack = p.options.get(5);
  const blocks: number[] = [];
  if (sack !== undefined) for (let i = 0; i < sack.length; i += 4) blocks.push(sack.readUInt32BE(i));
  const tail = blocks.length > 0 ? ` sack ${blocks.join(',')}` : '';
  return `${flags} seq ${p.seq} ack ${p.ack} win ${p.window} len ${p.payload.length}${tail}`;
}

/** Runs a scenario; a failure tells the packets. */
export function simulate(scenario: Scenario, done: (s: Simulation) => boolean, check: (s: Simulation) => void): void {
  const attempt = (trace: boolean): { error: unknown; simulation: Simulation } => {
    const simulation = new Simulation(scenario, trace);
    try {
      simulation.run(() => done(simulation));
      check(simulation);
      return { error: null, simulation };
    } catch (error) {
      return { error, simulation };
    }
  };
  if (attempt(false).error === null) return;
  const { error, simulation } = attempt(true);
  const { client, server, trace } = simulation;
  const lines = trace!.length > 160 ? [...trace!.slice(0, 80), '…', ...trace!.slice(-80)] : trace!;
  const story = `S = ${(scenario.client.iss + 1) >>> 0}\n${lines.join('\n')}`;
  const ends = `client ${client.describe()}\nserver ${server.describe()}`;
  throw new Error(`${error instanceof Error ? error.message : String(error)}\n${story}\n${ends}`, { cause: error });
}
