import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { CulvertError } from '../../../src/errors.js';
import { repositoryRoot } from '../../support/machine.js';

describe('TUN addon', () => {
  let scratch = '';

  beforeEach(() => {
    scratch = mkdtempSync(path.join(os.tmpdir(), 'culvert-addon-'));
    writeFileSync(path.join(scratch, 'package.json'), '{"type":"module"}');
    for (const part of ['errors.js', 'package-root.js', path.join('device', 'tun', 'addon.js')])
      cpSync(path.join(repositoryRoot, 'dist', 'src', part), path.join(scratch, 'dist', 'src', part));
  });

  afterEach(() => rmSync(scratch, { recursive: true, force: true }));

  async function loading(): Promise<CulvertError> {
    const file = pathToFileURL(path.join(scratch, 'dist', 'src', 'device', 'tun', 'addon.js')).href;
    const module = (await import(file)) as { loadAddon(): unknown };
    try {
      module.loadAddon();
    } catch (error) {
      return error as CulvertError;
    }
    assert.fail('it was loaded');
  }

  it('that was never built is a coded error with the command that builds it', async () => {
    const error = await loading();
    assert.equal(error.code, 'TUN_ADDON_MISSING');
    assert.ok(error.message.includes(`node ${path.join(scratch, 'scripts', 'build-native.mjs')}`), error.message);
    assert.match(error.message, /g\+\+, make, python3/);
  });

  it('that does not fit this machine says so for each place, prebuilt first', async () => {
    for (const folder of [`prebuilds/linux-${process.arch}`, 'build/Release']) {
      mkdirSync(path.join(scratch, folder), { recursive: true });
      writeFileSync(path.join(scratch, folder, 'culvert_tun.node'), 'no binary');
    }
    const error = await loading();
    assert.equal(error.code, 'TUN_ADDON_MISSING');
    assert.match(error.message, /prebuilds\/linux-.*too short.*build\/Release.*too short/s);
  });
});
