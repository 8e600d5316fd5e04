/**
 * How the gateway's log is written: JSON lines for machines, text for people. What runs on does not end for its log: a
 * line that cannot be written, as where a disk is full, is left out.
 */
import { fstatSync } from 'node:fs';
import { pino } from 'pino';
import type { Log, LogFields } from '../gateway/log.js';
import { isTerminal, print, STDERR, STDOUT } from './print.js';

/** Octets that wait for a pipe's reader; lines beyond are left out. */
const MOST_WAITING = 16 << 20;

/** JSON lines to standard output. */
export function jsonLog(): Log {
  const logger = pino(
    { timestamp: () => `,"time":"${new Date().toISOString()}"`, formatters: { level: (level) => ({ level }) } },
    { write: writerOf('stdout') },
  );
  return {
    info: (message, fields = {}) => logger.info(fields, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
    error: (message, fields = {}) => logger.error(fields, message),
  };
}

/** Lines of text to standard error: on a terminal the time of day, elsewhere the date too. */
export function textLog(): Log {
  const onTerminal = isTerminal('stderr');
  const put = writerOf('stderr');
  const write = (level: string, message: string, fields: LogFields = {}): void => {
    const now = new Date().toISOString();
    const time = onTerminal ? now.slice(11, 23) : now;
    const rest = Object.entries(fields).map(([name, value]) => `${name}=${text(value)}`);
    put(`${[time, level, message, ...rest].join(' ')}\n`);
  };
  return {
    info: (message, fields) => write('info ', message, fields),
    warn: (message, fields) => write('WARN ', message, fields),
    error: (message, fields) => write('ERROR', message, fields),
  };
}

/** A pipe's reader may be slow, and packets must not wait for it. To a file a line is out at once, even where the process breaks. */
function writerOf(name: 'stdout' | 'stderr'): (line: string) => void {
  const descriptor = name === 'stdout' ? STDOUT : STDERR;
  const status = fstatSync(descriptor);
  if (status.isFIFO() || status.isSocket()) {
    const stream = process[name];
    stream.on('error', () => undefined);
    return (line) => {
      if (stream.writableLength < MOST_WAITING) stream.write(line);
    };
  }
  return (line) => {
    try {
      print(line, descriptor);
    } catch {
      // See the head.
    }
  };
}

const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
