/**
 * `culvert replay` under bad input and bad circumstances: each ends with the documented exit code and a coded message
 * that names the file and says what to do, and nothing half-written is left.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { replayHere } from '../golden/runs.js';
import { needsCommand, repositoryRoot } from '../support/machine.js';
import { buildPcap, naiveRead, PcapngBuilder } from '../unit/capture/naive.js';
import { until } from '../support/until.js';
import { run, start, type Ended } from './command.js';

const HTTP = path.join(repositoryRoot, 'fixtures', 'http', 'in.pcap');
const OVERLAP = path.join(repositoryRoot, 'fixtures', 'overlap', 'in.pcapng');
const OVERLAP_LAB = path.join(repositoryRoot, 'fixtures', 'overlap', 'lab.yaml');

let folder: string;
const at = (name: string): string => path.join(folder, name);

/** Writes a file into the test's folder. @returns its path */
function given(name: string, octets: Uint8Array | string): string {
  writeFileSync(at(name), octets);
  return at(name);
}

const files = (): string[] => readdirSync(folder).sort();
const outputs = (): string[] => ['--provider', at('out.pcap'), '--consumer', at('ret.pcap')];

/** `culvert replay INPUT ARGS` with outputs in the folder. */
const replay = (input: string, args: readonly string[] = ['--adopt']): Promise<Ended> =>
  run(['replay', input, ...args, ...outputs()]);

/** It ended with `code`, said `what` and nothing on standard output, and left no output. */
function assertFailed(ended: Ended, code: number, what: RegExp): void {
  assert.equal(ended.code, code, ended.stderr);
  assert.match(ended.stderr, what);
  assert.equal(ended.stdout.toString(), '');
  assert.doesNotMatch(ended.stderr, /\bat .*\.js:\d+/, 'no stack is shown');
  assert.deepEqual(
    files().filter((name) => /out\.pcap|ret\.pcap|partial/.test(name)),
    [],
  );
}

beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-cli-'));
});
afterEach(() => {
  chmodSync(folder, 0o700);
  rmSync(folder, { recursive: true });
});

const http = readFileSync(HTTP);

/** Where each record of a little-endian pcap begins, and its end. */
function boundaries(pcap: Buffer): number[] {
  const found = [24];
  for (let next = 24; next + 16 <= pcap.length;) {
    next += 16 + pcap.readUInt32LE(next + 8);
    found.push(next);
  }
  return found;
}

describe('culvert replay: inputs that are no captures', () => {
  it('an empty file', async () => {
    assertFailed(await replay(given('in.pcap', '')), 3, /^culvert: CAPTURE_EMPTY: .*in\.pcap: .* record it again/);
  });

  it('a text file', async () => {
    const ended = await replay(given('notes.txt', 'These are notes,\nnot packets.\n'));
    assertFailed(ended, 3, /^culvert: CAPTURE_NOT_A_CAPTURE: .*notes\.txt: .* it is text; name a capture/);
  });

  it('a binary file', async () => {
    const ended = await replay(given('random', Buffer.from('7f454c460201010000', 'hex')));
    assertFailed(ended, 3, /^culvert: CAPTURE_NOT_A_CAPTURE: .*random: .* 7f454c46; name a capture/);
  });

  it('a directory', async () => {
    mkdirSync(at('captures'));
    assertFailed(await replay(at('captures')), 3, /^culvert: CAPTURE_IS_DIRECTORY: .*captures: .* name a capture file/);
  });

  it('a missing file', async () => {
    assertFailed(await replay(at('none.pcap')), 3, /^culvert: CAPTURE_NOT_FOUND: .*none\.pcap: .* check the name/);
  });

  it('a dangling link, and a path through a file', async () => {
    symlinkSync('nowhere', at('link.pcap'));
    given('file', 'x');
    assertFailed(await replay(at('link.pcap')), 3, /CAPTURE_NOT_FOUND: .*link\.pcap/);
    assertFailed(await replay(at('file/in.pcap')), 3, /CAPTURE_NOT_FOUND: .*file\/in\.pcap/);
  });

  it('a compressed file that holds nothing, text, or is cut before anything comes out', async () => {
    assertFailed(await replay(given('a.gz', gzipSync(''))), 3, /CAPTURE_EMPTY: .*a\.gz: .* record it again/);
    assertFailed(await replay(given('b.gz', gzipSync('words, words'))), 3, /CAPTURE_NOT_A_CAPTURE: .*b\.gz/);
    assertFailed(await replay(given('c.gz', gzipSync(http).subarray(0, 14))), 3, /CAPTURE_TRUNCATED: .*c\.gz/);
  });

  it('a capture of the provider’s side that is none', async () => {
    const second = given('second.pcap', 'text');
    assertFailed(await replay(HTTP, ['--adopt', '--provider-in', second]), 3, /CAPTURE_NOT_A_CAPTURE: .*second\.pcap/);
  });

  it('nothing on standard input', async () => {
    assertFailed(await run(['replay', '-', '--adopt', ...outputs()]), 3, /CAPTURE_EMPTY: -: /);
  });
});

