/** The `translation` section: profiles, defaults, ranges. */
import type { TimeoutProfile, TranslationSettings } from './model.js';
import type { PropertyPath } from '../service/problem.js';
import type { TranslationShape } from './schema.js';

interface Profile {
  readonly tcpEstablished: number | null;
  readonly tcpHalfOpen: number;
  readonly tcpClosing: number;
  readonly udp: number | null;
  readonly fragment: number;
  readonly portHold: number;
}

/**
 * In seconds. `azure`: the idle times of the resources, the rest ours. `rfc`: RFC 5382 REQ-5 (established 2 h 4 min,
 * transitory 4 min), RFC 4787 REQ-5 (UDP, the recommended 5 min), RFC 6888 REQ-8 (ports rest 120 s). `capture`: so long
 * that no flow of an ordinary capture is cut.
 */
const profiles: Readonly<Record<TimeoutProfile, Profile>> = {
  azure: { tcpEstablished: null, tcpHalfOpen: 60, tcpClosing: 60, udp: null, fragment: 30, portHold: 120 },
  rfc: { tcpEstablished: 7440, tcpHalfOpen: 240, tcpClosing: 240, udp: 300, fragment: 60, portHold: 120 },
  capture: { tcpEstablished: 86_400, tcpHalfOpen: 3600, tcpClosing: 240, udp: 3600, fragment: 60, portHold: 0 },
};

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

/** Paths start at the `translation` section. */
export function checkTranslation(shape: TranslationShape): SettingProblem[] {
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
  return problems;
}

/** @param shape checked by {@link checkTranslation} */
export function resolveSettings(shape: TranslationShape): TranslationSettings {
  const { timeouts } = shape;
  const profile = profiles[timeouts.profile];
  const ms = (seconds: number): number => Math.round(seconds * 1000);
  const msOrNull = (seconds: number | null): number | null => (seconds === null ? null : ms(seconds));
  return {
    natPortFirst: shape.natPorts.first,
    natPortCount: shape.natPorts.count,
    timeoutProfile: timeouts.profile,
    tcpEstablishedMs: msOrNull(timeouts.tcpEstablished ?? profile.tcpEstablished),
    tcpHalfOpenMs: ms(timeouts.tcpHalfOpen ?? profile.tcpHalfOpen),
    tcpClosingMs: ms(timeouts.tcpClosing ?? profile.tcpClosing),
    udpMs: msOrNull(timeouts.udp ?? profile.udp),
    fragmentMs: ms(timeouts.fragment ?? profile.fragment),
    portHoldMs: ms(timeouts.portHold ?? profile.portHold),
    midstream: shape.midstream,
    fastOpen: shape.fastOpen,
    maxFlows: shape.maxFlows,
    seed: shape.seed,
  };
}
