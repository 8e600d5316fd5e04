import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { CaptureReader, CaptureWriter } from '../../../src/capture/index.js';
import type { CaptureWriterOptions } from '../../../src/capture/index.js';
import { drain, naiveRead } from './naive.js';
import type { NaivePacket } from './naive.js';

const PCAP: CaptureWriterOptions = { format: 'pcap', nanoseconds: true, linkType: 1 };
const PCAPNG: CaptureWriterOptions = { format: 'pcapng', nanoseconds: true, linkType: 1 };
const LIBRARY = fileURLToPath(new URL('../../../src/capture/index.js', import.meta.url));

function put(w: CaptureWriter, p: NaivePacket, face = 0, reserved = p.data.length): void {
  const at = w.reserve(reserved);
  p.data.copy(w.slab, at);
  w.commit(p.data.length, p.original, p.seconds, p.nanoseconds, face);
}

function packet(text: string, seconds = 1, nanoseconds = 2): NaivePacket {
  return { seconds, nanoseconds, original: text.length, data: Buffer.from(text), link: 1 };
}

describe('writing captures', () => {
  let dir = '';
  beforeEach(() => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), 'culvert-writer-'));
  });
  afterEach(() => {
    fs.rmSync(dir, { recursive: true, force: true });
  });

  const arbitraryPackets = fc.array(
    fc.record({
      seconds: fc.oneof(
        fc.integer({ min: 0, max: 0xffffffff }),
        fc.constantFrom(0, 0x7fffffff, 0x80000000, 0xffffffff),
      ),
      nanoseconds: fc.oneof(fc.nat(999_999_999), fc.constantFrom(0, 999_999_999)),
      original: fc.integer({ min: 0, max: 0xffffffff }),
      data: fc.uint8Array({ maxLength: 90 }).map((octets) => Buffer.from(octets)),
      link: fc.constant(1),
    }),
    { maxLength: 40 },
  );

  for (const format of ['pcap', 'pcapng'] as const) {
    for (const nanoseconds of [true, false]) {
      it(`reads back what it writes as ${format} in ${nanoseconds ? 'nanoseconds' : 'microseconds'}, in any region`, async () => {
        const file = path.join(dir, 'out');
        await fc.assert(
          fc.asyncProperty(
            arbitraryPackets,
            fc.nat(20),
            fc.nat(300),
            fc.nat(200),
            async (packets, from, extra, spare) => {
              const slab = Buffer.alloc(from + 400 + 10, 0xee);
              const to = from + 128 + Math.min(extra, 272);
              const w = CaptureWriter.create(file, { format, nanoseconds, linkType: 1, slab, from, to });
              for (const p of packets) put(w, p, 0, Math.min(w.maxLength, p.data.length + spare));
              w.close();
              assert.ok(
                slab.subarray(0, from).every((octet) => octet === 0xee),
                'wrote before its region',
              );
              assert.ok(
                slab.subarray(to).every((octet) => octet === 0xee),
                'wrote behind its region',
              );
              const unit = nanoseconds ? 1 : 1000;
              const expected = packets.map((p) => ({ ...p, nanoseconds: p.nanoseconds - (p.nanoseconds % unit) }));
              const octets = fs.readFileSync(file);
              assert.deepEqual(naiveRead(octets), expected);
              const { packets: again, reader } = await drain(
                await CaptureReader.open(file, { slab: Buffer.alloc(256) }),
              );
              assert.deepEqual(again, expected);
              assert.equal(reader.warning, null);
              assert.deepEqual([w.packets, w.octets], [packets.length, octets.length]);
            },
          ),
          { numRuns: 150 },
        );
      });
    }
  }

  it('keeps comments of packets in pcapng, in any region, and leaves them out of pcap', async () => {
    const file = path.join(dir, 'out');
    const commented = fc.record({
      data: fc.uint8Array({ maxLength: 90 }).map((octets) => Buffer.from(octets)),
      comment: fc.oneof(
        fc.constant(''),
        fc.string({ unit: 'grapheme', maxLength: 40 }),
        fc.nat(300).map((n) => 'c'.repeat(n)),
      ),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(commented, { maxLength: 20 }),
        fc.nat(300),
        fc.boolean(),
        async (packets, extra, pcapng) => {
          const slab = Buffer.alloc(600, 0xee);
          const [from, to] = [10, 10 + 128 + extra];
          const w = CaptureWriter.create(file, { ...(pcapng ? PCAPNG : PCAP), slab, from, to });
          for (const p of packets) {
            const at = w.reserve(p.data.length);
            p.data.copy(w.slab, at);
            w.commit(p.data.length, p.data.length, 1, 2, 0, p.comment);
            assert.deepEqual(w.slab.subarray(at, at + p.data.length), p.data, 'the packet stays where it is');
          }
          w.close();
          assert.ok(
            slab.subarray(to).every((octet) => octet === 0xee),
            'wrote behind its region',
          );
          assert.equal(w.octets, fs.statSync(file).size);
          const { packets: again, comments, reader } = await drain(await CaptureReader.open(file));
          assert.equal(reader.warning, null);
          assert.deepEqual(
            again.map((p) => p.data),
            packets.map((p) => p.data),
          );
          assert.deepEqual(
            comments,
            packets.map((p) => (pcapng ? p.comment : '')),
          );
          assert.equal(naiveRead(fs.readFileSync(file)).length, packets.length);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('splits a comment too long for one option between its lines, and cuts a line that is too long itself', async () => {
    const file = path.join(dir, 'out');
    const lines = ['a'.repeat(65_535), 'b'.repeat(65_535), '', 'c'.repeat(40_000), 'd'.repeat(40_000)];
    const w = CaptureWriter.create(file, PCAPNG);
    for (const comment of [lines.join('\n'), 'é'.repeat(40_000), `first\n${'y'.repeat(70_000)}`]) {
      w.reserve(0);
      w.commit(0, 0, 1, 2, 0, comment);
    }
    w.close();
    const { comments } = await drain(await CaptureReader.open(file));
    assert.deepEqual(comments, [lines.join('\n'), 'é'.repeat(32_767), `first\n${'y'.repeat(65_535)}`]);
  });

  it('writes comments of the section and of interfaces', async () => {
    const file = path.join(dir, 'out');
    const w = CaptureWriter.create(file, {
      ...PCAPNG,
      comment: 'recorded\nby hand',
      interfaces: [{ linkType: 101, name: 'tun0', comment: 'noisy' }, { linkType: 101 }],
    });
    put(w, packet('a'));
    w.close();
    const { reader } = await drain(await CaptureReader.open(file));
    assert.equal(reader.sectionComment, 'recorded\nby hand');
    assert.deepEqual(
      reader.interfaces.map((face) => [face.name, face.comment]),
      [
        ['tun0', 'noisy'],
        ['', ''],
      ],
    );
  });

  it('writes pcapng time stamps past 2106 exactly', () => {
    const file = path.join(dir, 'out');
    const w = CaptureWriter.create(file, PCAPNG);
    const instants = [4_294_967_296, 9_007_200, 18_446_744_073].flatMap((s) => [
      packet('x', s, 0),
      packet('x', s, 709_551_615),
    ]);
    for (const p of instants) put(w, p);
    w.close();
    assert.deepEqual(naiveRead(fs.readFileSync(file)), instants);
  });

  it('writes several interfaces with their names, also one added later', async () => {
    const file = path.join(dir, 'out');
    const w = CaptureWriter.create(file, {
      ...PCAPNG,
      interfaces: [
        { linkType: 101, name: 'tun0', description: 'consumer' },
        { linkType: 1, snapLength: 96 },
      ],
    });
    put(w, packet('a'), 1);
    assert.equal(w.addInterface({ linkType: 113, name: 'any' }), 2);
    put(w, packet('b'), 2);
    put(w, packet('c'), 0);
    w.close();
    const { packets, reader } = await drain(await CaptureReader.open(file));
    assert.deepEqual(
      packets.map((p) => [p.data.toString(), p.link]),
      [
        ['a', 1],
        ['b', 113],
        ['c', 101],
      ],
    );
    assert.deepEqual(
      reader.interfaces.map((face) => [face.linkType, face.name, face.description, face.snapLength, face.resolution]),
      [
        [101, 'tun0', 'consumer', 262144, 9],
        [1, '', '', 96, 9],
        [113, 'any', '', 262144, 9],
      ],
    );
  });

  it('writes an interface after the packets that were committed before it', async () => {
    const file = path.join(dir, 'out');
    const w = CaptureWriter.create(file, PCAPNG);
    put(w, packet('a'));
    w.addInterface({ linkType: 101, name: 'x'.repeat(70_000) });
    w.close();
    const reader = await CaptureReader.open(file);
    assert.ok(reader.next());
    assert.equal(reader.interfaces.length, 1);
    assert.equal(reader.next(), false);
    assert.deepEqual([reader.interfaces.length, reader.interfaces[1]?.name.length], [2, 65_535]);
    await reader.close();
  });

  it('fills its region to the last octet and no further', () => {
    const file = path.join(dir, 'out');
    for (const format of ['pcap', 'pcapng'] as const) {
      for (let size = 128; size < 136; size++) {
        const slab = Buffer.alloc(size + 8, 0xee);
        const w = CaptureWriter.create(file, { ...PCAP, format, slab, to: size });
        const packets = [packet(''), packet('x'.repeat(w.maxLength)), packet('y'.repeat(w.maxLength - 1)), packet('z')];
        for (const p of packets) put(w, p);
        w.close();
        assert.ok(
          slab.subarray(size).every((octet) => octet === 0xee),
          'wrote behind its region',
        );
        assert.deepEqual(naiveRead(fs.readFileSync(file)), packets);
      }
      const slab = Buffer.alloc(256);
      const w = CaptureWriter.create(file, { ...PCAP, format, slab });
      const first = w.reserve(0);
      w.commit(0, 0, 0, 0);
      const empty = w.reserve(0) - first;
      const full = w.maxLength - empty;
      assert.ok(w.reserve(full) > first, 'wrote out while there was room');
      assert.equal(w.reserve(full + 1), first);
      w.abort();
    }
  });

  it('pads a pcapng block with zeros, whatever the region held', () => {
    const file = path.join(dir, 'out');
    const w = CaptureWriter.create(file, { ...PCAPNG, slab: Buffer.alloc(256, 0xee) });
    put(w, packet('x', 0x01020304, 5));
    w.close();
    const time = 0x01020304n * 1_000_000_000n + 5n;
    const word = (value: bigint): string => {
      const octets = Buffer.alloc(4);
      octets.writeUInt32LE(Number(value & 0xffffffffn));
      return octets.toString('hex');
    };
    assert.equal(
      fs.readFileSync(file).subarray(-36).toString('hex'),
      `060000002400000000000000${word(time >> 32n)}${word(time)}01000000010000007800000024000000`,
    );
  });

  it('refuses a second interface in pcap', () => {
    const w = CaptureWriter.create(path.join(dir, 'out'), PCAP);
    assert.throws(() => w.addInterface({ linkType: 1 }), { code: 'CAPTURE_FORMAT' });
    w.abort();
  });

  it('writes a pcap file octet for octet as the format says', () => {
    const file = path.join(dir, 'out');
    const w = CaptureWriter.create(file, { format: 'pcap', nanoseconds: false, linkType: 113, snapLength: 65535 });
    put(w, packet('xyz', 0x01020304, 5_999));
    w.close();
    assert.equal(
      fs.readFileSync(file).toString('hex'),
      'd4c3b2a1' +
        '02000400' +
        '0000000000000000' +
        'ffff0000' +
        '71000000' +
        '04030201' +
        '05000000' +
        '0300000003000000' +
        '78797a',
    );
  });

  it('forgets a packet that was reserved and not committed', () => {
    const file = path.join(dir, 'out');
    const w = CaptureWriter.create(file, PCAPNG);
    w.slab.fill(0x61, w.reserve(10), w.reserve(10) + 10);
    put(w, packet('kept'));
    w.slab.fill(0x62, w.reserve(10), w.reserve(10) + 10);
    w.close();
    assert.deepEqual(naiveRead(fs.readFileSync(file)), [packet('kept')]);
  });

  it('refuses a packet that its region can never hold, and writes the others', () => {
    const file = path.join(dir, 'out');
    const w = CaptureWriter.create(file, { ...PCAP, slab: Buffer.alloc(100) });
    put(w, packet('x'.repeat(w.maxLength)));
    assert.throws(() => w.reserve(w.maxLength + 1), { code: 'CAPTURE_RECORD_TOO_LARGE' });
    put(w, packet('y'));
    w.close();
    assert.equal(naiveRead(fs.readFileSync(file)).length, 2);
  });

  it('shows the file under its name only when it is closed', () => {
    const file = path.join(dir, 'out.pcap');
    fs.writeFileSync(file, 'before');
    const w = CaptureWriter.create(file, { ...PCAP, slab: Buffer.alloc(128) });
    for (let i = 0; i < 10; i++) put(w, packet('x'.repeat(60)));
    assert.equal(fs.readFileSync(file, 'utf8'), 'before');
    assert.deepEqual(fs.readdirSync(dir).sort(), [`.out.pcap.partial-${String(process.pid)}`, 'out.pcap']);
    w.close();
    assert.deepEqual(fs.readdirSync(dir), ['out.pcap']);
    assert.equal(naiveRead(fs.readFileSync(file)).length, 10);
  });

  it('leaves what was there before when it is aborted, and nothing else', () => {
    const file = path.join(dir, 'out.pcap');
    fs.writeFileSync(file, 'before');
    const w = CaptureWriter.create(file, { ...PCAP, slab: Buffer.alloc(128) });
    for (let i = 0; i < 10; i++) put(w, packet('x'.repeat(60)));
    w.abort();
    w.close();
    assert.deepEqual(fs.readdirSync(dir), ['out.pcap']);
    assert.equal(fs.readFileSync(file, 'utf8'), 'before');
    assert.throws(
      () => {
        for (let i = 0; i < 10; i++) put(w, packet('x'.repeat(60)));
      },
      { code: 'CAPTURE_CLOSED' },
    );
  });

  it('replaces the file that a symbolic link names, not the link', () => {
    const real = path.join(dir, 'real.pcap');
    const alias = path.join(dir, 'alias.pcap');
    fs.writeFileSync(real, 'before');
    fs.symlinkSync('real.pcap', alias);
    const w = CaptureWriter.create(alias, PCAP);
    w.close();
    assert.ok(fs.lstatSync(alias).isSymbolicLink());
    assert.equal(fs.readFileSync(real).length, 24);
  });

  it('takes over the leavings of a crash, but not a file it is still writing', () => {
    const file = path.join(dir, 'out');
    fs.writeFileSync(path.join(dir, `.out.partial-${String(process.pid)}`), 'leavings');
    const w = CaptureWriter.create(file, PCAP);
    assert.throws(() => CaptureWriter.create(file, PCAP), { code: 'CAPTURE_NOT_WRITABLE' });
    w.close();
    CaptureWriter.create(file, PCAP).close();
    assert.equal(fs.readFileSync(file).length, 24);
  });

  it('tells by codes why it cannot write', () => {
    assert.throws(() => CaptureWriter.create(path.join(dir, 'none', 'out'), PCAP), { code: 'CAPTURE_NOT_WRITABLE' });
    assert.throws(() => CaptureWriter.create(dir, PCAP), { code: 'CAPTURE_NOT_WRITABLE' });
    assert.throws(() => CaptureWriter.create(path.join(dir, 'x'.repeat(255)), PCAP), { code: 'CAPTURE_NOT_WRITABLE' });
    assert.throws(() => CaptureWriter.create(path.join(dir, 'out'), { ...PCAP, slab: Buffer.alloc(63) }), {
      code: 'CAPTURE_REGION',
    });
    assert.deepEqual(fs.readdirSync(dir), []);
  });

  it('writes to a device as it is, and says when there is no space left', () => {
    const null_ = CaptureWriter.create('/dev/null', PCAP);
    put(null_, packet('x'));
    null_.close();
    assert.ok(!fs.statSync('/dev/null').isFile());
    if (!fs.existsSync('/dev/full')) return;
    assert.throws(() => CaptureWriter.create('/dev/full', PCAP), { code: 'CAPTURE_NO_SPACE' });
  });

  it('writes to a named pipe as it is', async () => {
    const fifo = path.join(dir, 'fifo');
    execFileSync('sh', ['-c', 'mkfifo "$0"', fifo]);
    const cat = spawn('cat', [fifo], { stdio: ['ignore', 'pipe', 'inherit'] });
    const chunks: Buffer[] = [];
    cat.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    const ended = new Promise((resolve) => cat.on('close', resolve));
    const w = CaptureWriter.create(fifo, { ...PCAP, slab: Buffer.alloc(128) });
    for (let i = 0; i < 100; i++) put(w, packet(String(i)));
    w.close();
    await ended;
    assert.equal(naiveRead(Buffer.concat(chunks)).length, 100);
    assert.deepEqual(fs.readdirSync(dir), ['fifo']);
  });

  const WRITE_TO_STDOUT = `
    import { CaptureWriter } from ${JSON.stringify(LIBRARY)};
    const w = CaptureWriter.create('-', { format: 'pcap', nanoseconds: false, linkType: 1 });
    try {
      for (let i = 0; i < 200000; i++) { w.reserve(100); w.commit(100, 100, i, 0); }
      w.close();
    } catch (error) { process.stderr.write(error.code); process.exit(7); }`;

  it('writes all to standard output, however slowly it is read', () => {
    const result = spawnSync(
      'sh',
      ['-c', '"$0" --input-type=module -e "$1" | { sleep 0.2; cat; }', process.execPath, WRITE_TO_STDOUT],
      {
        maxBuffer: 64 * 1024 * 1024,
      },
    );
    assert.equal(result.stdout.length, 24 + 200000 * 116);
    assert.equal(result.stderr.toString(), '');
  });

  it('waits for a slow reader of a non-blocking standard output', async () => {
    // A stream that Node itself has opened on a pipe is non-blocking.
    const script = `import 'node:process'; process.stdout.write(''); process.stdout._handle?.setBlocking?.(false);${WRITE_TO_STDOUT}`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'pipe'] });
    let count = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      count += chunk.length;
      child.stdout.pause();
      setTimeout(() => child.stdout.resume(), 1);
    });
    await new Promise((resolve) => child.on('close', resolve));
    assert.equal(count, 24 + 200000 * 116);
  });

  it('leaves nothing when the space runs out on the way, and says so again on closing', () => {
    const script = `
      import { CaptureWriter } from ${JSON.stringify(LIBRARY)};
      const w = CaptureWriter.create('out.pcap', { format: 'pcap', nanoseconds: false, linkType: 1, slab: Buffer.alloc(4096) });
      const codes = [];
      try { for (;;) { w.reserve(100); w.commit(100, 100, 0, 0); } } catch (error) { codes.push(error.code); }
      try { w.close(); } catch (error) { codes.push(error.code); }
      process.stdout.write(codes.join());`;
    const result = spawnSync(
      'sh',
      ['-c', 'ulimit -f 64; exec "$0" --input-type=module -e "$1"', process.execPath, script],
      { encoding: 'utf8', cwd: dir },
    );
    assert.equal(result.stdout, 'CAPTURE_NO_SPACE,CAPTURE_NO_SPACE');
    assert.deepEqual(fs.readdirSync(dir), []);
  });

  it('says when the reader of the pipe has gone', () => {
    const result = spawnSync(
      'sh',
      ['-c', '{ "$0" --input-type=module -e "$1"; echo ":$?" >&2; } | head -c 10', process.execPath, WRITE_TO_STDOUT],
      { encoding: 'utf8' },
    );
    assert.equal(result.stderr.trim(), 'CAPTURE_PIPE_CLOSED:7');
  });
});