describe('culvert replay: captures that break off', () => {
  it('gives what came before, at whatever octet the file is cut', async () => {
    const ends = boundaries(http);
    const cuts = new Set([24, 25, 39, 40, 41, ...ends.slice(1, 8).flatMap((end) => [end - 1, end, end + 1])]);
    for (let cut = 24; cut < http.length; cut += 997) cuts.add(cut);
    for (const cut of cuts) {
      const whole = ends.filter((end) => end <= cut).at(-1)!;
      const one = given('cut.pcap', http.subarray(0, cut));
      const other = given('whole.pcap', http.subarray(0, whole));
      const a = await replayHere(one, ['--adopt'], at('a.out'), at('a.ret'));
      const b = await replayHere(other, ['--adopt'], at('b.out'), at('b.ret'));
      const what = `cut at ${String(cut)}`;
      assert.equal(a.exitCode, cut === whole ? 0 : 4, what);
      assert.equal(b.exitCode, 0, what);
      assert.equal(a.report.packets, ends.indexOf(whole), what);
      assert.deepEqual(readFileSync(at('a.out')), readFileSync(at('b.out')), what);
      assert.deepEqual(readFileSync(at('a.ret')), readFileSync(at('b.ret')), what);
    }
  });

  it('says so with exit code 4 and the place, also when told to be quiet', async () => {
    const input = given('cut.pcap', http.subarray(0, 5000));
    const ended = await replay(input, ['--adopt', '--quiet']);
    assert.equal(ended.code, 4);
    assert.match(
      ended.stderr,
      /^culvert: CAPTURE_TRUNCATED: .*cut\.pcap: .*\(octet \d+, after frame \d+\): what comes before/,
    );
    assert.ok(existsSync(at('out.pcap')) && existsSync(at('ret.pcap')));
  });

  it('inside the file header: no packet, exit code 4', async () => {
    for (const length of [4, 12, 23]) {
      const ended = await replay(given('cut.pcap', http.subarray(0, length)), ['--adopt', '--json']);
      assert.equal(ended.code, 4);
      assert.match(ended.stderr, /CAPTURE_TRUNCATED: .*cut\.pcap/);
      assert.equal((JSON.parse(ended.stdout.toString()) as { packets: number }).packets, 0);
    }
  });

  it('of which the compressed form is cut', async () => {
    const ended = await replay(given('cut.pcap.gz', gzipSync(http).subarray(0, -500)));
    assert.equal(ended.code, 4);
    assert.match(ended.stderr, /CAPTURE_TRUNCATED: .*cut\.pcap\.gz/);
  });

  /** The capture with the length of its fifth record replaced. */
  function withLength(length: number): Buffer {
    const octets = Buffer.from(http);
    octets.writeUInt32LE(length, boundaries(http)[4]! + 8);
    return octets;
  }

  for (const length of [2 ** 31, 2 ** 32 - 1, 2 ** 31 - 1, 64 << 20]) {
    it(`at a record that claims ${String(length)} octets`, async () => {
      const ended = await replay(given('in.pcap', withLength(length)), ['--adopt', '--json']);
      assert.equal(ended.code, 4, ended.stderr);
      assert.match(ended.stderr, /CAPTURE_(CORRUPT|TRUNCATED|RECORD_TOO_LARGE): .*in\.pcap: .*after frame 4\)/);
      const report = JSON.parse(ended.stdout.toString()) as { packets: number; warnings: unknown[] };
      assert.equal(report.packets, 4);
      assert.equal(report.warnings.length, 1);
    });
  }

  for (const little of [true, false]) {
    const order = little ? 'little' : 'big';
    for (const length of [(2 << 20) + 1, 3 << 20, 16 << 20]) {
      it(`at a record of ${String(length)} octets that are all there, ${order}-endian`, async () => {
        const records = naiveRead(http).map((p) => ({
          seconds: p.seconds,
          fraction: p.nanoseconds / 1000,
          data: p.data,
        }));
        records.splice(4, 0, { seconds: 1, fraction: 0, data: Buffer.alloc(length, 0x45) });
        const octets = buildPcap({ little, magic: 0xa1b2c3d4, link: naiveRead(http)[0]!.link }, records);
        const ended = await replay(given('in.pcap', octets), ['--adopt', '--json']);
        assert.equal(ended.code, 4, ended.stderr);
        assert.match(ended.stderr, /CAPTURE_CORRUPT: .*in\.pcap: .*after frame 4\)/);
        assert.equal((JSON.parse(ended.stdout.toString()) as { packets: number }).packets, 4);
        assert.equal(naiveRead(readFileSync(at('out.pcap'))).length, 4);
      });
    }

    it(`passes over a packet of 3 MiB in a block that is sound, and goes on, ${order}-endian`, async () => {
      const b = new PcapngBuilder(little);
      const packets = naiveRead(http);
      const blocks = packets.map((p) => b.enhanced(0, BigInt(p.seconds) * 1_000_000n, p.data));
      blocks.splice(4, 0, b.enhanced(0, 0n, Buffer.alloc(3 << 20, 0x45)));
      const ended = await replay(
        given('in.pcapng', Buffer.concat([b.section(), b.face(packets[0]!.link), ...blocks])),
        ['--adopt', '--json'],
      );
      assert.equal(ended.code, 4, ended.stderr);
      assert.match(
        ended.stderr,
        /CAPTURE_CORRUPT: .*in\.pcapng: a packet is too long to be believed .*after frame 4\)/,
      );
      assert.equal((JSON.parse(ended.stdout.toString()) as { packets: number }).packets, packets.length);
    });
  }

  it('does not believe a snap length of 0', async () => {
    const octets = Buffer.from(http);
    octets.writeUInt32LE(0, 16);
    const zero = await replayHere(given('in.pcap', octets), ['--adopt'], at('a.out'), at('a.ret'));
    const plain = await replayHere(HTTP, ['--adopt'], at('b.out'), at('b.ret'));
    assert.equal(zero.exitCode, 0);
    assert.equal(zero.report.packets, plain.report.packets);
    assert.deepEqual(readFileSync(at('a.out')), readFileSync(at('b.out')));
  });

  const overlap = readFileSync(OVERLAP);

  /** Where each block of a little-endian pcapng begins. */
  function blocks(octets: Buffer): number[] {
    const found: number[] = [];
    for (let next = 0; next + 12 <= octets.length; next += octets.readUInt32LE(next + 4)) found.push(next);
    return found;
  }

  for (const length of [0, 4, 11, 13, 2 ** 31, 2 ** 32 - 4]) {
    it(`at a pcapng block that claims ${String(length)} octets`, async () => {
      const octets = Buffer.from(overlap);
      octets.writeUInt32LE(length, blocks(overlap)[8]! + 4);
      const ended = await replay(given('in.pcapng', octets), ['--config', OVERLAP_LAB, '--json']);
      assert.equal(ended.code, 4, ended.stderr);
      assert.match(ended.stderr, /CAPTURE_(CORRUPT|TRUNCATED): .*in\.pcapng: .*what comes before/);
      assert.ok((JSON.parse(ended.stdout.toString()) as { packets: number }).packets > 0);
    });
  }
});

