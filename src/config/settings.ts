/** The `translation` section: profiles, defaults, ranges. */
import type { PropertyPath } from '../service/problem.js';
import { TIMEOUT_PROFILES } from '../translate/options.js';
import type { TranslationSettings } from './model.js';
import type { TranslationShape } from './schema.js';

const MAX_SECONDS = 31_536_000;
const MAX_FLOWS = 67_108_864;
const MAX_SEED = 0xffff_ffff;

export interface SettingProblem {
  readonly message: string;
  readonly path: PropertyPath;
}

function range(problems: SettingProblem[], path: PropertyPath, value: number, minimum: number, maximum: number): void {
  if (Number.isInteger(value) && value >= minimum && value <= maximum) return;
  const name = String(path.at(-1));
  const message = `${name} is ${String(value)}; it must be a whole number, ${String(minimum)} to ${String(maximum)}`;
  problems.push({ message, path });
}

/**
 * Paths start at the `translation` section.
 * @param workers of the gateway: each has its share of ports and flows
 */
export function checkTranslation(shape: TranslationShape, workers: number): SettingProblem[] {
  const problems: SettingProblem[] = [];
  const { first, count } = shape.natPorts;
  range(problems, ['natPorts', 'first'], first, 1, 65535);
  range(problems, ['natPorts', 'count'], count, 1, 65535);
  if (problems.length === 0 && first + count > 65536) {
    const message =
      `natPorts end at ${String(first + count - 1)}; the last port is 65535: ` +
      `with first ${String(first)}, count is at most ${String(65536 - first)}`;
    problems.push({ message, path: ['natPorts', 'count'] });
  }
  for (const [name, value] of Object.entries(shape.timeouts)) {
    if (typeof value !== 'number') continue;
    // Fractions are welcome: replaying a capture at a millisecond's scale needs them.
    if (value >= 0 && value <= MAX_SECONDS) continue;
    problems.push({
      message: `${name} is ${String(value)}; it must be 0 to ${String(MAX_SECONDS)} seconds`,
      path: ['timeouts', name],
    });
  }
  range(problems, ['maxFlows'], shape.maxFlows, 1, MAX_FLOWS);
  range(problems, ['seed'], shape.seed, 0, MAX_SEED);
  const shared = (path: PropertyPath, value: number): void => {
    if (value < 1 || value >= workers) return;
    const message = `${String(path.at(-1))} is ${String(value)}; ${String(workers)} workers share it: at least one for each`;
    problems.push({ message, path });
  };
  shared(['natPorts', 'count'], count);
  shared(['maxFlows'], shape.maxFlows);
  return problems;
}

/** @param shape checked by {@link checkTranslation} */
export function resolveSettings(shape: TranslationShape): TranslationSettings {
  const { timeouts } = shape;
  const profile = TIMEOUT_PROFILES[timeouts.profile];
  // The Azure profile's idle times are only what services and rules begin with: each says its own.
  const idle = timeouts.profile === 'azure' ? null : profile;
  const msOr = <T>(seconds: number | undefined, otherwise: T): number | T =>
    seconds === undefined ? otherwise : Math.round(seconds * 1000);
  return {
    natPortFirst: shape.natPorts.first,
    natPortCount: shape.natPorts.count,
    timeoutProfile: timeouts.profile,
    tcpEstablishedMs: msOr(timeouts.tcpEstablished, idle?.tcpEstablishedMs ?? null),
    tcpHalfOpenMs: msOr(timeouts.tcpHalfOpen, profile.tcpHalfOpenMs),
    tcpClosingMs: msOr(timeouts.tcpClosing, profile.tcpClosingMs),
    udpMs: msOr(timeouts.udp, idle?.udpMs ?? null),
    fragmentMs: msOr(timeouts.fragment, profile.fragmentMs),
    portHoldMs: msOr(timeouts.portHold, profile.portHoldMs),
    midstream: shape.midstream,
    fastOpen: shape.fastOpen,
    maxFlows: shape.maxFlows,
    seed: shape.seed,
  };
}
