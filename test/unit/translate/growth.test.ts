import assert from 'node:assert/strict';
import { Lab } from '../../../bench/support/lab.js';

describe('growth of the flow table', () => {
  it('goes on with time, also when no flow is opened any more', () => {
    const lab = new Lab(2048, 1000);
    for (let f = 0; f < 780; f++) lab.open(f);
    const during = lab.t.flows.octets;
    for (let i = 0; i < 40; i++) lab.t.advance(0);
    // Each of the two indexes has given its table of 1024 entries of 8 octets back.
    assert.equal(lab.t.flows.octets, during - 2 * 1024 * 8);
  });
});
