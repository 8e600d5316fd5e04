/** Options of the management interface, which `serve` and `up` share, and what they open. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import type { LabConfig } from '../config/index.js';
import type { ApiServer } from '../control/api-server.js';
import type { EventHub } from '../control/events.js';
import type { ResourceManager } from '../control/manager.js';
import { CulvertError } from '../errors.js';
import type { Gateway } from '../gateway/gateway.js';
import type { Log } from '../gateway/log.js';
import { UsageError } from './failure.js';

export interface ApiFlags {
  readonly port?: string;
  readonly state?: string;
  readonly listen?: string;
  readonly tls?: true;
  readonly tokenFile?: string;
  readonly operationTime?: string;
  readonly runDir?: string;
}

export const addApiOptions = (command: Command): Command =>
  command
    .option('--port <number>', 'port of the management interface; 0: any free one')
    .option('--state <file>', 'where its resources are kept; made if it is not there')
    .option('--listen <address>', 'address to listen on (127.0.0.1); any other needs --token-file')
    .option('--tls', 'https, with a certificate of its own beside the state file')
    .option('--token-file <file>', 'file with the bearer token that every request must have')
    .option('--operation-time <seconds>', 'how long operations seem to take, to try out how a client waits (0)');

/** Resources that are managed over the interface. */
export interface ManagedResources {
  lab(): LabConfig;
  /** What is logged here listeners of events hear of, too. */
  readonly log: Log;
  /** Begins to answer; with a gateway each change takes effect in it at once. */
  serve(gateway?: Gateway): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the state, and gives an empty one the lab file's resources.
 * @param lab path of a lab file
 * @returns null where neither --port nor --state is given
 * @throws UsageError; CulvertError CONFIG_*, STATE_*
 */
export async function openResources(
  flags: ApiFlags,
  lab: string | undefined,
  log: Log,
): Promise<ManagedResources | null> {
  if (flags.port === undefined && flags.state === undefined) return null;
  if (flags.port === undefined || flags.state === undefined) throw new UsageError('--port and --state go together');
  // Loaded when it is asked for: it is not needed for a lab file alone.
  const [{ loadLab }, { defaultBase }, { ResourceManager }, { Store }, { seed }] = await Promise.all([
    import('../config/index.js'),
    import('../control/lab.js'),
    import('../control/manager.js'),
    import('../control/store.js'),
    import('../control/seed.js'),
  ]);
  const { Told } = await import('../control/told.js');
  const told = new Told(`${flags.state}.audit.jsonl`, log);
  const config = lab === undefined ? undefined : loadLab(lab);
  const store = Store.open(flags.state);
  let manager: ResourceManager;
  let atStart: LabConfig['warnings'];
  try {
    manager = new ResourceManager({ store, base: config ?? defaultBase() });
    atStart = manager.lab().warnings;
    warnOnce(manager, log, atStart);
    told.follow(manager, store);
    if (config !== undefined) await seed(manager, config, log);
  } catch (error) {
    await store.close();
    throw error;
  }
  let server: ApiServer | null = null;
  let withdraw: (() => void) | null = null;
  return {
    lab: () => manager.lab(),
    log: told.log,
    serve: async (gateway) => {
      if (gateway !== undefined) follow(manager, gateway, log);
      // A gateway tells them itself.
      else for (const { code, message } of atStart) log.warn(message, { code });
      server = await openServer(flags, manager, log, told.events);
      withdraw = await announce(flags, server);
    },
    close: async () => {
      withdraw?.();
      await server?.close();
      await manager.close();
      told.close();
    },
  };
}

/** What works but should not be so is logged when it comes up, not again with every change. */
function warnOnce(manager: ResourceManager, log: Log, atStart: LabConfig['warnings']): void {
  let before = new Set(atStart.map(({ message }) => message));
  manager.onCommitted(({ warnings }) => {
    for (const { code, message, target } of warnings) if (!before.has(message)) log.warn(message, { code, target });
    before = new Set(warnings.map(({ message }) => message));
  });
}

/** Changes of the resources take effect in the gateway before they are answered. */
function follow(manager: ResourceManager, gateway: Gateway, log: Log): void {
  manager.attach({
    prepare: (lab) => gateway.prepare(lab).undo,
    apply: (lab) => {
      log.info('resources changed', { flowsEnded: gateway.take(lab) });
    },
  });
}

/** @throws UsageError; CulvertError API_* */
async function openServer(flags: ApiFlags, manager: ResourceManager, log: Log, events: EventHub): Promise<ApiServer> {
  const [{ ApiServer }, { certificateFor }] = await Promise.all([
    import('../control/api-server.js'),
    import('../control/tls.js'),
  ]);
  const seconds = Number(flags.operationTime ?? 0);
  if (!(seconds >= 0 && seconds <= 3600)) throw new UsageError(`--operation-time is 0 to 3600 seconds`);
  const server = await ApiServer.listen({
    manager,
    log,
    events,
    port: wholeNumber('--port', flags.port ?? '', 65535),
    listen: flags.listen,
    token: flags.tokenFile === undefined ? undefined : readToken(flags.tokenFile),
    certificate: flags.tls === true ? certificateFor(flags.state!, flags.listen ?? '127.0.0.1') : undefined,
    operationMs: seconds * 1000,
  });
  log.info('management interface', { url: server.url });
  return server;
}

/** Commands on this machine find the server by its record. */
async function announce(flags: ApiFlags, server: ApiServer): Promise<(() => void) | null> {
  const { announceServer } = await import('../client/servers.js');
  const url = server.url.replace(/\/\/(0\.0\.0\.0|\[::\]):/, '//127.0.0.1:');
  const record = {
    url,
    certificate: flags.tls === true ? path.resolve(`${flags.state!}.crt`) : null,
    tokenFile: flags.tokenFile === undefined ? null : path.resolve(flags.tokenFile),
  };
  return announceServer(record, flags.runDir);
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
