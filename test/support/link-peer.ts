/**
 * Servers that read the PROXY header with the public codec, and their clients: programs that tests run inside a
 * namespace.
 *
 *   link-peer serve ADDRESS        prints `ready`, then listens on three ports:
 *                                  7000 says whose connection it is, and ends it
 *                                  7001 speaks first, with a banner that says the same; then echoes
 *                                  7002 takes OCTETS (a line), answers with their SHA-256 and as many of its own
 *   link-peer banner ADDRESS PORT  prints the first line that the server says, having said nothing itself
 *   link-peer hold ADDRESS PORT    the same; then sends an octet each 100 ms and prints `echo` for each that comes back
 *   link-peer bulk ADDRESS PORT OCTETS  sends and takes so many, prints JSON
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { azureLinkId, ProxyHeaderReader } from '../../src/wire/index.js';

const [mode, address = '', port = '', octets = ''] = process.argv.slice(2);

/** Calls back once the header is whole, with who it tells of and what came behind it. */
function readHeader(socket: net.Socket, onHeader: (who: string, rest: Buffer) => void): void {
  const reader = new ProxyHeaderReader({ maxLength: 512 });
  const onData = (chunk: Buffer): void => {
    const read = reader.push(chunk);
    if (read === undefined) return;
    socket.off('data', onData);
    const { header, rest } = read;
    if (header.family !== 'inet') throw new Error('no header of a consumer');
    const { source, destination } = header;
    const from = `${source.address}:${String(source.port)}`;
    onHeader(
      `LINKID ${String(azureLinkId(header))} from ${from} to ${destination.address}:${String(destination.port)}`,
      rest,
    );
  };
  socket.on('data', onData);
}

function whose(socket: net.Socket): void {
  readHeader(socket, (who) => socket.end(`${who}\n`));
}

function banner(socket: net.Socket): void {
  readHeader(socket, (who, rest) => {
    socket.write(`${who}\n`);
    socket.write(rest);
    socket.pipe(socket);
  });
}

/** Octets of a stream that no shift, loss or repetition maps on itself, made and hashed piece by piece. */
function* pieces(total: number, seed: number): Generator<Buffer> {
  for (let at = 0, n = 0; at < total; n++) {
    const piece = Buffer.alloc(Math.min(1 << 18, total - at));
    for (let i = 0; i + 4 <= piece.length; i += 4)
      piece.writeUInt32LE(Math.imul(i + n * 65537, 0x9e3779b1 ^ seed) >>> 0, i);
    yield piece;
    at += piece.length;
  }
}

async function send(socket: net.Socket, total: number, seed: number): Promise<string> {
  const hash = createHash('sha256');
  for (const piece of pieces(total, seed)) {
    hash.update(piece);
    if (!socket.write(piece)) await once(socket, 'drain');
  }
  return hash.digest('hex');
}

/** The SHA-256 of the next `total` octets. What comes behind them may share their last chunk, and goes to `onRest`. */
function take(socket: net.Socket, first: Buffer, total: number, onRest: (rest: Buffer) => void): Promise<string> {
  const hash = createHash('sha256');
  let left = total;
  return new Promise((resolve, reject) => {
    const onData = (chunk: Buffer): void => {
      const wanted = chunk.subarray(0, left);
      if (wanted.length < chunk.length) onRest(chunk.subarray(wanted.length));
      if (left === 0) return;
      hash.update(wanted);
      left -= wanted.length;
      if (left === 0) resolve(hash.digest('hex'));
    };
    socket.on('data', onData);
    socket.once('close', () => reject(new Error(`${String(left)} octets are missing`)));
    if (first.length > 0) onData(first);
  });
}

function bulkServer(socket: net.Socket): void {
  readHeader(socket, (_, rest) => {
    let head = rest;
    const onData = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf(10);
      if (end < 0) return;
      socket.off('data', onData);
      const total = Number(head.subarray(0, end).toString());
      const tooMuch = (rest: Buffer): void => {
        throw new Error(`${String(rest.length)} octets too many`);
      };
      void Promise.all([take(socket, head.subarray(end + 1), total, tooMuch), send(socket, total, 2)]).then(([hash]) =>
        socket.end(`${hash}\n`),
      );
    };
    socket.on('data', onData);
    if (rest.length > 0) onData(Buffer.alloc(0));
  });
}

async function bulk(total: number): Promise<void> {
  const socket = net.connect(Number(port), address);
  await once(socket, 'connect');
  socket.write(`${String(total)}\n`);
  const started = performance.now();
  let tail = '';
  const ended = once(socket, 'end');
  const took = take(socket, Buffer.alloc(0), total, (rest) => (tail += rest.toString()));
  const sent = await send(socket, total, 1);
  const received = await took;
  await ended;
  const wanted = createHash('sha256');
  for (const piece of pieces(total, 2)) wanted.update(piece);
  const ms = Math.round(performance.now() - started);
  console.log(JSON.stringify({ out: tail.trim() === sent, back: received === wanted.digest('hex'), ms }));
}

function firstLine(socket: net.Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const onData = (chunk: Buffer): void => {
      text += chunk.toString();
      if (!text.includes('\n')) return;
      socket.off('data', onData);
      resolve(text.slice(0, text.indexOf('\n')));
    };
    socket.on('data', onData);
    socket.once('error', reject);
  });
}

async function hold(): Promise<void> {
  const socket = net.connect(Number(port), address);
  console.log(await firstLine(socket));
  if (mode === 'banner') {
    socket.destroy();
    return;
  }
  socket.on('error', () => undefined);
  socket.on('data', () => console.log('echo'));
  setInterval(() => socket.write('.'), 100);
}

async function serve(): Promise<void> {
  const servers = [whose, banner, bulkServer].map((each, i) => {
    const server = net.createServer({ noDelay: true }, (socket) => {
      socket.on('error', () => undefined);
      each(socket);
    });
    server.listen(7000 + i, address);
    return once(server, 'listening');
  });
  await Promise.all(servers);
  console.log('ready');
}

if (mode === 'serve') await serve();
else if (mode === 'bulk') await bulk(Number(octets));
else if (mode === 'banner' || mode === 'hold') await hold();
else throw new Error(`link-peer: no such mode: ${String(mode)}`);
