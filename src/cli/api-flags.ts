/** Options of the management interface, which `serve` and `up` share. */
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { ApiServer } from '../control/api-server.js';
import type { ResourceManager } from '../control/manager.js';
import { CulvertError } from '../errors.js';
import type { Log } from '../gateway/log.js';
import { UsageError } from './failure.js';

export interface ApiFlags {
  readonly port?: string;
  readonly state?: string;
  readonly listen?: string;
  readonly tls?: true;
  readonly tokenFile?: string;
  readonly operationTime?: string;
}

export const addApiOptions = (command: Command): Command =>
  command
    .option('--port <number>', 'port of the management interface; 0: any free one')
    .option('--state <file>', 'where its resources are kept; made if it is not there')
    .option('--listen <address>', 'address to listen on (127.0.0.1); any other needs --token-file')
    .option('--tls', 'https, with a certificate of its own beside the state file')
    .option('--token-file <file>', 'file with the bearer token that every request must have')
    .option('--operation-time <seconds>', 'how long operations seem to take, to try out how a client waits (0)');

/** @throws UsageError; CulvertError API_*, STATE_* */
export async function openApi(flags: ApiFlags, manager: ResourceManager, log: Log): Promise<ApiServer> {
  const [{ ApiServer }, { certificateFor }] = await Promise.all([
    import('../control/api-server.js'),
    import('../control/tls.js'),
  ]);
  const port = wholeNumber('--port', flags.port ?? '', 65535);
  const seconds = Number(flags.operationTime ?? 0);
  if (!(seconds >= 0 && seconds <= 3600)) throw new UsageError(`--operation-time is 0 to 3600 seconds`);
  const server = await ApiServer.listen({
    manager,
    log,
    port,
    listen: flags.listen,
    token: flags.tokenFile === undefined ? undefined : readToken(flags.tokenFile),
    certificate: flags.tls === true ? certificateFor(flags.state!, flags.listen ?? '127.0.0.1') : undefined,
    operationMs: seconds * 1000,
  });
  log.info('management interface', { url: server.url });
  return server;
}

function wholeNumber(option: string, text: string, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= most) return value;
  throw new UsageError(`${option} is a whole number, 0 to ${String(most)}`);
}

function readToken(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new CulvertError('API_TOKEN_FILE', `${file}: ${(error as Error).message}`, {}, { cause: error });
  }
  if (/^\S{8,4096}$/.test(text)) return text;
  throw new CulvertError('API_TOKEN_FILE', `${file} holds no token: one line of at least 8 characters without spaces`);
}