describe('culvert replay: the command line', () => {
  const CASES: readonly (readonly [what: string, args: readonly string[], message: RegExp])[] = [
    ['no capture', ['--adopt'], /missing required argument/],
    ['neither configuration nor adoption', [HTTP], /USAGE: .*--config LAB, or --adopt/],
    ['both configuration and adoption', [HTTP, '--adopt', '--config', OVERLAP_LAB], /USAGE: .*give one of them/],
    ['a flag that there is not', [HTTP, '--adopt', '--provder', 'x'], /unknown option '--provder'[^]*--provider/],
    ['a LINKID of 0', [HTTP, '--adopt', '--linkid', '0'], /USAGE: --linkid/],
    ['a LINKID past 32 bits', [HTTP, '--adopt', '--linkid', '4294967296'], /--linkid[^]*0 to 4294967295/],
    ['a NAT pool that is none', [HTTP, '--adopt', '--nat-pool', '198.18.0.0/33'], /198\.18\.0\.0\/33/],
    ['a backend network without room', [HTTP, '--adopt', '--backend-net', '198.19.0.1/32'], /USAGE: --backend-net/],
    ['a dialect that there is not', [HTTP, '--adopt', '--dialect', 'azur'], /--dialect[^]*azure, aws, gcp, custom/],
    ['TLVs of another dialect', [HTTP, '--adopt', '--tlv', '1=x'], /USAGE: --tlv .*--dialect custom/],
    ['a TLV that is none', [HTTP, '--adopt', '--dialect', 'custom', '--tlv', '256=x'], /TYPE=VALUE/],
    ['a pool with a lab file', [HTTP, '--config', OVERLAP_LAB, '--nat-pool', '10.0.0.0/29'], /USAGE: --nat-pool goes/],
    ['no header with a lab file', [HTTP, '--config', OVERLAP_LAB, '--no-proxy'], /USAGE: .*enableProxyProtocol/],
    ['a network with adoption', [HTTP, '--adopt', '--network', 'red'], /USAGE: --network/],
    [
      'an unknown network',
      [HTTP, '--config', OVERLAP_LAB, '--network', 'green'],
      /USAGE: .*green; there are red, blue/,
    ],
    ['a check of standard input', ['-', '--adopt', '--check'], /USAGE: --check/],
    ['standard input twice', ['-', '--adopt', '--provider-in', '-'], /USAGE: .*once/],
  ];
  for (const [what, args, message] of CASES) {
    it(`${what}: exit code 2`, async () => {
      assertFailed(await run(['replay', ...args]), 2, message);
    });
  }

  it('an output that is the input, or the other output, by whatever name: exit code 2', async () => {
    const input = given('in.pcap', http);
    symlinkSync('in.pcap', at('alias.pcap'));
    for (const output of [input, at('alias.pcap'), `${folder}/./in.pcap`]) {
      const ended = await run(['replay', input, '--adopt', '--provider', output]);
      assertFailed(ended, 2, /USAGE: .*is an input as well as an output/);
    }
    const second = await run(['replay', HTTP, '--adopt', '--provider-in', input, '--consumer', input]);
    assertFailed(second, 2, /USAGE: .*is an input as well/);
    const same = await run(['replay', input, '--adopt', '--provider', at('o.pcap'), '--consumer', at('./o.pcap')]);
    assertFailed(same, 2, /USAGE: .*the same file/);
    assert.deepEqual(readFileSync(input), http);
    assert.deepEqual(files(), ['alias.pcap', 'in.pcap']);
  });

  it('help and version are no errors', async () => {
    for (const args of [['--help'], ['replay', '--help'], ['--version']]) {
      const ended = await run(args);
      assert.equal(ended.code, 0);
      assert.ok(ended.stdout.length > 0);
    }
  });
});

