/**
 * Where management interfaces answer on this machine: one record for each running server, so that the commands that ask
 * one find it without being told. A record of a process that is gone counts for nothing and is removed.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CulvertError } from '../errors.js';
import { isSameProcess, startTimeOf } from '../gateway/process.js';
import { runDirectory } from '../gateway/run-state.js';

export interface ServerRecord {
  readonly url: string;
  /** File with the certificate to trust; null: plain http. */
  readonly certificate: string | null;
  /** File with the bearer token; null: none is needed. */
  readonly tokenFile: string | null;
}

interface StoredRecord extends ServerRecord {
  readonly pid: number;
  readonly startTime: string;
}

const folderOf = (directory: string): string => path.join(directory, 'api');

/**
 * Tells others on this machine of a server of this process.
 * @returns takes it back; null where there is no place for records
 */
export function announceServer(record: ServerRecord, directory?: string): (() => void) | null {
  try {
    const place = directory ?? runDirectory();
    runningServers(place); // removes what killed servers left
    const folder = folderOf(place);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const stored: StoredRecord = { ...record, pid: process.pid, startTime: startTimeOf(process.pid) ?? '' };
    const file = path.join(folder, `${String(process.pid)}.json`);
    // Nobody may read half a record.
    writeFileSync(`${file}.new`, JSON.stringify(stored), { mode: 0o600 });
    renameSync(`${file}.new`, file);
    return () => rmSync(file, { force: true });
  } catch {
    return null; // without a record the server answers as well: who asks it names its URL
  }
}

function readRecord(file: string): StoredRecord | null {
  try {
    const record = JSON.parse(readFileSync(file, 'utf8')) as StoredRecord;
    if (isSameProcess(record)) return record;
    rmSync(file, { force: true });
  } catch {
    // Gone meanwhile, or not ours to read.
  }
  return null;
}

function runningServers(directory: string): StoredRecord[] {
  const folder = folderOf(directory);
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names.filter((name) => name.endsWith('.json')).flatMap((name) => readRecord(path.join(folder, name)) ?? []);
}

/**
 * The one server that runs here.
 * @throws CulvertError CLIENT_NO_SERVER, CLIENT_SEVERAL_SERVERS
 */
export function findServer(directory?: string): ServerRecord {
  let servers: StoredRecord[] = [];
  try {
    servers = runningServers(directory ?? runDirectory());
  } catch (error) {
    if (!(error instanceof CulvertError)) throw error;
  }
  const [server, second] = servers;
  if (server === undefined) {
    const what = 'no management interface runs here: start culvert serve or culvert up with --port and --state';
    throw new CulvertError('CLIENT_NO_SERVER', `${what}, or name one with --url`);
  }
  if (second === undefined) return server;
  const urls = servers.map(({ url }) => url).join(', ');
  throw new CulvertError(
    'CLIENT_SEVERAL_SERVERS',
    `several management interfaces run here: choose by --url of ${urls}`,
  );
}
