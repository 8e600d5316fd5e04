/** Idle timeouts: the service's and the rule's. */
import { error } from './problem.js';
import type { Problem } from './problem.js';

/** Azure documents about 300 s for a service. */
export const defaultServiceIdleSeconds = 300;
export const defaultRuleIdleMinutes = 4;

/** The smaller of the service's and the rule's timeout counts; in milliseconds. */
export const effectiveIdleMs = (serviceSeconds: number, ruleMinutes: number): number =>
  Math.min(serviceSeconds * 1000, ruleMinutes * 60_000);

/** Azure fixes the service's timeout; ours can be set, from one second to a day. */
export const checkServiceIdle = (seconds: number): Problem[] =>
  Number.isInteger(seconds) && seconds >= 1 && seconds <= 86_400
    ? []
    : [
        error(
          'IDLE_TIMEOUT_RANGE',
          `idleTimeoutInSeconds is ${String(seconds)}; it must be a whole number, 1 to 86400`,
        ),
      ];

export const checkRuleIdle = (minutes: number): Problem[] =>
  Number.isInteger(minutes) && minutes >= 4 && minutes <= 30
    ? []
    : [error('IDLE_TIMEOUT_RANGE', `idleTimeoutInMinutes is ${String(minutes)}; it must be a whole number, 4 to 30`)];