describe('culvert replay: configurations with mistakes', () => {
  const TEN = `virtualNetworks:
  red: { addressSpace: [10.0.0.0/8], subnets: { default: 10.0.0.1/24 } }
  provider:
    adressSpace: [10.200.0.0/16]
    subnets: { nat: { addressPrefix: 10.200.1.0/24, privateLinkServiceNetworkPolicies: Disabled }, backend: 10.200.1.0/25 }
loadBalancers:
  lb:
    virtualNetwork: provder
    sku: standard
    frontends: { web: 10.200.01.10 }
    backendPools: { web: [10.200.1.20] }
    rules:
      - { name: web, frontend: wbe, protocol: Tcp, frontendPort: 80, backendPool: web, backendPort: 8080 }
privateLinkServices:
  web: { subnet: provider/nat, ipConfigurations: [10.200.1.30], loadBalancerFrontend: lb/web, enableProxyProtocol: yes }
privateEndpoints:
  red: { subnet: red/default, address: 10.0.0.4, privateLinkService: web, linkIdentifier: 0 }
translation: { maxflows: 3 }
`;
  const LINES = [2, 4, 5, 8, 9, 10, 13, 15, 17, 18];

  it('tells all ten in one run, each with its line and what would be right: exit code 5', async () => {
    const ended = await replay(HTTP, ['--config', given('lab.yaml', TEN)]);
    assertFailed(ended, 5, /^culvert: CONFIG_INVALID: .*lab\.yaml has \d+ mistakes/);
    const found = [...ended.stderr.matchAll(/lab\.yaml:(\d+):\d+: [A-Z]\w+ /g)].map(([, line]) => Number(line));
    for (const line of LINES) assert.ok(found.includes(line), `line ${String(line)}: ${ended.stderr}`);
    assert.match(ended.stderr, /did you mean 'addressSpace'/);
    assert.match(ended.stderr, /did you mean 'provider'/);
  });

  it('names a configuration that is missing, empty, a directory or no YAML: exit code 5', async () => {
    assertFailed(await replay(HTTP, ['--config', at('none.yaml')]), 5, /CONFIG_\w+: .*none\.yaml/);
    assertFailed(await replay(HTTP, ['--config', given('empty.yaml', '')]), 5, /CONFIG_\w+[^]*empty\.yaml/);
    assertFailed(await replay(HTTP, ['--config', folder]), 5, /CONFIG_\w+: /);
    assertFailed(await replay(HTTP, ['--config', given('bad.yaml', 'a: [1,\n b: }')]), 5, /CONFIG_\w+[^]*bad\.yaml/);
    assertFailed(await replay(HTTP, ['--config', HTTP]), 5, /CONFIG_\w+[^]*in\.pcap/);
  });
});

