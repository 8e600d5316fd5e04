/** From the flags of `culvert replay` to a plan; every contradiction is refused before anything is read. */
import { realpathSync, statSync } from 'node:fs';
import { CulvertError } from '../errors.js';
import type { ReplayPlan } from '../replay/replay.js';
import { checkProxy } from '../service/proxy-protocol.js';
import { dialectOf } from '../translate/dialects.js';
import { TIMEOUT_PROFILES, type TranslatorOptions } from '../translate/options.js';
import type { ProxySpec, Topology } from '../translate/topology.js';
import { expandPool, parseCidr } from '../wire/address.js';
import { headerTemplate } from '../wire/proxy/index.js';
import { UsageError } from './failure.js';
import { DEFAULT_BACKEND_NET, DEFAULT_NAT_POOL, type ReplayFlags } from './replay-flags.js';

/** RFC-free choice of ours, as in a lab file: 64,000 ports from 1024 on. */
const NAT_PORT_FIRST = 1024;
const NAT_PORT_COUNT = 64000;
/** A recording knows no MTU; only the largest IPv4 packet bounds what a SYN may carry. */
const NO_MTU = 65535;
/** Flows of a recording hardly ever expire; the memory of a record is taken when it is first used. */
const MOST_FLOWS = 1 << 22;
const MOST_NAT_ADDRESSES = 256;

const ADOPT_ONLY = ['natPool', 'backendNet', 'linkid', 'dialect', 'tlv', 'crc32c', 'timeouts'] as const;

export interface PlannedReplay {
  readonly plan: ReplayPlan;
  /** Warnings of the configuration. */
  readonly warnings: readonly CulvertError[];
}

export async function planReplay(input: string, flags: ReplayFlags): Promise<PlannedReplay> {
  if (flags.config === undefined && flags.adopt !== true) {
    throw new UsageError('say where the services come from: --config LAB, or --adopt to take them from the capture');
  }
  if (flags.config !== undefined && flags.adopt === true) {
    throw new UsageError('--config and --adopt are two answers to one question: give one of them');
  }
  const files = [flags.provider, flags.consumer].filter((f) => f !== undefined);
  if (files.length === 2 && samePlace(files[0]!, files[1]!)) {
    throw new UsageError('--provider and --consumer name the same file: each needs its own');
  }
  for (const file of files) {
    if (file !== '-' && (samePlace(file, input) || samePlace(file, flags.providerIn ?? '-'))) {
      throw new UsageError(`${file} is an input as well as an output: name another file`);
    }
  }
  if ([input, flags.providerIn, flags.config].filter((f) => f === '-').length > 1) {
    throw new UsageError('standard input can be read once only: name a file for all but one of the inputs');
  }
  const common = {
    input,
    providerInput: flags.providerIn ?? null,
    provider: flags.provider ?? null,
    consumer: flags.consumer ?? null,
    fixChecksums: flags.fixChecksums === true,
  };
  return flags.adopt === true ? adopting(common, flags) : configured(common, flags);
}

type Common = Pick<ReplayPlan, 'input' | 'providerInput' | 'provider' | 'consumer' | 'fixChecksums'>;

function adopting(common: Common, flags: ReplayFlags): PlannedReplay {
  if (flags.network !== undefined) throw new UsageError('--network goes with --config: --adopt knows one network');
  const natAddresses = expandPool(flags.natPool ?? DEFAULT_NAT_POOL);
  if (natAddresses.length > MOST_NAT_ADDRESSES) {
    throw new UsageError(
      `--nat-pool has ${String(natAddresses.length)} addresses; at most ${String(MOST_NAT_ADDRESSES)} are of use, each has 64,000 ports a backend`,
    );
  }
  const backendNet = parseCidr(flags.backendNet ?? DEFAULT_BACKEND_NET);
  if (backendNet === null || backendNet.prefix > 30) {
    throw new UsageError(
      `--backend-net: ${flags.backendNet!} is no CIDR with room for a backend, such as 198.19.0.0/16`,
    );
  }
  if (flags.linkid === 0) throw new UsageError('--linkid: a LINKID is 1 to 4294967295');
  if ((flags.tlv !== undefined || flags.crc32c === true) && flags.dialect !== 'custom') {
    throw new UsageError('--tlv and --crc32c go with --dialect custom');
  }
  const proxy = flags.proxy ? proxyOf(flags) : null;
  const warnings = proxy === null ? [] : headerWarnings(proxy, flags.linkid ?? 1);
  const profile = TIMEOUT_PROFILES[flags.timeouts ?? 'capture'];
  return {
    plan: {
      ...common,
      topology: { networks: ['capture'], links: [] },
      adopt: {
        natAddresses,
        natPortFirst: NAT_PORT_FIRST,
        natPortCount: NAT_PORT_COUNT,
        backendNet,
        linkId: flags.linkid ?? null,
        proxy,
        idleTimeoutMs: Math.max(profile.tcpEstablishedMs, profile.udpMs),
      },
      options: {
        timeouts: profile,
        midstream: flags.midstream ?? 'translate',
        fastOpen: flags.fastOpen ?? 'carry',
        providerMtu: NO_MTU,
        maxFlows: MOST_FLOWS,
        seed: flags.seed ?? 1,
        headerTimer: common.providerInput !== null,
      },
      network: 0,
    },
    warnings,
  };
}

