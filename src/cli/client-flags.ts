/** Options of the commands that ask a management interface, and the client that they come to. */
import type { Command } from 'commander';
import type { ApiClient } from '../client/api-client.js';
import { UsageError } from './failure.js';
import { print } from './print.js';

export interface ClientFlags {
  readonly url?: string;
  readonly tokenFile?: string;
  readonly ca?: string;
  readonly insecure?: true;
  readonly runDir?: string;
  readonly json?: true;
}

export interface ScopeFlags {
  readonly subscription?: string;
  readonly resourceGroup?: string;
}

export const addClientOptions = (command: Command): Command =>
  command
    .option('--url <url>', 'the management interface; else CULVERT_URL, else the one that runs on this machine')
    .option('--token-file <file>', 'file with the bearer token; else CULVERT_TOKEN_FILE')
    .option('--ca <file>', 'certificate to trust, as STATE.crt of culvert serve --tls')
    .option('--insecure', 'trust any certificate')
    .option('--run-dir <folder>', 'as given to culvert serve or culvert up')
    .option('--json', 'print JSON');

export const addScopeOptions = (command: Command): Command =>
  command
    .option('--subscription <id>', 'look in this subscription alone; else CULVERT_SUBSCRIPTION')
    .option('--resource-group <name>', 'look in this resource group alone');

const given = (name: string): string | undefined => process.env[name] || undefined;

/** @throws CulvertError CLIENT_* */
export async function clientOf(flags: ClientFlags): Promise<ApiClient> {
  const [{ ApiClient: Client }, { findServer }] = await Promise.all([
    import('../client/api-client.js'),
    import('../client/servers.js'),
  ]);
  if (flags.ca !== undefined && flags.insecure === true) throw new UsageError('--ca and --insecure exclude each other');
  const url = flags.url ?? given('CULVERT_URL');
  const tokenFile = flags.tokenFile ?? given('CULVERT_TOKEN_FILE');
  const { ca, insecure } = flags;
  if (url !== undefined) return new Client({ url, tokenFile, ca, insecure });
  const server = findServer(flags.runDir);
  return new Client({
    url: server.url,
    tokenFile: tokenFile ?? server.tokenFile ?? undefined,
    ca: ca ?? server.certificate ?? undefined,
    insecure,
  });
}

export const scopeOf = ({ subscription, resourceGroup }: ScopeFlags): ScopeFlags => {
  const named = subscription ?? given('CULVERT_SUBSCRIPTION');
  return {
    ...(named === undefined ? {} : { subscription: named }),
    ...(resourceGroup === undefined ? {} : { resourceGroup }),
  };
};

/** A value that may be given several times, or several in one, separated by commas. */
export const collect = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  ...value.split(',').filter((part) => part !== ''),
];

export const printJson = (value: unknown): void => {
  print(`${JSON.stringify(value, null, 2)}\n`);
};
