/**
 * A lab: the gateway with its namespaces, and real servers in the provider's.
 *
 * Theory of operation. All that the lab makes is found again from the gateway's record (gateway/run-state.ts), also after
 * a kill -9: it names the namespaces, whose processes are the lab's servers and clients, and the temporary folder that has
 * all else. The record goes last. A start first removes what a killed lab left. What is not on record is another's: a
 * namespace of the same name is never taken over, since all that runs in the lab's namespaces ends with the lab.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CulvertError } from '../errors.js';
import { Gateway } from '../gateway/gateway.js';
import type { Log } from '../gateway/log.js';
import { thisMachine } from '../gateway/machine.js';
import { readRecord, runDirectory, type RunRecord, RunState, runningLabs } from '../gateway/run-state.js';
import { endProcesses, listens, Processes } from './processes.js';
import { ENVIRONMENT, needPrograms } from './programs.js';
import { haproxy } from './servers/haproxy.js';
import { mariadb } from './servers/mariadb.js';
import { nginx } from './servers/nginx.js';
import { bannerServer, iperfServers, linkIdServers } from './servers/own.js';
import { postfix } from './servers/postfix.js';
import { OUTPUT_LOG, type Server } from './servers/server.js';
import { unbound } from './servers/unbound.js';
import { labFile, type LabNames, namesOf, type Consumer } from './topology.js';

const FOLDER_PREFIX = 'culvert-lab-';
/** Time that another lab's process has to end, and that a server has to listen. */
const END_MS = 20_000;
const START_MS = 60_000;
const SERVERS: readonly Server[] = [
  ...[nginx, haproxy, mariadb, postfix, unbound, bannerServer],
  ...linkIdServers,
  ...iperfServers,
];

export interface LabOptions {
  /** Lower-case letters, digits and hyphens; two labs of different names may run at the same time. */
  readonly name: string;
  readonly log: Log;
  readonly runDirectory?: string;
  readonly onFailure?: (error: CulvertError) => void;
}

export class Lab {
  readonly names: LabNames;
  readonly folder: string;
  /** The lab file, which a running gateway may be told to take again. */
  readonly file: string;
  readonly processes = new Processes();
  private running: Gateway | null = null;
  private stopping: Promise<void> | null = null;

  private constructor(name: string, folder: string) {
    this.names = namesOf(name);
    this.folder = folder;
    this.file = path.join(folder, `${this.names.gateway}.yaml`);
  }

  /**
   * Brings the gateway up. The servers are started by `serve`.
   * @throws CulvertError LAB_*, and those of the gateway; nothing is left then
   */
  static async start(options: LabOptions): Promise<Lab> {
    checkName(options.name);
    if (process.geteuid?.() !== 0) {
      throw new CulvertError('LAB_NOT_ROOT', 'the lab makes network namespaces and starts servers: run it as root');
    }
    needPrograms();
    const directory = options.runDirectory ?? runDirectory();
    refuseRunning(options.name, directory);
    await removeLeft(options.name, directory);
    refuseOthersNamespaces(namesOf(options.name));
    const lab = new Lab(options.name, mkdtempSync(path.join(openFolder(), FOLDER_PREFIX)));
    try {
      chmodSync(lab.folder, 0o711); // servers give up root's rights and must still get to their own folders
      writeFileSync(lab.file, labFile(lab.names), { mode: 0o600 });
      const { log, onFailure } = options;
      lab.running = await Gateway.start({
        ...{ lab: lab.file, folder: lab.folder, log, runDirectory: directory },
        ...(onFailure === undefined ? {} : { onFailure }),
      });
      return lab;
    } catch (error) {
      rmSync(lab.folder, { recursive: true, force: true });
      throw error;
    }
  }

  get gateway(): Gateway {
    return this.running!;
  }

  /** Starts all servers and waits until each listens. @throws CulvertError LAB_SERVER_FAILED, with what it said */
  async serve(): Promise<void> {
    this.makeCertificate();
    await Promise.all(SERVERS.map((server) => this.startServer(server)));
  }

  get certificate(): string {
    return path.join(this.folder, 'certificate.pem');
  }

  /** Where a server's configuration and logs are. */
  folderOf(name: string): string {
    return path.join(this.folder, name.replaceAll(' ', '-'));
  }

  /** @returns how long the gateway took for it, in milliseconds */
  withdraw(who: readonly Consumer[]): number {
    writeFileSync(this.file, labFile(this.names, who), { mode: 0o600 });
    const started = performance.now();
    if (!this.gateway.reload()) throw new CulvertError('LAB_RELOAD_FAILED', 'the gateway did not take the lab file');
    return performance.now() - started;
  }

  /** Ends all that runs and removes all that was made. */
  stop(): Promise<void> {
    this.stopping ??= this.end();
    return this.stopping;
  }

  private async end(): Promise<void> {
    this.processes.close();
    try {
      await endProcesses(Object.values(this.names.namespace));
    } finally {
      // Whatever fails, the gateway's namespaces and record must go.
      try {
        rmSync(this.folder, { recursive: true, force: true });
      } finally {
        await this.gateway.stop();
      }
    }
  }

  private get key(): string {
    return path.join(this.folder, 'key.pem');
  }

