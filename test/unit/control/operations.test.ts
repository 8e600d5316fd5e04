import assert from 'node:assert/strict';
import { Operations } from '../../../src/control/operations.js';

describe('control: operations', () => {
  it('that ended are forgotten when others begin, and a resource runs until its last one ends', () => {
    let now = 1_700_000_000_000;
    const operations = new Operations(1000, () => now);
    operations.begin('a');
    for (let i = 0; i < 100; i++) operations.begin(String(i));
    now += 600;
    const last = operations.begin('a');
    assert.equal(operations.size, 101);
    now += 500;
    operations.begin('b');
    assert.equal(operations.size, 2);
    assert.deepEqual([operations.isRunning('a'), operations.isRunning('0')], [true, false]);
    assert.equal(operations.status(last), 'InProgress');
    now += 500;
    assert.equal(operations.isRunning('a'), false);
    assert.equal(operations.status(last), 'Succeeded');
  });
});
