/**
 * The control socket: a unix socket that only its owner may use. A request is a line of JSON, `{"command": "status"}` or
 * `{"command": "flows", "top": 20, "address": 167772165, "port": 443}`; the answer is a line `{"ok": ...}` or
 * `{"error": {"code", "message"}}`. A connection may ask as often as it likes, one request after the other.
 *
 * `{"command": "tap", "network": "red", "link": "web", "address": 167772165, "port": 443, "snaplen": 128}` is answered with
 * `{"ok": {}}`, and then with pcapng octets until another line comes.
 */
import { mkdirSync, rmSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { CulvertError } from '../errors.js';
import { type FlowQuery, MOST_FLOWS } from './flow-report.js';
import type { TapOptions, TapReader } from './tap/tap.js';

/** What the socket gives access to. */
export interface Controlled {
  status(): unknown;
  flows(query: FlowQuery): Promise<unknown>;
  plan(): unknown;
  /** @returns what ends it */
  tap(options: TapOptions, reader: TapReader): () => void;
}

/** Characters in a request's line; a longer one ends the connection. */
const MAX_REQUEST = 4096;
const FAREWELL_MS = 500;
const MIN_SNAP_LENGTH = 96;
const MAX_SNAP_LENGTH = 262_144;

export class ControlServer {
  private readonly server: net.Server;
  private readonly path: string;
  private readonly connections = new Set<net.Socket>();

  private constructor(server: net.Server, socketPath: string) {
    this.server = server;
    this.path = socketPath;
  }

  /** @throws CulvertError CONTROL_SOCKET_FAILED */
  static async listen(socketPath: string, controlled: Controlled): Promise<ControlServer> {
    const server = net.createServer();
    const control = new ControlServer(server, socketPath);
    server.on('connection', (socket) => {
      control.connections.add(socket);
      socket.on('close', () => control.connections.delete(socket));
      socket.on('error', () => socket.destroy());
      void serve(socket, controlled);
    });
    try {
      mkdirSync(path.dirname(socketPath), { recursive: true, mode: 0o700 });
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        // The socket must never be there with another mode, not even for a moment; listen binds it at once.
        const mask = process.umask(0o177);
        try {
          server.listen(socketPath, resolve);
        } finally {
          process.umask(mask);
        }
      });
    } catch (error) {
      server.close();
      const { code, message } = error as NodeJS.ErrnoException;
      const why = code === 'EADDRINUSE' ? 'something is there already; remove it, or name another socket' : message;
      throw new CulvertError('CONTROL_SOCKET_FAILED', `control socket ${socketPath}: ${why}`, {}, { cause: error });
    }
    return control;
  }

  async close(): Promise<void> {
    // What a tap has still to say goes out, if somebody reads it.
    for (const socket of this.connections) socket.destroySoon();
    const timer = setTimeout(() => {
      for (const socket of this.connections) socket.destroy();
    }, FAREWELL_MS);
    await new Promise<void>((resolve) => {
      this.server.close(() => {
        resolve();
      });
    });
    clearTimeout(timer);
    rmSync(this.path, { force: true });
  }
}

async function serve(socket: net.Socket, controlled: Controlled): Promise<void> {
  let unfinished = 0;
  socket.on('data', (chunk: Buffer) => {
    const end = chunk.lastIndexOf(10);
    unfinished = end < 0 ? unfinished + chunk.length : chunk.length - end - 1;
    if (unfinished > MAX_REQUEST) socket.destroy();
  });
  let endTap: (() => void) | null = null;
  // Also where a peer goes without a word, of which the lines below need not tell.
  socket.once('close', () => endTap?.());
  try {
    for await (const line of createInterface({ input: socket, crlfDelay: Infinity })) {
      if (line === '') continue;
      if (endTap !== null) {
        endTap(); // its octets leave no room for another answer
        continue;
      }
      const answered = await answer(line, controlled, socket);
      if (typeof answered === 'function') endTap = answered as () => void;
      else socket.write(`${JSON.stringify(answered)}\n`);
    }
  } catch {
    socket.destroy(); // whoever asked has gone
  }
}

/** @returns what to say, or, of a tap that says it itself, what ends it */
async function answer(line: string, controlled: Controlled, socket: net.Socket): Promise<unknown> {
  try {
    const request = parse(line);
    if (request['command'] === 'status') return { ok: controlled.status() };
    if (request['command'] === 'flows') return { ok: await controlled.flows(flowQuery(request)) };
    if (request['command'] === 'plan') return { ok: controlled.plan() };
    if (request['command'] === 'tap') return controlled.tap(tapOptions(request), readerOf(socket));
    throw new CulvertError('CONTROL_REQUEST', `no such command; there are status, flows, plan and tap`);
  } catch (error) {
    if (error instanceof CulvertError) return { error: { code: error.code, message: error.message } };
    return { error: { code: 'INTERNAL', message: String(error) } };
  }
}

function parse(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw new CulvertError('CONTROL_REQUEST', 'a request is a line with a JSON object');
}

function flowQuery(request: Record<string, unknown>): FlowQuery {
  const top = whole(request, 'top', MOST_FLOWS) ?? 20;
  const address = whole(request, 'address', 0xffff_ffff);
  const port = whole(request, 'port', 0xffff);
  return { top, ...(address === undefined ? {} : { address }), ...(port === undefined ? {} : { port }) };
}

function tapOptions(request: Record<string, unknown>): TapOptions {
  const [network, link] = [text(request, 'network'), text(request, 'link')];
  const address = whole(request, 'address', 0xffff_ffff);
  const port = whole(request, 'port', 0xffff);
  const snapLength = whole(request, 'snaplen', MAX_SNAP_LENGTH) ?? MAX_SNAP_LENGTH;
  if (snapLength < MIN_SNAP_LENGTH) {
    // A packet's flow must be told from what is kept of it.
    throw new CulvertError('CONTROL_REQUEST', `snaplen is ${MIN_SNAP_LENGTH} to ${MAX_SNAP_LENGTH} octets`);
  }
  return {
    snapLength,
    ...(network === undefined ? {} : { network }),
    ...(link === undefined ? {} : { link }),
    ...(address === undefined ? {} : { address }),
    ...(port === undefined ? {} : { port }),
  };
}

function readerOf(socket: net.Socket): TapReader {
  let answered = false;
  return {
    write: (octets) => {
      // The first octets come once the tap is there, so that a refusal is still told as one.
      if (!answered) socket.write('{"ok":{}}\n');
      answered = true;
      socket.write(octets);
    },
    get waiting() {
      return socket.writableLength;
    },
    end: () => {
      socket.end();
    },
  };
}

function text(request: Record<string, unknown>, name: string): string | undefined {
  const value = request[name];
  if (value === undefined || typeof value === 'string') return value;
  throw new CulvertError('CONTROL_REQUEST', `${name} is a name`);
}

function whole(request: Record<string, unknown>, name: string, most: number): number | undefined {
  const value = request[name];
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most) return value;
  throw new CulvertError('CONTROL_REQUEST', `${name} is a whole number, 0 to ${String(most)}`);
}
