import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { exposition } from '../../../src/gateway/metrics.js';
import { repositoryRoot } from '../../support/machine.js';
import { GatewayBench, labText } from '../gateway/gateway-bench.js';

describe('docs/metrics.md', () => {
  it('has each metric, with the labels that it has, and no other', async () => {
    const bench = await new GatewayBench().start(labText());
    let text: string;
    try {
      bench.send('red', 1);
      text = await exposition(bench.gateway.status());
    } finally {
      await bench.stop();
    }
    const told = new Set([...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name!));
    const labels = new Map<string, string>();
    for (const [, name, list] of text.matchAll(/^(\w+?)(?:_bucket)?\{(.*)\} /gm)) {
      labels.set(name!, [...list!.matchAll(/(\w+)="/g)].map(([, label]) => label!).join());
    }
    const documented = new Map<string, string>();
    for (const line of readFileSync(path.join(repositoryRoot, 'docs', 'metrics.md'), 'utf8').split('\n')) {
      const [, names = '', , ofLine = ''] = line.split('|');
      const quoted = (cell: string): string[] => [...cell.matchAll(/`(\w+)`/g)].map(([, word]) => word!);
      for (const name of quoted(names)) documented.set(name, quoted(ofLine).join());
    }
    assert.deepEqual([...documented.keys()].sort(), [...told].sort());
    assert.ok(labels.size > 10);
    for (const [name, list] of labels) assert.equal(documented.get(name), list, name);
  });
});
