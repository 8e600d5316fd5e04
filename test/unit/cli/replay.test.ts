/** What `culvert replay` refuses before it reads a packet, by the command as built. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { UsageError } from '../../../src/cli/failure.js';
import type { ReplayFlags } from '../../../src/cli/replay-flags.js';
import { planReplay } from '../../../src/cli/replay-plan.js';
import { repositoryRoot } from '../../support/machine.js';

const main = path.join(repositoryRoot, 'dist', 'bin', 'culvert.cjs');
const capture = path.join(repositoryRoot, 'fixtures', 'http', 'in.pcap');
const lab = path.join(repositoryRoot, 'fixtures', 'labs', 'two-consumers.yaml');

const adopt = (flags: Partial<ReplayFlags>): ReplayFlags => ({ adopt: true, proxy: true, ...flags });
const tlv = (type: number, octets: number): NonNullable<ReplayFlags['tlv']>[number] => ({
  type,
  value: Buffer.alloc(octets),
});

async function refused(flags: ReplayFlags, input = capture): Promise<string> {
  let message = '';
  await assert.rejects(planReplay(input, flags), (error) => {
    assert.ok(error instanceof UsageError, String(error));
    message = error.message;
    return true;
  });
  return message;
}

describe('culvert replay: the plan', () => {
  const custom = (...tlvs: NonNullable<ReplayFlags['tlv']>): ReplayFlags => adopt({ dialect: 'custom', tlv: tlvs });

  it('refuses a checksum TLV written by hand, and a UNIQUE_ID that is too long, both at once', async () => {
    const message = await refused(custom(tlv(0x03, 1), tlv(0x05, 200)));
    assert.match(message, /0x03 is the checksum.*crc32c.*UNIQUE_ID has at most 128/);
  });

  it('holds a header to the length that a lab file may give it, one segment', async () => {
    const longest = 1460 - 28 - 3;
    const { warnings, plan } = await planReplay(capture, custom(tlv(0xe0, longest)));
    assert.equal(plan.adopt?.proxy?.dialect, 'custom');
    assert.deepEqual(
      warnings.map((w) => w.code),
      ['PROXY_HEADER_SIZE'],
    );
    assert.match(await refused(custom(tlv(0xe0, longest + 1))), /1461 octets .* at most 1460/);
    assert.match(await refused({ ...custom(tlv(0xe0, longest)), crc32c: true }), /1467 octets/);
  });

  it('says nothing of an ordinary header, nor of one that is not sent', async () => {
    assert.deepEqual((await planReplay(capture, custom(tlv(0xe0, 8)))).warnings, []);
    assert.deepEqual((await planReplay(capture, adopt({ proxy: false }))).warnings, []);
    for (const dialect of ['azure', 'aws', 'gcp'] as const) {
      assert.deepEqual((await planReplay(capture, adopt({ dialect }))).warnings, []);
    }
  });

  it('refuses to read standard input twice, as whichever two inputs', async () => {
    const once = /standard input can be read once/;
    assert.match(await refused({ config: '-', proxy: true }, '-'), once);
    assert.match(await refused({ config: '-', providerIn: '-', proxy: true }), once);
    assert.match(await refused(adopt({ providerIn: '-' }), '-'), once);
  });
});

describe('culvert replay: the command', () => {
  let scratch = '';
  before(() => {
    scratch = mkdtempSync(path.join(os.tmpdir(), 'culvert-replay-'));
  });
  after(() => {
    rmSync(scratch, { recursive: true });
  });
  const culvert = (args: readonly string[], input?: Buffer): { status: number | null; stderr: string } =>
    spawnSync(process.execPath, [main, 'replay', ...args, '--quiet'], { input, encoding: 'utf8', cwd: scratch });

  it('ends with the usage code where the header on the command line cannot be, and writes nothing', () => {
    const header = ['--dialect', 'custom', '--tlv', '0x03=0x00'];
    const { status, stderr } = culvert([capture, '--adopt', ...header, '--provider', 'out.pcap']);
    assert.equal(status, 2, stderr);
    assert.match(stderr, /^culvert: USAGE: .*PROXY_TLV_INVALID/);
    assert.deepEqual(readdirSync(scratch), []);
  });

  it('reads a lab from a pipe, and no more of it than a lab may have', () => {
    const args = [capture, '--config', '-', '--network', 'red'];
    assert.equal(culvert(args, readFileSync(lab)).status, 0);
    const endless = culvert(args, Buffer.alloc(20 << 20, '# no lab is so long\n'));
    assert.equal(endless.status, 5, endless.stderr);
    assert.match(endless.stderr, /CONFIG_TOO_LARGE/);
  });
});

describe('exit codes', () => {
  it('take a header that cannot be encoded for a mistake on the command line', () => {
    const url = (...names: string[]): string =>
      JSON.stringify(pathToFileURL(path.join(repositoryRoot, 'dist', 'src', ...names)).href);
    const script = `import { headerTemplate } from ${url('wire', 'proxy', 'index.js')};
      import { report } from ${url('cli', 'failure.js')};
      try { headerTemplate({ kind: 'custom', tlvs: [{ type: 300, value: Buffer.alloc(0) }] }, 0, 0); }
      catch (error) { process.exitCode = report(error); }`;
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    assert.equal(status, 2);
    assert.match(stderr, /^culvert: PROXY_ENCODE_TLV: /);
  });
});
