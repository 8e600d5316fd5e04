import assert from 'node:assert/strict';
import fc from 'fast-check';
import { healthyTable } from '../../../src/balance/healthy.js';
import { maglevTable } from '../../../src/balance/maglev.js';
import { mix } from '../../../src/flow/hash.js';

const addresses = (count: number): number[] => Array.from({ length: count }, (_, i) => 0x0ac80204 + i);

/** The order in which an entry asks others, whole; the first that is up has it. */
const naive = (table: Uint16Array, up: Uint8Array): number[] =>
  Array.from(table, (_, at) => {
    const step = 1 + ((mix(at) >>> 0) % (table.length - 1));
    const order = [at];
    for (let k = 1; k <= 16; k++) order.push((at + k * step) % table.length);
    for (let k = 1; k < table.length; k++) order.push((at + k) % table.length);
    return table[order.find((asked) => up[table[asked]!] === 1)!]!;
  });

/** Which backends are up, at least one of them. */
const health = fc
  .array(fc.boolean(), { minLength: 2, maxLength: 40 })
  .filter((all) => all.includes(true))
  .map((all) => Uint8Array.from(all, Number));

describe('a look-up table without the backends that are down', () => {
  it('is what the rule says, for any health', () => {
    fc.assert(
      fc.property(health, (up) => {
        const table = maglevTable(addresses(up.length));
        assert.deepEqual(Array.from(healthyTable(table, up)), naive(table, up));
      }),
      { numRuns: 8 },
    );
  });

  it('changes one backend’s own share alone, whichever goes or comes, whatever the others’ health', () => {
    fc.assert(
      fc.property(health, fc.nat(), (up, which) => {
        const table = maglevTable(addresses(up.length));
        const index = which % up.length;
        const [without, with_] = [Uint8Array.from(up), Uint8Array.from(up)];
        without[index] = 0;
        with_[index] = 1;
        fc.pre(without.includes(1));
        const [before, after] = [healthyTable(table, with_), healthyTable(table, without)];
        before.forEach((backend, at) => {
          if (backend !== index) assert.equal(after[at], backend);
          else assert.notEqual(after[at], index);
        });
      }),
      { numRuns: 100 },
    );
  });

  it('spreads the share of one over all others', () => {
    for (const count of [3, 10, 30, 100, 300]) {
      const table = maglevTable(addresses(count));
      const up = new Uint8Array(count).fill(1);
      up[1] = 0;
      const gained = new Array<number>(count).fill(0);
      healthyTable(table, up).forEach((backend, at) => {
        if (table[at] === 1) gained[backend]!++;
      });
      const fair = table.length / count / (count - 1);
      const heirs = gained.filter((_, i) => i !== 1);
      assert.equal(gained[1], 0);
      // Counts of a fair draw lie within four standard deviations, and some.
      for (const each of heirs)
        assert.ok(Math.abs(each - fair) < 4 * Math.sqrt(fair) + 2, `${String(each)} of ${String(fair)}`);
    }
  });
});
