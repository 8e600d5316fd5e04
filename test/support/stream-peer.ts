/**
 * Many streams at once between two kernels, both ends checked: programs that tests run inside a namespace.
 *
 *   stream-peer serve ADDRESS PORT   prints `ready`. Each connection: reads its PROXY header and says at once, in a line,
 *                                    whom it tells of; takes a line OCTETS SEED and so many octets, sends as many of its
 *                                    own, then the SHA-256 of what it took, and ends.
 *   stream-peer run ADDRESS PORT LINKID COUNT OCTETS HOW SEED
 *                                    COUNT such connections at once; HOW: `speak` sends at once, `listen` only after the
 *                                    server's line. Prints JSON (StreamReport).
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { azureLinkId, ProxyHeaderReader } from '../../src/wire/index.js';
import { Random } from './random.js';

export interface StreamReport {
  /** Streams that were right both ways, octet for octet. */
  readonly good: number;
  readonly faults: readonly string[];
  readonly ms: number;
  /** Milliseconds that a stream took: the middle one and the longest. */
  readonly medianMs: number;
  readonly longestMs: number;
}

/** Octets of which no two places are alike; of a length that no power of two divides. */
const noise = new Random(7).octets((1 << 20) + 7);
const PIECE = 1 << 16;

/** The octets [at, at + length) of stream `seed`. */
function piece(seed: number, at: number, length: number): Buffer {
  const from = (seed * 10_007 + at) % noise.length;
  const end = from + length;
  return end <= noise.length
    ? noise.subarray(from, end)
    : Buffer.concat([noise.subarray(from), noise.subarray(0, end - noise.length)]);
}

function* pieces(seed: number, octets: number): Generator<Buffer> {
  for (let at = 0; at < octets; at += PIECE) yield piece(seed, at, Math.min(PIECE, octets - at));
}

function digest(seed: number, octets: number): string {
  const hash = createHash('sha256');
  for (const each of pieces(seed, octets)) hash.update(each);
  return hash.digest('hex');
}

async function send(socket: net.Socket, seed: number, octets: number): Promise<void> {
  for (const each of pieces(seed, octets)) if (!socket.write(each)) await once(socket, 'drain');
}

/** What a socket receives, by lines and counts. */
class Incoming {
  private readonly socket: net.Socket;
  private ended = false;
  private failure: Error | null = null;
  private held: Buffer[] = [];
  private wake: () => void = () => undefined;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.held.push(chunk);
      this.wake();
    });
    socket.on('error', (error) => {
      this.failure = error;
      this.wake();
    });
    socket.on('end', () => {
      this.ended = true;
      this.wake();
    });
    socket.on('close', () => {
      this.ended = true;
      this.wake();
    });
  }

  /** The next octets, at least one; null at the end. */
  async next(): Promise<Buffer | null> {
    while (this.held.length === 0) {
      if (this.failure !== null) throw this.failure;
      if (this.ended) return null;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    return this.held.shift()!;
  }

  giveBack(rest: Buffer): void {
    if (rest.length > 0) this.held.unshift(rest);
  }

  async line(): Promise<string> {
    let text = '';
    for (;;) {
      const chunk = await this.next();
      if (chunk === null) throw new Error(`the stream ended in a line: '${text}'`);
      const end = chunk.indexOf(10);
      text += chunk.toString('latin1', 0, end < 0 ? chunk.length : end);
      if (end < 0) continue;
      this.giveBack(chunk.subarray(end + 1));
      return text;
    }
  }

  async sha256(octets: number): Promise<string> {
    const hash = createHash('sha256');
    for (let left = octets; left > 0;) {
      const chunk = await this.next();
      if (chunk === null) throw new Error(`${left} octets of ${octets} are missing`);
      const own = chunk.subarray(0, left);
      hash.update(own);
      this.giveBack(chunk.subarray(own.length));
      left -= own.length;
    }
    return hash.digest('hex');
  }

  end(): void {
    this.socket.end();
  }
}

