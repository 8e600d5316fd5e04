/** Events of a management interface, over as many connections as it takes. */
import { setTimeout } from 'node:timers/promises';
import type { IncomingMessage } from 'node:http';
import { CulvertError } from '../errors.js';
import type { ApiClient, Json } from './api-client.js';
import { ApiError } from './api-error.js';

const RETRY_MS = 1000;
/** Characters of one event. */
const MAX_EVENT = 4 << 20;

interface Block {
  /** Where the listener is from now on; undefined: it is not told. */
  readonly id: string | undefined;
  /** Undefined: no event, as where an id or a comment comes alone. */
  readonly data: string | undefined;
}

/** The blocks of a stream of server-sent events. */
async function* blocksOf(response: IncomingMessage): AsyncGenerator<Block> {
  response.setEncoding('utf8');
  let rest = '';
  for await (const chunk of response as AsyncIterable<string>) {
    rest += chunk;
    const blocks = rest.split('\n\n');
    rest = blocks.pop()!;
    if (rest.length > MAX_EVENT) throw new CulvertError('CLIENT_ANSWER', 'an event of the server never ends');
    for (const block of blocks) {
      const fields = (name: string): string[] =>
        block.split('\n').flatMap((line) => (line.startsWith(`${name}: `) ? [line.slice(name.length + 2)] : []));
      const data = fields('data');
      yield { id: fields('id').at(-1), data: data.length > 0 ? data.join('\n') : undefined };
    }
  }
}

/**
 * Events as they come. A connection that breaks is made again, from the last event on.
 * @param after id of the last event that was seen
 * @param onBreak told of each connection that broke
 * @throws ApiError; CulvertError CLIENT_* when the first connection cannot be made
 */
export async function* events(
  client: ApiClient,
  after: string | undefined,
  onBreak: (why: string) => void,
  signal: AbortSignal,
): AsyncGenerator<Json> {
  let last = after;
  const ended = (): boolean => signal.aborted;
  for (let connections = 0; !ended();) {
    try {
      const response = await client.stream(
        '/culvert/events',
        last === undefined ? {} : { 'Last-Event-ID': last },
        signal,
      );
      connections++;
      for await (const { id, data } of blocksOf(response)) {
        last = id ?? last;
        if (data !== undefined) yield JSON.parse(data) as Json;
      }
      onBreak('the server ended the stream');
    } catch (error) {
      if (ended()) return;
      if (connections === 0 || error instanceof ApiError) throw error;
      onBreak((error as Error).message);
    }
    await setTimeout(RETRY_MS, undefined, { signal }).catch(() => undefined);
  }
}
