import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { labJsonSchema } from '../../../src/config/index.js';
import { repositoryFile } from './helpers.js';

describe('config: the published JSON schema', () => {
  it('is what the code says (write it anew with scripts/write-schema.mjs)', () => {
    const published: unknown = JSON.parse(readFileSync(repositoryFile('schema/lab.schema.json'), 'utf8'));
    assert.deepEqual(published, JSON.parse(JSON.stringify(labJsonSchema())));
  });

  it('tells editors names, kinds, ranges and defaults', () => {
    const text = JSON.stringify(labJsonSchema());
    assert.ok(text.includes('"draft-07') || text.includes('draft-07/schema'));
    assert.match(text, /"linkIdentifier":\{[^}]*"maximum":4294967295/);
    assert.match(text, /"idleTimeoutInMinutes":\{[^}]*"minimum":4/);
    assert.match(text, /"idleTimeoutInMinutes":\{[^}]*"type":"integer"/);
    assert.match(text, /"loadDistribution":\{[^}]*"SourceIPProtocol"/);
  });
});