async function serveOne(socket: net.Socket): Promise<void> {
  const incoming = new Incoming(socket);
  const reader = new ProxyHeaderReader({ maxLength: 512 });
  for (;;) {
    const chunk = await incoming.next();
    if (chunk === null) throw new Error('the stream ended in its header');
    const read = reader.push(chunk);
    if (read === undefined) continue;
    const { header, rest } = read;
    if (header.family !== 'inet') throw new Error('no header of a consumer');
    incoming.giveBack(rest);
    const { source, destination } = header;
    const of = `${source.address}:${String(source.port)}`;
    socket.write(`${of} ${destination.address}:${String(destination.port)} ${String(azureLinkId(header))}\n`);
    break;
  }
  const [octets = 0, seed = 0] = (await incoming.line()).split(' ').map(Number);
  const [taken] = await Promise.all([incoming.sha256(octets), send(socket, seed + 1, octets)]);
  socket.write(`${taken}\n`);
  if ((await incoming.next()) !== null) throw new Error('the stream goes on behind its end');
  socket.end();
}

async function serve(address: string, port: number): Promise<void> {
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    serveOne(socket).catch((error: unknown) => {
      console.log(`fault: ${String(error)}`);
      socket.resetAndDestroy();
    });
  });
  server.listen({ port, host: address, backlog: 1024 });
  await once(server, 'listening');
  console.log('ready');
}

interface Wanted {
  readonly address: string;
  readonly port: number;
  readonly linkId: string;
  readonly octets: number;
  readonly listen: boolean;
}

async function runOne(wanted: Wanted, seed: number): Promise<number> {
  const { address, port, octets } = wanted;
  const started = performance.now();
  const socket = net.connect({ port, host: address, noDelay: true, allowHalfOpen: true });
  const incoming = new Incoming(socket);
  await once(socket, 'connect');
  const request = `${octets} ${seed}\n`;
  const sending = wanted.listen ? null : (socket.write(request), send(socket, seed, octets));
  sending?.catch(() => undefined); // it is waited for below, unless the line does not come either
  const line = await incoming.line();
  const expected = `${socket.localAddress ?? ''}:${String(socket.localPort)} ${address}:${port} ${wanted.linkId}`;
  if (line !== expected) throw new Error(`the header told of ${line}, not of ${expected}`);
  if (wanted.listen) socket.write(request);
  const [taken] = await Promise.all([incoming.sha256(octets), sending ?? send(socket, seed, octets)]);
  if (taken !== digest(seed + 1, octets)) throw new Error('the client got other octets than the server sent');
  socket.end();
  if ((await incoming.line()) !== digest(seed, octets)) throw new Error('the server got other octets than were sent');
  if ((await incoming.next()) !== null) throw new Error('the server goes on behind its end');
  return performance.now() - started;
}

async function run(wanted: Wanted, count: number, seed: number): Promise<void> {
  const started = performance.now();
  const faults: string[] = [];
  const took: number[] = [];
  await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      try {
        took.push(await runOne(wanted, seed + 2 * i));
      } catch (error) {
        faults.push(error instanceof Error ? error.message : String(error));
      }
    }),
  );
  took.sort((a, b) => a - b);
  const ms = Math.round(performance.now() - started);
  const at = (share: number): number => Math.round(took[Math.floor((took.length - 1) * share)] ?? 0);
  const report: StreamReport = { good: took.length, faults, ms, medianMs: at(0.5), longestMs: at(1) };
  console.log(JSON.stringify(report));
}

const [mode, address = '', port = '', linkId = '', count = '', octets = '', how = '', seed = ''] =
  process.argv.slice(2);
if (mode === 'serve') await serve(address, Number(port));
else if (mode === 'run')
  await run(
    { address, port: Number(port), linkId, octets: Number(octets), listen: how === 'listen' },
    Number(count),
    Number(seed),
  );
else throw new Error(`stream-peer: no such mode: ${String(mode)}`);
