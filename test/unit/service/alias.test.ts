import assert from 'node:assert/strict';
import { checkAliasPrefix, createAlias, formatAlias, parseAlias } from '../../../src/service/alias.js';

describe('service: alias', () => {
  it('takes apart what it puts together, prefixes with dots too', () => {
    const alias = createAlias('my.web', 'westeurope', 1);
    const parts = parseAlias(alias);
    assert.ok(parts);
    assert.equal(parts.prefix, 'my.web');
    assert.equal(parts.location, 'westeurope');
    assert.equal(formatAlias(parts), alias);
  });

  it('is the same for the same seed, and another for another seed, name or location', () => {
    const all = [
      createAlias('a', 'x', 1),
      createAlias('a', 'x', 2),
      createAlias('b', 'x', 1),
      createAlias('a', 'y', 1),
    ];
    assert.equal(createAlias('a', 'x', 1), all[0]);
    assert.equal(new Set(all.map((alias) => parseAlias(alias)?.guid)).size, 4);
  });

  it('refuses what is no alias', () => {
    for (const text of ['', 'web', 'web.1234.westeurope.azure.privatelinkservice', `${createAlias('a', 'x', 1)}.com`]) {
      assert.equal(parseAlias(text), null, text);
    }
  });

  it("keeps to Azure's names", () => {
    for (const good of ['a', 'web', 'my-web_1.x', 'a'.repeat(80)]) assert.deepEqual(checkAliasPrefix(good), [], good);
    for (const bad of ['', '-a', 'a-', 'a.', 'a b', 'a'.repeat(81)]) {
      const codes = checkAliasPrefix(bad).map(({ code }) => code);
      assert.deepEqual(codes, ['ALIAS_PREFIX_INVALID'], bad);
    }
  });
});
