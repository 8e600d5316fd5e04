import assert from 'node:assert/strict';
import type { Outcome } from '../../../../src/gateway/probes/attempt.js';
import { Health } from '../../../../src/gateway/probes/health.js';
import type { Probe } from '../../../../src/service/resources.js';

const OUTCOMES: Record<string, Outcome> = {
  '+': { healthy: true },
  '-': { healthy: false, reason: 'silence', definite: false },
  '!': { healthy: false, reason: 'HTTP status 500', definite: true },
};

/** The states that a row of probes leads through: `u`p, `d`own. */
function states(
  outcomes: string,
  numberOfProbes: number,
  probeThreshold: number | null = null,
  assumed = false,
): string {
  const probe: Probe = {
    name: 'p',
    protocol: 'Http',
    port: 80,
    requestPath: '/',
    intervalInSeconds: 5,
    numberOfProbes,
    probeThreshold,
    noHealthyBackendsBehavior: 'AllProbedDown',
  };
  const health = new Health(0);
  if (assumed) health.assumeUp();
  return Array.from(outcomes)
    .map((each, i) => {
      const before = health.state;
      assert.equal(health.note(OUTCOMES[each]!, probe, i + 1), health.state !== before);
      assert.equal(health.since === i + 1, health.state !== before, 'the time of the change');
      assert.equal(health.reason === '', each === '+');
      assert.equal(health.succeeded + health.failed, i + 1);
      return health.state[0];
    })
    .join('');
}

describe('probes: health', () => {
  it('is what the first probe says', () => {
    assert.equal(new Health(0).state, 'unknown');
    assert.equal(states('+', 3), 'u');
    assert.equal(states('-', 3), 'd');
    assert.equal(states('!', 3), 'd');
  });

  it('ends after so many silent probes in a row, and begins again with one success', () => {
    assert.equal(states('+--+--', 2), 'uuduud');
    assert.equal(states('+-+-+---+', 3), 'uuuuuuudu');
    assert.equal(states('+-+', 1), 'udu');
  });

  it('ends at once with an answer that says no', () => {
    assert.equal(states('+!+-!', 9), 'uduud');
  });

  it('follows probeThreshold both ways, whatever the failures', () => {
    assert.equal(states('+!!!++-+++', 1, 3), 'uuudddddd' + 'u');
    assert.equal(states('+--', 9, 2), 'uud');
    assert.equal(states('-+', 1, 3), 'du', 'the first success of all is enough');
    assert.equal(states('-+--++', 9, 2), 'duudd' + 'u');
  });

  it('goes on as it was where it took flows before', () => {
    assert.equal(states('-', 2, null, true), 'u');
    assert.equal(states('--++', 2, 2, true), 'uddu');
  });
});
