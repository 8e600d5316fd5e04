/**
 * A program that tests run inside a namespace: plain sockets of the kernel, nothing of ours.
 *
 *   net-peer serve ADDRESS PORT                TCP and UDP echo; prints `ready`
 *   net-peer tcp ADDRESS PORT OCTETS STREAMS   sends that much on each stream, and prints how it came back, as JSON
 *   net-peer udp ADDRESS PORT SIZE...          sends a datagram of each size, waits for each echo, prints JSON
 */
import { createHash } from 'node:crypto';
import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';

const [mode, address = '', port = '', ...rest] = process.argv.slice(2);

/** Octets that no shift, repetition or loss maps on themselves. */
function pattern(octets: number, seed: number): Buffer {
  const b = Buffer.alloc(octets);
  let x = (seed * 0x9e3779b9) | 1;
  for (let i = 0; i < octets; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    b[i] = x;
  }
  return b;
}

const sha256 = (b: Buffer): string => createHash('sha256').update(b).digest('hex');

async function serve(): Promise<void> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  server.listen(Number(port), address);
  const udp = dgram.createSocket('udp4');
  udp.on('message', (message, from) => udp.send(message, from.port, from.address));
  udp.bind(Number(port), address);
  await Promise.all([once(server, 'listening'), once(udp, 'listening')]);
  console.log('ready');
}

async function stream(octets: number, seed: number): Promise<boolean> {
  const sent = pattern(octets, seed);
  const socket = net.connect({ host: address, port: Number(port), noDelay: true });
  const back: Buffer[] = [];
  socket.on('data', (part) => back.push(part));
  socket.end(sent);
  await once(socket, 'close');
  return sha256(Buffer.concat(back)) === sha256(sent);
}

async function tcp(octets: number, streams: number): Promise<void> {
  const started = performance.now();
  const same = await Promise.all(Array.from({ length: streams }, (_, i) => stream(octets, i + 1)));
  console.log(JSON.stringify({ same: same.filter(Boolean).length, ms: Math.round(performance.now() - started) }));
}

async function udp(sizes: number[]): Promise<void> {
  const socket = dgram.createSocket('udp4');
  const same: number[] = [];
  for (const size of sizes) {
    const sent = pattern(size, size);
    socket.send(sent, Number(port), address);
    const [back] = (await once(socket, 'message', { signal: AbortSignal.timeout(30_000) })) as [Buffer];
    if (back.equals(sent)) same.push(size);
  }
  socket.close();
  console.log(JSON.stringify({ same }));
}

if (mode === 'serve') await serve();
else if (mode === 'tcp') await tcp(Number(rest[0]), Number(rest[1]));
else if (mode === 'udp') await udp(rest.map(Number));
else throw new Error(`net-peer: no such mode: ${String(mode)}`);
