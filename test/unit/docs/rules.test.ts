import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { REASONS } from '../../../src/packet/verdict.js';
import { ruleCodes } from '../../../src/service/problem.js';
import { repositoryRoot } from '../../support/machine.js';

/** docs/rules.md says where every rule comes from, and where it is and is tested; it stays true. */
describe('the table of rules', () => {
  const document = readFileSync(path.join(repositoryRoot, 'docs', 'rules.md'), 'utf8');
  const [, resources, packets] = document.split(/^## .*$/m);
  const rows = (text: string): string[][] =>
    [...text.matchAll(/^\| (.*) \|$/gm)].map((m) => m[1]!.split('|').map((cell) => cell.trim())).slice(1);
  const bare = (cell: string): string => cell.replaceAll('`', '');
  const contents = (file: string): string => {
    assert.ok(existsSync(path.join(repositoryRoot, file)), `there is no ${file}`);
    return readFileSync(path.join(repositoryRoot, file), 'utf8');
  };
  const sources = new Set([...document.matchAll(/^- (\[\w\]): /gm)].map((m) => m[1]!));

  /** One that is listed, an RFC, or ours. */
  function checkSource(source: string): void {
    const named = [...source.matchAll(/\[\w\]/g)].map((m) => m[0]);
    for (const each of named) assert.ok(sources.has(each), `source ${each} is not listed`);
    assert.ok(named.length > 0 || /\bours\b|RFC \d+/.test(source), `'${source}' is no source`);
  }

  it('has every code once', () => {
    assert.deepEqual(
      rows(resources!)
        .map(([code]) => bare(code!))
        .sort(),
      [...ruleCodes].sort(),
    );
  });

  for (const [code, rule, source, where, test] of rows(resources!)) {
    it(`is right about ${bare(code!)}`, () => {
      assert.ok(rule !== '');
      checkSource(source!);
      const written = contents(bare(where!));
      const name = bare(code!);
      assert.ok(
        new RegExp(`(error|warning)\\(\\s*'${name}'|^\\s*'${name}',$`, 'm').test(written),
        `${where!} does not report it`,
      );
      for (const file of bare(test!).split(', ')) assert.ok(contents(file).includes(name), `${file} does not have it`);
    });
  }

  it('is right about the packet path', () => {
    const reasons = new Set<string>(REASONS.map(([reason]) => reason));
    const found = rows(packets!);
    assert.ok(found.length > 0);
    for (const [rule, source, counted, where, test] of found) {
      assert.ok(rule !== '');
      checkSource(source!);
      contents(bare(where!));
      const tested = contents(bare(test!));
      if (counted === '') continue;
      const reason = bare(counted!);
      assert.ok(reasons.has(reason), `there is no reason ${reason}`);
      assert.ok(
        tested.includes(reason) || tested.includes('permits') || tested.includes('healthyTable'),
        `${test!}: ${reason}`,
      );
    }
  });
});
