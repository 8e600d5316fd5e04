import assert from 'node:assert/strict';
import { nearMiss, suggestion } from '../../../src/config/near-miss.js';

describe('config: near misses', () => {
  it('finds a name with swapped, missing, added, wrong letters or another case', () => {
    const names = ['visibility', 'autoApproval', 'subnet'];
    for (const wrong of ['visiblity', 'visibiltiy', 'visibilitty', 'Visibility', 'vizibility']) {
      assert.equal(nearMiss(wrong, names), 'visibility', wrong);
    }
    assert.equal(nearMiss('subnets', names), 'subnet');
  });

  it('prefers the nearest and gives up on what is far', () => {
    assert.equal(nearMiss('port', ['sort', 'ports', 'port2x']), 'sort');
    assert.equal(nearMiss('ab', ['cd', 'ac']), null);
    assert.equal(nearMiss('colour', ['visibility', 'subnet']), null);
    assert.equal(nearMiss('a'.repeat(100_000), ['a']), null);
  });

  it('lists what there is when nothing is near', () => {
    assert.equal(suggestion('zzz', ['a', 'b']), '; there are a, b');
    assert.equal(suggestion('zzz', []), '; there is none');
    assert.equal(suggestion('wbe', ['web']), ": did you mean 'web'?");
  });
});