  private makeCertificate(): void {
    const how = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    const what = ['-subj', '/CN=lab.test', '-addext', 'subjectAltName=DNS:lab.test'];
    const where = ['-keyout', this.key, '-out', this.certificate];
    const { status, stderr } = spawnSync('openssl', ['req', ...how, ...what, ...where], {
      ...{ encoding: 'utf8', env: ENVIRONMENT },
    });
    if (status !== 0) throw new CulvertError('LAB_SERVER_FAILED', `openssl req: ${stderr}`);
  }

  private async startServer(server: Server): Promise<void> {
    const folder = this.folderOf(server.name);
    mkdirSync(folder);
    const namespace = this.names.namespace.provider;
    const { processes, certificate, key } = this;
    const command = await server.prepare({ folder, namespace, processes, certificate, key });
    const logFile = path.join(folder, OUTPUT_LOG);
    const child = processes.serve(namespace, command, logFile);
    const deadline = performance.now() + START_MS;
    while (!server.listens.every(({ address, port, protocol }) => listens(child.pid ?? 0, address, port, protocol))) {
      const ended = child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
      if (ended || performance.now() > deadline) {
        throw new CulvertError(
          'LAB_SERVER_FAILED',
          `${server.name} does not serve (${ended ? 'it has ended' : 'time is over'}); ` +
            `${command.join(' ')} said:\n${readFileSync(logFile, 'utf8')}`,
        );
      }
      await sleep(10);
    }
  }
}

/** The first of some folders that every user may go through; a user's own TMPDIR may be closed to others. */
export function openFolder(folders: readonly string[] = [os.tmpdir(), '/tmp', '/var/tmp']): string {
  const isOpen = (folder: string): boolean =>
    ((statSync(folder, { throwIfNoEntry: false })?.mode ?? 0) & 1) !== 0 &&
    (folder === '/' || isOpen(path.dirname(folder)));
  const open = folders.find((each) => isOpen(path.resolve(each)));
  if (open !== undefined) return open;
  throw new CulvertError('LAB_NO_FOLDER', `servers run as other users, who may not enter any of ${folders.join(', ')}`);
}

function checkName(name: string): void {
  if (/^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$/.test(name)) return;
  throw new CulvertError('LAB_NAME', `'${name}' is no name for a lab: 1 to 20 lower-case letters, digits and hyphens`);
}

/** @throws CulvertError LAB_NAME, LAB_ALREADY_RUNNING */
export function refuseRunning(name: string, directory = runDirectory()): void {
  checkName(name);
  const record = runningRecord(name, directory);
  if (record === undefined) return;
  if (record.folder === null) throw foreign(name, record.lab);
  throw new CulvertError(
    'LAB_ALREADY_RUNNING',
    `the lab '${name}' runs already, process ${record.pid}: culvert lab down, or choose another --name`,
  );
}

/** @throws CulvertError LAB_NAMESPACE_EXISTS */
function refuseOthersNamespaces({ namespace }: LabNames): void {
  const taken = Object.values(namespace).filter((each) => thisMachine.hasNamespace(each));
  if (taken.length === 0) return;
  throw new CulvertError(
    'LAB_NAMESPACE_EXISTS',
    `the network namespace ${taken.join(', ')} is there already and is no lab's on record: ` +
      'choose another --name, or remove it with ip netns delete',
  );
}

const runningRecord = (name: string, directory: string): RunRecord | undefined =>
  runningLabs(directory).find((each) => each.name === namesOf(name).gateway)?.record;

/**
 * Removes a lab, whether it runs or was killed.
 * @returns whether there was one
 * @throws CulvertError LAB_NAME, LAB_DOES_NOT_END
 */
export async function removeLab(name: string, directory = runDirectory()): Promise<boolean> {
  checkName(name);
  const record = runningRecord(name, directory);
  if (record === undefined) return removeLeft(name, directory);
  if (record.folder === null) throw foreign(name, record.lab);
  process.kill(record.pid, 'SIGTERM');
  for (let waited = 0; runningRecord(name, directory)?.pid === record.pid; waited++) {
    if (waited > END_MS / 100) {
      throw new CulvertError('LAB_DOES_NOT_END', `process ${record.pid} does not end: kill -9 it, then ask again`);
    }
    await sleep(100);
  }
  await removeLeft(name, directory);
  return true;
}

const foreign = (name: string, file: string): CulvertError =>
  new CulvertError(
    'LAB_NAME',
    `'${name}' is the name of a gateway with ${file}, which is no lab: choose another --name`,
  );

/** What a lab left that was killed. @returns whether there was anything */
async function removeLeft(name: string, directory: string): Promise<boolean> {
  const { gateway } = namesOf(name);
  const before = readRecord(directory, gateway);
  if (before === null) return false;
  if (before.folder === null) throw foreign(name, before.lab);
  const state = RunState.claim(directory, gateway, before.lab, before.folder);
  const there = before.namespaces.filter((each) => thisMachine.hasNamespace(each));
  await endProcesses(there);
  rmSync(before.folder, { recursive: true, force: true });
  for (const each of there) thisMachine.removeNamespace(each);
  for (const each of before.namespaces) state.removeNamespace(each);
  state.release();
  return true;
}
