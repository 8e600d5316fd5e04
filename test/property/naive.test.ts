/** The fast translator against the naive one: the same packets, octet for octet, and the same verdicts. */
import fc from 'fast-check';
import { compareTwins } from '../support/twins.js';

describe('the translator and its naive twin', () => {
  it('give the same packets and verdicts over any traffic', () => {
    fc.assert(fc.property(fc.integer(), fc.integer({ min: 1, max: 200 }), compareTwins), { numRuns: 300, seed: 1 });
  });
});
