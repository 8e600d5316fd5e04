import assert from 'node:assert/strict';
import { blocksDeletion, decisions, refusedDecision } from '../../../../src/service/arm/connection.js';
import type { ConnectionStatus } from '../../../../src/service/resources.js';

const states: readonly ConnectionStatus[] = ['Pending', 'Approved', 'Rejected', 'Disconnected'];

describe('service: the life of a connection', () => {
  it('lets a provider approve or reject what waits, reject what is approved, and repeat itself', () => {
    const allowed = states.flatMap((from) =>
      decisions.filter((to) => refusedDecision(from, to) === null).map((to) => `${from} to ${to}`),
    );
    assert.deepEqual(allowed, [
      'Pending to Approved',
      'Pending to Rejected',
      'Approved to Approved',
      'Approved to Rejected',
      'Rejected to Rejected',
    ]);
  });

  it('says what to do where there is no way', () => {
    assert.match(refusedDecision('Rejected', 'Approved') ?? '', /delete it, and let the consumer create/);
    for (const to of decisions) assert.match(refusedDecision('Disconnected', to) ?? '', /creates it anew/);
  });

  it('keeps a service from deletion while a connection waits or is approved', () => {
    assert.deepEqual(states.filter(blocksDeletion), ['Pending', 'Approved']);
  });
});