function proxyOf(flags: ReplayFlags): ProxySpec {
  switch (flags.dialect) {
    case 'aws':
      return { dialect: 'aws', endpointId: '' };
    case 'gcp':
      return { dialect: 'gcp' };
    case 'custom':
      return { dialect: 'custom', tlvs: flags.tlv ?? [], crc32c: flags.crc32c === true };
    default:
      return { dialect: 'azure' };
  }
}

/**
 * The header is held to the rules of a lab file before anything is read: the first service is adopted in mid-run.
 * @throws UsageError with every rule that the header breaks
 */
function headerWarnings(proxy: ProxySpec, linkId: number): CulvertError[] {
  const problems = checkProxy(proxy);
  const errors = problems.filter((p) => p.severity === 'error').map((p) => `${p.code}: ${p.message}`);
  if (errors.length > 0) throw new UsageError(`--dialect ${proxy.dialect}: ${errors.join('; ')}`);
  headerTemplate(dialectOf(proxy, linkId), 0, 0);
  return problems.map((p) => new CulvertError(p.code, p.message));
}

async function configured(common: Common, flags: ReplayFlags): Promise<PlannedReplay> {
  for (const name of ADOPT_ONLY) {
    if (flags[name] !== undefined) throw new UsageError(`--${dashed(name)} goes with --adopt; the lab file tells it`);
  }
  if (!flags.proxy)
    throw new UsageError('--no-proxy goes with --adopt; in a lab file it is enableProxyProtocol: false');
  const { loadLab } = await import('../config/index.js');
  const { optionsOf } = await import('../replay/settings.js');
  const lab = loadLab(flags.config!);
  const options: Partial<TranslatorOptions> = {
    ...optionsOf(lab.settings),
    providerMtu: NO_MTU,
    headerTimer: common.providerInput !== null,
    ...(flags.seed === undefined ? {} : { seed: flags.seed }),
    ...(flags.midstream === undefined ? {} : { midstream: flags.midstream }),
    ...(flags.fastOpen === undefined ? {} : { fastOpen: flags.fastOpen }),
  };
  const network = networkOf(lab.topology, flags.network);
  return { plan: { ...common, topology: lab.topology, adopt: null, options, network }, warnings: lab.warnings };
}

/** The capture's network: as named, or the only one with an endpoint; null when the interfaces' names are to tell. */
function networkOf(topology: Topology, name: string | undefined): number | null {
  const used = [...new Set(topology.links.flatMap((l) => l.endpoints.map((e) => e.network)))];
  if (name === undefined) return used.length === 1 ? used[0]! : null;
  const index = topology.networks.indexOf(name);
  if (index < 0) {
    throw new UsageError(`--network: there is no virtual network ${name}; there are ${topology.networks.join(', ')}`);
  }
  return index;
}

const dashed = (name: string): string => name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);

/** Both names lead to one file, or to one standard stream; a device such as /dev/null may be shared. */
function samePlace(a: string, b: string): boolean {
  if (a === '-' || b === '-') return a === b;
  try {
    return realpathSync(a) === realpathSync(b) && statSync(a).isFile();
  } catch {
    return a === b; // at least one does not exist yet
  }
}
