import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { httpCodes } from '../../../src/control/answer.js';
import { routes } from '../../../src/control/api-server.js';
import { armCode, refusalCodes } from '../../../src/service/arm/refusal.js';
import { documentTypes } from '../../../src/service/arm/resource-id.js';
import { ruleCodes } from '../../../src/service/problem.js';
import { repositoryRoot } from '../../support/machine.js';

const read = (...parts: string[]): string => readFileSync(path.join(repositoryRoot, ...parts), 'utf8');

describe('docs/api.md', () => {
  const text = read('docs', 'api.md');
  const rows = text
    .slice(text.indexOf('## Codes'))
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').map((cell) => cell.trim()));

  it('has each code once, with its status, its source and tests that hold it', () => {
    const listed = rows.flatMap(([, codes]) => [...codes!.matchAll(/`(\w+)`/g)].map((match) => match[1]!));
    assert.deepEqual(listed.toSorted(), [...refusalCodes, ...httpCodes].toSorted());
    for (const [, codes, status, , source, tests] of rows) {
      assert.match(status!, /^[45]\d\d$/, codes);
      assert.match(source!, /^(ours|Azure)/, codes);
      const sources = tests!.split(', ').map((name) => read('test', `${name}.test.ts`));
      for (const [, code] of codes!.matchAll(/`(\w+)`/g)) {
        assert.ok(
          sources.some((each) => each.includes(`'${code!}'`)),
          `${code!} is in none of ${tests!}`,
        );
      }
    }
  });

  it('tells how rules are named, and each exception', () => {
    const exceptions = ruleCodes.filter(
      (code) => /^[A-Z0-9_]+$/.test(code) && armCode(code).toLowerCase() !== code.replaceAll('_', '').toLowerCase(),
    );
    for (const code of exceptions)
      assert.ok(text.replace(/\s+/g, ' ').includes(`\`${code}\` is \`${armCode(code)}\``), code);
    assert.equal(armCode('NAT_IP_COUNT'), 'NatIpCount');
    const own = ruleCodes.map(armCode);
    assert.equal(
      new Set([...own, ...refusalCodes, ...httpCodes]).size,
      own.length + refusalCodes.length + httpCodes.length,
    );
  });

  it('names every literal part of every route, and every type', () => {
    const words = new Set(
      routes.flatMap((route) => route.path.split('/').filter((part) => part !== '' && !part.startsWith('{'))),
    );
    for (const word of [...words, ...documentTypes]) assert.ok(text.includes(word), word);
  });
});
