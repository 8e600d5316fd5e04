/** `culvert replay`: a capture in, the translated captures out. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { loadLab } from '../config/index.js';
import { CulvertError } from '../errors.js';
import { type AdoptOptions } from '../replay/adopt.js';
import { Replay, type ReplayPlan } from '../replay/replay.js';
import { reportOf } from '../replay/report.js';
import { optionsOf } from '../replay/settings.js';
import { TIMEOUT_PROFILES } from '../translate/options.js';
import type { ProxySpec } from '../translate/topology.js';
import { expandPool, parseCidr } from '../wire/address.js';

interface Flags {
  config?: string;
  provider?: string;
  consumer?: string;
  providerIn?: string;
  adopt?: boolean;
  natPool: string;
  backendNet: string;
  linkid?: number;
  dialect: 'azure' | 'aws' | 'gcp' | 'custom';
  proxy: boolean;
  midstream?: 'drop' | 'translate';
  seed?: number;
  network?: string;
  fixChecksums?: boolean;
  check?: boolean;
  json?: boolean;
  quiet?: boolean;
}

const NAT_PORT_FIRST = 1024;
const NAT_PORT_COUNT = 64000;
/** Largest IPv4 packet: a recording knows no MTU. */
const NO_MTU = 65535;

export function registerReplay(program: Command): void {
  program
    .command('replay')
    .argument('<capture>')
    .option('--config <lab>')
    .option('--provider <file>')
    .option('--consumer <file>')
    .option('--provider-in <file>')
    .option('--adopt')
    .option('--nat-pool <pool>', '', '198.18.0.0/29')
    .option('--backend-net <cidr>', '', '198.19.0.0/16')
    .option('--linkid <n>', '', unsigned32)
    .addOption(new Option('--dialect <name>').choices(['azure', 'aws', 'gcp', 'custom']).default('azure'))
    .option('--no-proxy')
    .addOption(new Option('--midstream <policy>').choices(['drop', 'translate']))
    .option('--seed <n>', '', unsigned32)
    .option('--network <name>')
    .option('--fix-checksums')
    .option('--check')
    .option('--json')
    .option('--quiet')
    .action(async (input: string, flags: Flags) => {
      const plan = planOf(input, flags);
      const result = await Replay.run(plan);
      const report = reportOf(plan, result);
      process.stdout.write(JSON.stringify(report, null, 1) + '\n');
      if (result.warnings.length > 0) process.exitCode = 4;
    });
}

function unsigned32(text: string): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 0 || n > 0xffffffff) throw new InvalidArgumentError('want 0 to 4294967295');
  return n;
}

export function planOf(input: string, flags: Flags): ReplayPlan {
  const common = {
    input,
    providerInput: flags.providerIn ?? null,
    provider: flags.provider ?? null,
    consumer: flags.consumer ?? null,
    fixChecksums: flags.fixChecksums === true,
  };
  if (flags.adopt === true) {
    const pool = expandPool(flags.natPool);
    const backendNet = parseCidr(flags.backendNet);
    if (backendNet === null) throw new CulvertError('USAGE', `--backend-net: ${flags.backendNet} is no CIDR`);
    const adopt: AdoptOptions = {
      natAddresses: pool,
      natPortFirst: NAT_PORT_FIRST,
      natPortCount: NAT_PORT_COUNT,
      backendNet,
      linkId: flags.linkid ?? null,
      proxy: flags.proxy ? proxyOf(flags.dialect) : null,
      idleTimeoutMs: TIMEOUT_PROFILES.capture.tcpEstablishedMs,
    };
    return {
      ...common,
      topology: { networks: ['capture'], links: [] },
      adopt,
      options: {
        timeouts: TIMEOUT_PROFILES.capture,
        midstream: flags.midstream ?? 'translate',
        fastOpen: 'carry',
        providerMtu: NO_MTU,
        seed: flags.seed ?? 1,
        headerTimer: flags.providerIn !== undefined,
      },
      network: 0,
    };
  }
  const lab = loadLab(flags.config!);
  return {
    ...common,
    topology: lab.topology,
    adopt: null,
    options: { ...optionsOf(lab.settings), providerMtu: NO_MTU, headerTimer: flags.providerIn !== undefined },
    network: lab.topology.networks.length === 1 ? 0 : null,
  };
}

function proxyOf(dialect: Flags['dialect']): ProxySpec {
  if (dialect === 'aws') return { dialect, endpointId: '' };
  if (dialect === 'custom') return { dialect, tlvs: [], crc32c: true };
  return { dialect };
}