describe('culvert replay: outputs that cannot be written', () => {
  it('a directory that there is not, or that is a file: exit code 6', async () => {
    for (const output of [at('none/out.pcap'), path.join(given('file', ''), 'out.pcap')]) {
      const ended = await run(['replay', HTTP, '--adopt', '--provider', output]);
      assertFailed(ended, 6, /^culvert: CAPTURE_NOT_WRITABLE: .*out\.pcap: .* make it first/);
    }
  });

  it('a directory in place of a file: exit code 6', async () => {
    mkdirSync(at('results'));
    const ended = await run(['replay', HTTP, '--adopt', '--provider', at('results')]);
    assertFailed(ended, 6, /^culvert: CAPTURE_NOT_WRITABLE: .*results: .* name a file/);
  });

  it('a second output that cannot be: neither is there then', async () => {
    const ended = await run([
      'replay',
      HTTP,
      '--adopt',
      '--provider',
      at('out.pcap'),
      '--consumer',
      at('none/ret.pcap'),
    ]);
    assertFailed(ended, 6, /CAPTURE_NOT_WRITABLE: .*ret\.pcap/);
    assert.deepEqual(files(), []);
  });

  it('a full disk: exit code 6, and neither output is there', async () => {
    for (const [full, other] of [
      ['--provider', '--consumer'],
      ['--consumer', '--provider'],
    ] as const) {
      const ended = await run(['replay', HTTP, '--adopt', full, '/dev/full', other, at('out.pcap')]);
      assertFailed(ended, 6, /^culvert: CAPTURE_NO_SPACE: \/dev\/full: .* free some/);
      assert.deepEqual(files(), []);
    }
  });

  it('leaves what was there under the name before', async () => {
    given('out.pcap', 'from before');
    const ended = await run(['replay', HTTP, '--adopt', '--provider', at('out.pcap'), '--consumer', '/dev/full']);
    assert.equal(ended.code, 6);
    assert.equal(readFileSync(at('out.pcap'), 'utf8'), 'from before');
    assert.deepEqual(files(), ['out.pcap']);
  });

  it('writes nothing before the input has proved to be a capture', async () => {
    given('out.pcap', 'from before');
    const ended = await replay(given('in.pcap', 'text'));
    assert.equal(ended.code, 3);
    assert.equal(readFileSync(at('out.pcap'), 'utf8'), 'from before');
    assert.deepEqual(files(), ['in.pcap', 'out.pcap']);
  });
});

