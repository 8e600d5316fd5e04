import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openResources } from '../../../src/cli/api-flags.js';
import { Store } from '../../../src/control/store.js';
import { G } from '../service/arm/sequence.js';

describe('the command: a state that is opened', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-open-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('is warned of, when rules in it have application security groups as an older version took them', async () => {
    const state = path.join(folder, 'state');
    const id = `${G}/networkSecurityGroups/n`;
    const rule = {
      name: 'r',
      properties: {
        priority: 100,
        direction: 'Inbound',
        access: 'Allow',
        protocol: 'Tcp',
        sourceApplicationSecurityGroups: [{ id: `${G}/applicationSecurityGroups/a` }],
      },
    };
    const group = {
      id,
      name: 'n',
      type: 'Microsoft.Network/networkSecurityGroups',
      location: 'west',
      etag: 'W/"1"',
      properties: { securityRules: [rule] },
    };
    const store = Store.open(state);
    await store.write({ put: [group], remove: [] });
    await store.close();
    const warnings: unknown[] = [];
    const log = {
      info: () => undefined,
      error: () => undefined,
      warn: (message: string, fields: object = {}) => warnings.push([message.split(' ')[0], fields]),
    };
    const opened = await openResources({ port: '0', state, runDir: folder }, undefined, log);
    try {
      await opened!.serve();
      assert.deepEqual(warnings, [[`${id}/securityRules/r`, { code: 'ApplicationSecurityGroupsNotSupported' }]]);
    } finally {
      await opened!.close();
    }
  });
});
