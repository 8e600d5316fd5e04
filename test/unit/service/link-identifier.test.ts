import assert from 'node:assert/strict';
import { checkLinkIdentifier, drawLinkIdentifier } from '../../../src/service/link-identifier.js';
import { derivedVpcEndpointId } from '../../../src/translate/topology.js';

describe('service: linkIdentifier', () => {
  it('is a whole number, 1 to 2^32-1', () => {
    for (const value of [1, 0xffff_ffff]) assert.deepEqual(checkLinkIdentifier(value), []);
    for (const value of [0, -1, 1.5, 2 ** 32, Number.NaN])
      assert.equal(checkLinkIdentifier(value).length, 1, String(value));
  });

  it('draws again when the value is taken', () => {
    const first = drawLinkIdentifier('a', 1, () => false);
    const second = drawLinkIdentifier('a', 1, (value) => value === first);
    assert.notEqual(second, first);
    assert.equal(
      drawLinkIdentifier('a', 1, (value) => value === first),
      second,
    );
    assert.deepEqual(checkLinkIdentifier(second), []);
  });

  it('has one VPC endpoint id of AWS form', () => {
    assert.equal(derivedVpcEndpointId(1001), 'vpce-000000000000003e9');
    assert.match(derivedVpcEndpointId(0xffff_ffff), /^vpce-[0-9a-f]{17}$/);
  });
});