describe('culvert replay: signals', () => {
  /** Until the first octets of an output are on their way. */
  async function untilWriting(): Promise<void> {
    await until(
      () => `an output: ${files().join(', ')}`,
      () => files().some((name) => name.includes('.partial-')),
    );
  }

  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    it(`${signal} in the middle of a pipe leaves no output, neither partial nor final`, async () => {
      const running = start(['replay', '-', '--adopt', ...outputs()]);
      running.process.stdin!.write(http.subarray(0, 20_000));
      await untilWriting();
      running.process.kill(signal);
      const ended = await running.ended;
      assert.equal(ended.signal, signal, `ended by code ${String(ended.code)}: ${ended.stderr}`);
      assert.match(ended.stderr, /^culvert: (INTERRUPTED|TERMINATED): /);
      assert.deepEqual(files(), []);
    });

    it(`${signal} in the middle of a large input that does not wait`, async () => {
      const running = start(['replay', '-', '--adopt', ...outputs()]);
      const feeding = { on: true };
      const feed = (): void => {
        while (feeding.on && running.process.stdin!.write(http.subarray(24)));
        if (feeding.on) running.process.stdin!.once('drain', feed);
      };
      running.process.stdin!.write(http.subarray(0, 24));
      feed();
      await untilWriting();
      await sleep(200);
      running.process.kill(signal);
      const ended = await running.ended;
      feeding.on = false;
      assert.equal(ended.signal, signal, ended.stderr);
      assert.deepEqual(files(), []);
    });

    it(`${signal} while a FIFO is silent ends it at once; a shell shows ${String(code)}`, async function () {
      needsCommand(this, 'mkfifo');
      execFileSync('mkfifo', [at('fifo')]);
      const running = start(['replay', at('fifo'), '--adopt', ...outputs()]);
      // Opened for reading too, so that neither end waits for the other.
      const fd = openSync(at('fifo'), 'r+');
      const writer = createWriteStream('', { fd, autoClose: false });
      writer.write(http.subarray(0, 20_000));
      await untilWriting();
      running.process.kill(signal);
      const ended = await running.ended; // the FIFO stays silent: it would never end otherwise
      assert.equal(ended.signal, signal, ended.stderr);
      assert.deepEqual(files(), ['fifo']);
      closeSync(fd);
    });

    it(`${signal} before anything came`, async () => {
      const running = start(['replay', '-', '--adopt', ...outputs()]);
      await sleep(700);
      running.process.kill(signal);
      const ended = await running.ended;
      assert.equal(ended.signal, signal, ended.stderr);
      assert.deepEqual(files(), []);
    });
  }
});

