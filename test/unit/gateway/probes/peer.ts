/** A server at the other end of a bad line from the probes' TCP. */
import { TcpStack } from '../../../../src/gateway/probes/tcp-stack.js';
import { parseTcp } from '../../../support/parsed-tcp.js';
import { Random } from '../../../support/random.js';
import { SimulatedTcp, type TcpSettings } from '../../../support/simulated-tcp.js';
import { VirtualTime } from './virtual-time.js';

export const PEER = '10.200.2.4';
export const PEER_ADDRESS = 0x0ac80204;
export const PROBES = '168.63.129.16';

export interface Line {
  readonly seed: number;
  readonly loss: number;
  readonly duplicate: number;
  readonly jitterMs: number;
  /** All that the stack sends goes here as well. */
  readonly watch?: (packet: Buffer) => void;
}

export const GOOD_LINE: Line = { seed: 1, loss: 0, duplicate: 0, jitterMs: 0 };

export const server = (more: Partial<TcpSettings> = {}): TcpSettings => ({
  address: PEER,
  port: 80,
  iss: 0xffff_fff0,
  mss: 1460,
  scale: 7,
  timestamps: true,
  sack: true,
  buffer: 32768,
  readRate: Infinity,
  data: Buffer.alloc(0),
  writeAfter: 0,
  close: 'peer-closed',
  probe: 'old',
  ...more,
});

/** A stack and a server that listens, in simulated time. */
export class Peers {
  readonly time = new VirtualTime();
  readonly stack: TcpStack;
  readonly server: SimulatedTcp;
  private readonly random: Random;
  private readonly line: Line;

  constructor(settings: TcpSettings, line: Line = GOOD_LINE, mtu = 1500) {
    this.line = line;
    this.random = new Random(line.seed);
    const { time, random } = this;
    this.server = new SimulatedTcp(
      {
        get now() {
          return time.now();
        },
        random,
        after: (ms, what) => void time.after(ms, what),
        send: (packet) => this.carry(packet, (p) => this.stack.receive(p, 0, p.length, false)),
      },
      settings,
    );
    this.stack = new TcpStack(time, mtu, (packet) => {
      parseTcp(packet); // no receiver would take less
      line.watch?.(Buffer.from(packet));
      this.carry(packet, (p) => this.server.receive(p));
    });
    this.server.listen();
  }

  private carry(packet: Buffer, deliver: (packet: Buffer) => void): void {
    const { random, time, line } = this;
    const copy = Buffer.from(packet);
    if (random.chance(line.loss)) return;
    time.after(1 + random.int(0, line.jitterMs), () => deliver(copy));
    if (random.chance(line.duplicate)) time.after(1 + random.int(0, 4 * line.jitterMs), () => deliver(copy));
  }
}

/** A stack whose packets a test looks at, and answers itself. */
export class Wire {
  readonly time = new VirtualTime();
  readonly sent: ReturnType<typeof parseTcp>[] = [];
  readonly stack: TcpStack;

  constructor(mtu = 1500) {
    this.stack = new TcpStack(this.time, mtu, (packet) => this.sent.push(parseTcp(Buffer.from(packet))));
  }

  get last(): ReturnType<typeof parseTcp> {
    return this.sent.at(-1)!;
  }

  give(packet: Buffer, partial = false): boolean {
    return this.stack.receive(packet, 0, packet.length, partial);
  }
}
