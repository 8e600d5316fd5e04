/** The command itself, as built, over the recorded cases and over files that wish it ill. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { needsShared, repositoryRoot, sharedDirectory } from '../../support/machine.js';
import { tcpPacket, writePcap } from '../../support/packets.js';

const main = path.join(repositoryRoot, 'dist', 'bin', 'culvert.cjs');
const fixture = (name: string): string => {
  const folder = path.join(repositoryRoot, 'fixtures', name);
  const file = readdirSync(folder).find((entry) => /^in\.pcap(ng)?$/.test(entry));
  assert.ok(file, `fixtures/${name} has a capture`);
  return path.join(folder, file);
};

interface Ended {
  readonly status: number | null;
  readonly lines: readonly string[];
  readonly stderr: string;
}

function culvert(args: readonly string[], input?: Buffer): Ended {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'inspect', ...args], {
    input,
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    env: { ...process.env, NO_COLOR: '' },
  });
  return { status, lines: stdout.split('\n').slice(0, -1), stderr };
}

const matching = (lines: readonly string[], pattern: RegExp): number =>
  lines.filter((line) => pattern.test(line)).length;

describe('culvert inspect', () => {
  let scratch = '';
  before(() => {
    scratch = mkdtempSync(path.join(os.tmpdir(), 'culvert-inspect-'));
  });
  after(() => {
    rmSync(scratch, { recursive: true });
  });

  describe('over recorded cases', () => {
    it('shows the cookies of TCP Fast Open', () => {
      const { status, lines } = culvert([fixture('tfo')]);
      assert.equal(status, 0);
      assert.equal(matching(lines, /\[SYN\] .*tfo request>/), 1);
      assert.equal(matching(lines, /\[SYN,ACK\] .*tfo [0-9a-f]{16}>/), 1);
      assert.equal(matching(lines, /\[SYN\] .* len [1-9]\d* .*tfo [0-9a-f]{16}>/), 2);
    });

    it('names the interfaces of a pcapng file, and keeps their twin streams apart', () => {
      const { lines } = culvert([fixture('overlap')]);
      assert.ok(matching(lines, /\{red\}/) > 0);
      assert.equal(matching(lines, /\{red\}/), matching(lines, /\{blue\}/));
      assert.equal(matching(lines, /#[12] /), matching(lines, / TCP /));
      assert.doesNotMatch(lines.join('\n'), /retransmission|ports reused/);
    });

    it('shows Multipath TCP', () => {
      const { lines } = culvert([fixture('mptcp')]);
      assert.ok(matching(lines, /\[SYN\].*mptcp capable v1/) >= 1);
      assert.ok(matching(lines, /mptcp dss/) >= 1);
    });

    it('shows what ICMP errors are about', () => {
      const { lines } = culvert([fixture('icmp'), '--protocol', 'icmp']);
      assert.ok(matching(lines, /fragmentation needed mtu 1200, about \[TCP /) >= 1);
      assert.ok(matching(lines, /port unreachable, about \[UDP /) >= 1);
      assert.equal(matching(lines, /! bad/), 0);
    });

    it('takes partial checksums for what they are', () => {
      const { lines } = culvert([fixture('gso')]);
      assert.ok(matching(lines, /partial TCP checksum/) > 0);
      assert.equal(matching(lines, /! bad/), 0);
    });

    it('puts fragmented datagrams together', () => {
      const { lines } = culvert([fixture('fragments')]);
      assert.ok(matching(lines, /UDP 10\.0\.0\.5:\d+ > 10\.0\.0\.4:\d+ len 3000 .*reassembled from frames/) >= 1);
    });

    it('shows keep-alives and probes of a closed window', () => {
      const { lines } = culvert([fixture('keepalive')]);
      assert.ok(matching(lines, /! keep-alive/) > 0);
      assert.ok(matching(lines, /! window probe/) > 0);
    });

    it('follows an HTTP stream', () => {
      const { status, lines } = culvert([fixture('http'), '--follow', '1']);
      assert.equal(status, 0);
      assert.match(lines[0]!, /^stream 1: > client 10\.0\.0\.5:\d+, < server 10\.0\.0\.4:80$/);
      assert.equal(lines[2], '> GET / HTTP/1.1');
      assert.ok(lines.includes('< HTTP/1.1 200 OK'));
    });

    it('follows a server that speaks first', () => {
      const { lines } = culvert([fixture('server-first'), '--follow', '1']);
      assert.match(lines[2]!, /^< /);
    });
  });

  it('gives JSON that parses, a line a packet, with the time to the nanosecond', () => {
    const text = culvert([fixture('http')]).lines;
    const { lines } = culvert([fixture('http'), '--json']);
    assert.equal(lines.length, text.length);
    for (const [i, line] of lines.entries()) {
      const packet = JSON.parse(line) as { frame: number };
      assert.equal(packet.frame, i + 1);
      assert.match(line, /"time":\d+\.\d{9},/);
    }
  });

  it('gives statistics as a table and as JSON', () => {
    const { lines } = culvert([fixture('udp-dns-like'), '--stats']);
    assert.ok(matching(lines, /^UDP flows +[1-9]/) === 1);
    const report = JSON.parse(culvert([fixture('udp-dns-like'), '--stats', '--json']).lines.join('')) as {
      packets: number;
      protocols: { name: string; packets: number }[];
    };
    assert.equal(
      report.packets,
      report.protocols.reduce((sum, { packets }) => sum + packets, 0),
    );
  });

  it('reads gzip, and standard input', () => {
    const octets = readFileSync(fixture('http'));
    const expected = culvert([fixture('http')]).lines;
    const zipped = path.join(scratch, 'in.pcap.gz');
    writeFileSync(zipped, gzipSync(octets));
    assert.deepEqual(culvert([zipped]).lines, expected);
    assert.deepEqual(culvert(['-'], octets).lines, expected);
  });

  it('has no colours where its output is no terminal', () => {
    assert.ok(
      !culvert([fixture('http')])
        .lines.join('\n')
        .includes('\u001b'),
    );
  });

  it('shows what stands before a truncated tail, and ends with 4', () => {
    const whole = readFileSync(fixture('http'));
    const count = culvert([fixture('http')]).lines.length;
    const cut = path.join(scratch, 'cut.pcap');
    writeFileSync(cut, whole.subarray(0, whole.length - 3));
    const { status, lines, stderr } = culvert([cut]);
    assert.equal(status, 4);
    assert.equal(lines.length, count - 1);
    assert.match(stderr, /^culvert: CAPTURE_TRUNCATED: /);
  });

  it('ends with 3 where there is no capture to read', () => {
    const text = path.join(scratch, 'text.pcap');
    writeFileSync(text, 'not a capture at all\n');
    for (const [file, code] of [
      [path.join(scratch, 'absent.pcap'), 'CAPTURE_NOT_FOUND'],
      [text, 'CAPTURE_NOT_A_CAPTURE'],
      [scratch, 'CAPTURE_IS_DIRECTORY'],
    ] as const) {
      const { status, stderr, lines } = culvert([file]);
      assert.equal(status, 3, file);
      assert.ok(stderr.startsWith(`culvert: ${code}: `), stderr);
      assert.equal(lines.length, 0);
    }
  });

  it('ends with 2 where the command line is wrong, and says what would be right', () => {
    const file = fixture('http');
    for (const [args, says] of [
      [['--port', '99999'], /0 to 65535/],
      [['--address', '10.0.0'], /10\.0\.0\.0\/24/],
      [['--flow', '10.0.0.4:80'], /10\.0\.0\.5:40000,10\.0\.0\.4:80/],
      [['--limit', '0'], /whole number from 1/],
      [['--time', 'never'], /relative, absolute, delta/],
      [['--follow', '1', '--stats'], /cannot be used with/],
      [['--follow', '999'], /the capture has \d+ TCP streams/],
      [['--nonsense'], /unknown option/],
    ] as const) {
      const { status, stderr } = culvert([file, ...args]);
      assert.equal(status, 2, `${args.join(' ')}: ${stderr}`);
      assert.match(stderr, says);
    }
  });

  it('ends quietly when nobody reads on', async () => {
    const big = path.join(scratch, 'big.pcap');
    const packet = tcpPacket({ src: '10.0.0.5', dst: '10.0.0.4', sport: 1, dport: 2, payload: 'x' });
    writePcap(
      big,
      Array.from({ length: 50_000 }, () => packet),
    );
    const child = spawn(process.execPath, [main, 'inspect', big], { stdio: ['ignore', 'pipe', 'pipe'] });
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    child.stdout.once('data', () => child.stdout.destroy());
    const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
    assert.equal(errors, '');
    assert.equal(status, 0);
  });

  it('ends with 6 where its output has no room', function () {
    if (!existsSync('/dev/full')) this.skip();
    const shell = spawnSync(
      'sh',
      ['-c', '"$0" "$1" inspect "$2" > /dev/full', process.execPath, main, fixture('http')],
      {
        encoding: 'utf8',
      },
    );
    assert.equal(shell.status, 6, shell.stderr);
    assert.match(shell.stderr, /^culvert: CAPTURE_WRITE_FAILED: standard output: /);
  });
});

interface Manifest {
  readonly captures: readonly {
    readonly file: string;
    readonly packets: number;
    readonly counts: Readonly<Record<string, number>>;
  }[];
}

describe('culvert inspect over real and hostile captures', () => {
  const folder = path.join(sharedDirectory(), 'captures');
  if (!existsSync(path.join(folder, 'manifest.json'))) {
    it('shows each', function () {
      needsShared(this, path.join('captures', 'manifest.json'));
    });
    return;
  }
  const { captures } = JSON.parse(readFileSync(path.join(folder, 'manifest.json'), 'utf8')) as Manifest;
  for (const { file, packets } of captures) {
    it(`shows every packet of ${file}`, () => {
      const name = path.join(folder, file);
      const { status, lines, stderr } = culvert([name, '--json']);
      assert.ok(status === 0 || status === 4, `${String(status)}: ${stderr}`);
      assert.equal(lines.length, packets);
      if (packets < 10_000) for (const line of lines) JSON.parse(line);
    });
  }
});
