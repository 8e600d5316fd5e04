/**
 * How the gateway's log is written: JSON lines for machines, text for people. What runs on does not end for its log: a
 * line that cannot be written, as where a disk is full, is left out.
 */
import { fstatSync } from 'node:fs';
import { pino } from 'pino';
import type { Log, LogFields } from '../gateway/log.js';
import { isTerminal, print, STDERR, tell } from './print.js';

/** JSON lines to standard output. */
export function jsonLog(): Log {
  const logger = pino(
    { timestamp: () => `,"time":"${new Date().toISOString()}"`, formatters: { level: (level) => ({ level }) } },
    // A log of control events is small; what was logged must be out when the process ends.
    { write: printIfPossible },
  );
  return {
    info: (message, fields = {}) => logger.info(fields, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
    error: (message, fields = {}) => logger.error(fields, message),
  };
}

function printIfPossible(line: string): void {
  try {
    print(line);
  } catch {
    // See above.
  }
}

/** Lines of text to standard error: on a terminal the time of day, elsewhere the date too. */
export function textLog(): Log {
  const onTerminal = isTerminal('stderr');
  const put = writerOfStderr();
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

/** A pipe's reader may be slow, and packets must not wait for it. */
function writerOfStderr(): (line: string) => void {
  const status = fstatSync(STDERR);
  if (!status.isFIFO() && !status.isSocket()) return tell;
  const { stderr } = process;
  stderr.on('error', () => undefined);
  return (line) => void stderr.write(line);
}

const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
