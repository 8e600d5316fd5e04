/** Server-sent events (WHATWG HTML, section 9.2) over one answer. */
import type { ServerResponse } from 'node:http';
import type { EventStream } from './answer.js';

/** A comment keeps a quiet connection open through what forgets quiet ones. */
const HEARTBEAT_MS = 15_000;
/** Octets that may wait for a client that does not read; it may come back for the rest. */
const MAX_WAITING_OCTETS = 1 << 20;
/** Streams at one time; with more the oldest ends, and its client comes back. */
const MAX_STREAMS = 64;

const open = new Set<ServerResponse>();

export function streamEvents(
  response: ServerResponse,
  { place, listen }: EventStream,
  headers: Readonly<Record<string, string>>,
): void {
  response.writeHead(200, {
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-cache',
    'X-Content-Type-Options': 'nosniff',
    ...headers,
  });
  const write = (text: string): void => {
    if (response.writableLength > MAX_WAITING_OCTETS) response.destroy();
    else response.write(text);
  };
  // An id without data is no event: the client only keeps it.
  write(`retry: 1000\n${place === undefined ? '' : `id: ${place}\n`}\n`);
  const stop = listen((event) => write(`id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`));
  const heartbeat = setInterval(() => write(':\n\n'), HEARTBEAT_MS);
  open.add(response);
  response.on('close', () => {
    clearInterval(heartbeat);
    stop();
    open.delete(response);
  });
  if (open.size > MAX_STREAMS) [...open][0]?.destroy();
}