describe('culvert replay: pipes and compressed files', () => {
  let expected: { readonly out: Buffer; readonly ret: Buffer };
  beforeEach(async () => {
    await replayHere(HTTP, ['--adopt'], at('expected.out'), at('expected.ret'));
    expected = { out: readFileSync(at('expected.out')), ret: readFileSync(at('expected.ret')) };
  });

  it('reads standard input and writes standard output; the report goes to standard error', async () => {
    const provider = await run(['replay', '-', '--adopt', '--provider', '-', '--json'], http);
    assert.equal(provider.code, 0);
    assert.deepEqual(provider.stdout, expected.out);
    assert.ok((JSON.parse(provider.stderr) as { toProvider: number }).toProvider > 0);
    const consumer = await run(['replay', '-', '--adopt', '--consumer', '-', '--quiet'], http);
    assert.deepEqual(consumer.stdout, expected.ret);
    assert.equal(consumer.stderr, '');
  });

  it('takes octets as they trickle in', async () => {
    const running = start(['replay', '-', '--adopt', '--provider', '-', '--quiet']);
    for (let from = 0; from < http.length; from += 1777) {
      running.process.stdin!.write(http.subarray(from, from + 1777));
      await sleep(2);
    }
    running.process.stdin!.end();
    assert.deepEqual((await running.ended).stdout, expected.out);
  });

  it('reads gzip, by content, from a file and from a pipe', async () => {
    const file = given('in.whatever', gzipSync(http));
    assert.deepEqual((await run(['replay', file, '--adopt', '--provider', '-', '--quiet'])).stdout, expected.out);
    const piped = await run(['replay', '-', '--adopt', '--provider', '-', '--quiet'], gzipSync(http));
    assert.deepEqual(piped.stdout, expected.out);
  });

  it('is quiet when its only reader leaves, as head does', async () => {
    const running = start(['replay', '-', '--adopt', '--provider', '-', '--quiet']);
    running.process.stdout!.once('data', () => running.process.stdout!.destroy());
    running.process.stdin!.write(http.subarray(0, 24));
    // More than any pipe holds.
    for (let i = 0; i < 200; i++) running.process.stdin!.write(http.subarray(24));
    running.process.stdin!.end();
    const { code, stderr } = await running.ended;
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  });

  it('is not quiet when its reader leaves and another output is lost by it: exit code 6', async () => {
    const file = at('out.pcap');
    const running = start(['replay', '-', '--adopt', '--consumer', '-', '--provider', file, '--quiet']);
    running.process.stdin!.write(http.subarray(0, 5000));
    // It leaves with the file header in its hands, so that the rest, at the very end, finds nobody.
    await once(running.process.stdout!, 'data');
    running.process.stdout!.destroy();
    running.process.stdin!.end(http.subarray(5000));
    const { code, stderr } = await running.ended;
    assert.match(stderr, /^culvert: CAPTURE_WRITE_FAILED: .*out\.pcap: not written, .* let that read to the end/);
    assert.equal(code, 6);
    assert.deepEqual(files(), ['expected.out', 'expected.ret']);
  });

  it('is quiet when nobody reads its report', async () => {
    const running = start(['replay', HTTP, '--adopt', '--json']);
    running.process.stdout!.destroy();
    const { code, stderr } = await running.ended;
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  });
});
