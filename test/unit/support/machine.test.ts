import assert from 'node:assert/strict';
import type { Context } from 'mocha';
import { needsCommand, needsShared, sharedDirectory, skipBecause } from '../../support/machine.js';

/** Stands for mocha: `skip()` throws as mocha's does, and the marks stay to be looked at. */
function contextOf(type: 'test' | 'hook') {
  const suite: { skipReason?: string } = {};
  const runnable: { type: string; parent: object; skipReason?: string } = { type, parent: suite };
  const context = {
    runnable: () => runnable,
    skip: () => {
      throw new Error('skipped');
    },
  };
  return { context: context as unknown as Context, suite, runnable };
}

describe('what a test needs of the machine', () => {
  const saved = { CI: process.env['CI'], CULVERT_SHARED: process.env['CULVERT_SHARED'] };

  afterEach(() => {
    for (const [name, value] of Object.entries(saved))
      if (value === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = value;
  });

  it('lets a test run when the command is there', () => {
    process.env['CI'] = 'true';
    needsCommand(contextOf('test').context, 'node');
  });

  it('skips a test whose command is missing, and keeps the reason', () => {
    process.env['CI'] = '';
    const { context, runnable } = contextOf('test');
    assert.throws(() => {
      needsCommand(context, 'no-such-command');
    }, /^Error: skipped$/);
    assert.equal(runnable.skipReason, 'needs the command no-such-command');
  });

  it('fails that test when CI=true', () => {
    process.env['CI'] = 'true';
    assert.throws(() => {
      needsCommand(contextOf('test').context, 'no-such-command');
    }, /no-such-command, and nothing may be skipped/);
  });

  it('skips for want of the shared folder even when CI=true', () => {
    process.env['CI'] = 'true';
    process.env['CULVERT_SHARED'] = '/nonexistent';
    assert.throws(() => needsShared(contextOf('test').context, 'captures'), /^Error: skipped$/);
    assert.equal(sharedDirectory(), '/nonexistent');
  });

  it('gives the reason to the whole suite when a hook skips', () => {
    const { context, suite, runnable } = contextOf('hook');
    assert.throws(() => skipBecause(context, 'no reason at all'), /^Error: skipped$/);
    assert.equal(suite.skipReason, 'no reason at all');
    assert.equal(runnable.skipReason, undefined);
  });
});
