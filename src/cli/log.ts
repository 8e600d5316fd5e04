/** How the gateway's log is written: JSON lines for machines, text for people. */
import { destination, pino } from 'pino';
import type { Log, LogFields } from '../gateway/log.js';

/** JSON lines to standard output. */
export function jsonLog(): Log {
  const logger = pino(
    { timestamp: () => `,"time":"${new Date().toISOString()}"`, formatters: { level: (level) => ({ level }) } },
    // A log of control events is small; what was logged must be out when the process ends.
    destination({ fd: 1, sync: true }),
  );
  return {
    info: (message, fields = {}) => logger.info(fields, message),
    warn: (message, fields = {}) => logger.warn(fields, message),
    error: (message, fields = {}) => logger.error(fields, message),
  };
}

/** Lines of text: on a terminal the time of day, elsewhere the date too. */
export function textLog(stream: NodeJS.WriteStream): Log {
  const write = (level: string, message: string, fields: LogFields = {}): void => {
    const now = new Date().toISOString();
    const time = stream.isTTY ? now.slice(11, 23) : now;
    const rest = Object.entries(fields).map(([name, value]) => `${name}=${text(value)}`);
    stream.write(`${[time, level, message, ...rest].join(' ')}\n`);
  };
  return {
    info: (message, fields) => write('info ', message, fields),
    warn: (message, fields) => write('WARN ', message, fields),
    error: (message, fields) => write('ERROR', message, fields),
  };
}

const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
