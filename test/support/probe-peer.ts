/**
 * Servers that say which backend they are, and clients that watch who answers: programs that tests run inside a
 * namespace. A line is what a client prints: who answered, and when, or of a new connection, when it was begun (milliseconds
 * since 1970).
 *
 *   probe-peer serve ADDRESS PORT   prints `ready`; TCP (behind a PROXY header) and UDP answer ADDRESS to each message
 *   probe-peer hold ADDRESS PORT    one TCP connection, a message each 50 ms; a line for each answer
 *   probe-peer new ADDRESS PORT     a new TCP connection each 20 ms; a line for each answer
 *   probe-peer udp ADDRESS PORT     one UDP socket, a datagram each 20 ms; a line for each answer
 */
import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { ProxyHeaderReader } from '../../src/wire/index.js';

const [mode, address = '', port = ''] = process.argv.slice(2);

const tell = (who: string, at = Date.now()): void => console.log(`${who} ${String(at)}`);

function answer(socket: net.Socket): void {
  const reader = new ProxyHeaderReader({ maxLength: 512 });
  let header = false;
  socket.on('data', (chunk: Buffer) => {
    if (!header) {
      const read = reader.push(chunk);
      if (read === undefined) return;
      header = true;
      if (read.rest.length === 0) return;
    }
    socket.write(`${address}\n`);
  });
  socket.on('end', () => socket.end());
  socket.on('error', () => undefined);
}

async function serve(): Promise<void> {
  const server = net.createServer({ noDelay: true, allowHalfOpen: true }, answer);
  server.listen(Number(port), address);
  const udp = dgram.createSocket('udp4');
  udp.on('message', (_, from) => udp.send(address, from.port, from.address));
  udp.bind(Number(port), address);
  await Promise.all([once(server, 'listening'), once(udp, 'listening')]);
  console.log('ready');
}

function hold(): void {
  const socket = net.connect({ host: address, port: Number(port), noDelay: true });
  socket.on('data', (part: Buffer) => tell(part.toString().trim().split('\n')[0]!));
  socket.on('close', () => console.log('closed'));
  socket.on('error', () => undefined);
  setInterval(() => socket.write('.'), 50);
}

function open(): void {
  setInterval(() => {
    const begun = Date.now();
    const socket = net.connect({ host: address, port: Number(port), noDelay: true });
    socket.setTimeout(10_000, () => socket.destroy());
    socket.on('error', () => undefined);
    socket.on('data', (part: Buffer) => {
      tell(part.toString().trim(), begun);
      socket.destroy();
    });
    socket.write('.');
  }, 20);
}

function udp(): void {
  const socket = dgram.createSocket('udp4');
  socket.on('message', (message) => tell(message.toString()));
  socket.bind(() => setInterval(() => socket.send('.', Number(port), address), 20));
}

if (mode === 'serve') await serve();
else if (mode === 'hold') hold();
else if (mode === 'new') open();
else if (mode === 'udp') udp();
else throw new Error(`probe-peer: no such mode: ${String(mode)}`);
