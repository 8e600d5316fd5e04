/**
 * What probes say of a backend, over time.
 *
 * Theory of operation, after Azure's "Load Balancer health probes"
 * - Silence takes a backend out after `numberOfProbes` probes in a row; with HTTP and HTTPS another status than 200, or
 *   RST, does so at once. One success brings it back.
 * - `probeThreshold`, where it is set, is what both ways take: so many failures in a row, of whatever kind, then so many
 *   successes. Before it has ever been up, one success is enough.
 */
import type { Probe } from '../../service/resources.js';
import type { Outcome } from './attempt.js';

export class Health {
  /** `unknown`: not probed yet. It takes new flows only when `up`. */
  state: 'unknown' | 'up' | 'down' = 'unknown';
  /** Of the last change, or of the start: milliseconds since 1970. */
  since: number;
  /** Of the last failure; empty before one, and after a success. */
  reason = '';
  succeeded = 0;
  failed = 0;
  /** Has been up, as far as this gateway knows. */
  known = false;
  private inRow = 0;

  constructor(wallMs: number) {
    this.since = wallMs;
  }

  /** It took flows before it was probed, and goes on until a probe says otherwise. */
  assumeUp(): void {
    this.state = 'up';
    this.known = true;
  }

  /** @returns whether the state has changed */
  note(outcome: Outcome, probe: Probe, wallMs: number): boolean {
    const before = this.state;
    const up = outcome.healthy;
    if (up) this.succeeded++;
    else this.failed++;
    this.reason = outcome.healthy ? '' : outcome.reason;
    // Probes that agree with the state count for nothing but to begin the count of others anew.
    this.inRow = (before === 'up') === up ? 0 : this.inRow + 1;
    if (before === 'unknown' || this.inRow >= this.needed(outcome, probe)) {
      this.state = up ? 'up' : 'down';
    }
    if (this.state === before) return false;
    this.known ||= up;
    this.inRow = 0;
    this.since = wallMs;
    return true;
  }

  private needed(outcome: Outcome, { numberOfProbes, probeThreshold }: Probe): number {
    if (outcome.healthy) return this.known ? (probeThreshold ?? 1) : 1;
    if (this.state === 'down') return Infinity;
    return probeThreshold ?? (outcome.definite ? 1 : numberOfProbes);
  }
}
