/**
 * Connections that say little, told of event by event: a program that tests run inside a namespace.
 *
 *   idle-peer serve ADDRESS PORT...         prints `ready`, greets each connection after its PROXY header, echoes, and
 *                                           prints `PORT reset` or `PORT end` when one ends
 *   idle-peer hold ADDRESS PORT HOW SECONDS connects; HOW: `silent`, or `keepalive` by the kernel each second. Prints
 *                                           `open`, then `reset` or `end` if that comes; after SECONDS, if neither has,
 *                                           says something and prints `echo`, or `nothing` after five more, and stays
 */
import net from 'node:net';
import { ProxyHeaderReader } from '../../src/wire/index.js';

const WAIT_FOR_ECHO_MS = 5000;

const [mode, address = '', ...rest] = process.argv.slice(2);

function tell(socket: net.Socket, prefix: string): void {
  socket.on('error', (error: NodeJS.ErrnoException) =>
    console.log(`${prefix}${error.code === 'ECONNRESET' ? 'reset' : String(error.code)}`),
  );
  socket.on('end', () => console.log(`${prefix}end`));
}

function serve(ports: readonly number[]): void {
  let waiting = ports.length;
  for (const port of ports) {
    const server = net.createServer({ noDelay: true }, (socket) => {
      tell(socket, `${port} `);
      const reader = new ProxyHeaderReader({ maxLength: 512 });
      const onData = (chunk: Buffer): void => {
        if (reader.push(chunk) === undefined) return;
        socket.off('data', onData);
        socket.write('hello\n');
        socket.pipe(socket);
      };
      socket.on('data', onData);
    });
    server.listen({ port, host: address, backlog: 1024 }, () => {
      if (--waiting === 0) console.log('ready');
    });
  }
}

function hold(port: number, how: string, seconds: number): void {
  const socket = net.connect({ port, host: address, noDelay: true });
  if (how === 'keepalive') socket.setKeepAlive(true, 1000);
  tell(socket, '');
  socket.once('data', () => {
    console.log('open');
    setTimeout(() => {
      if (socket.destroyed) return;
      const nothing = setTimeout(() => console.log('nothing'), WAIT_FOR_ECHO_MS);
      socket.once('data', () => {
        clearTimeout(nothing);
        console.log('echo');
      });
      socket.write('x');
    }, seconds * 1000);
  });
}

const numbers = rest.map(Number);
if (mode === 'serve') serve(numbers);
else if (mode === 'hold') hold(numbers[0]!, rest[1] ?? '', Number(rest[2]));
else throw new Error(`idle-peer: no such mode: ${String(mode)}`);
