/** What `culvert events` does: a line for each event. */
import { events } from '../client/event-source.js';
import type { Json } from '../client/api-client.js';
import { clientOf } from './client-flags.js';
import { print, tell } from './print.js';
import type { ClientFlags } from './client-flags.js';

export interface EventFlags extends ClientFlags {
  readonly after?: string;
}

function lineOf({ time, type, ...fields }: Json): string {
  const told = Object.entries(fields).filter(([name]) => name !== 'id');
  const shown = told.map(([name, value]) => `${name}=${String(value)}`);
  return `${[time, String(type).padEnd(10), ...shown].join(' ')}\n`;
}

export async function followEvents(flags: EventFlags): Promise<void> {
  const client = await clientOf(flags);
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort());
  const onBreak = (why: string): void => {
    tell(`culvert: ${why}; connecting again\n`);
  };
  for await (const event of events(client, flags.after, onBreak, ending.signal)) {
    print(flags.json === true ? `${JSON.stringify(event)}\n` : lineOf(event));
  }
}
