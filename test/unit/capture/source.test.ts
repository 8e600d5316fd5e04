import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { CaptureReader, StreamSource } from '../../../src/capture/index.js';
import type { CaptureSource } from '../../../src/capture/index.js';
import { buildPcap, drain, naiveRead, readOctets } from './naive.js';

const LIBRARY = fileURLToPath(new URL('../../../src/capture/index.js', import.meta.url));

/** Packets whose octets do not compress away. */
function bigPcap(count: number): Buffer {
  let state = 1;
  const packets = Array.from({ length: count }, (_, i) => {
    const data = Buffer.alloc(200);
    for (let at = 0; at < data.length; at++) {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      data[at] = state >>> 24;
    }
    return { seconds: i, fraction: i, data };
  });
  return buildPcap({ little: true, magic: 0xa1b2c3d4 }, packets);
}

describe('where captures come from', () => {
  let dir = '';
  before(() => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), 'culvert-source-'));
  });
  after(() => {
    fs.rmSync(dir, { recursive: true, force: true });
  });
  const write = (name: string, octets: Uint8Array): string => {
    const file = path.join(dir, name);
    fs.writeFileSync(file, octets);
    return file;
  };

  it('reads a file larger than its region, and tells how far it is', async () => {
    const octets = bigPcap(2000);
    const reader = await CaptureReader.open(write('big.pcap', octets), { slab: Buffer.alloc(4096) });
    assert.equal(reader.size, octets.length);
    assert.ok(reader.octetsRead <= 4096);
    const { packets } = await drain(reader);
    assert.deepEqual(packets, naiveRead(octets));
    assert.equal(reader.octetsRead, octets.length);
  });

  it('reads gzip, told by content, whatever the region', async () => {
    const octets = bigPcap(3000);
    const zipped = gzipSync(octets);
    for (const size of [300, 5000, 1 << 20]) {
      const reader = await CaptureReader.open(write('zipped.pcap', zipped), { slab: Buffer.alloc(size) });
      const { packets } = await drain(reader);
      assert.deepEqual(packets, naiveRead(octets));
      assert.equal(reader.warning, null);
      assert.equal(reader.octetsRead, zipped.length);
    }
  });

  it('reads gzip members one after the other, split anywhere', async () => {
    const octets = bigPcap(20);
    const zipped = Buffer.concat([
      gzipSync(octets.subarray(0, 3)),
      gzipSync(octets.subarray(3, 1000)),
      gzipSync(Buffer.alloc(0)),
      gzipSync(octets.subarray(1000)),
    ]);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 5 }), async (sizes) => {
        const { packets, reader } = await readOctets(zipped, {}, sizes);
        assert.deepEqual(packets, naiveRead(octets));
        assert.equal(reader.warning, null);
      }),
      { numRuns: 40 },
    );
  });

  it('gives what came before the cut of a gzip file, and warns', async () => {
    const octets = bigPcap(3000);
    const zipped = gzipSync(octets);
    const { packets, reader } = await readOctets(zipped.subarray(0, zipped.length - 1000));
    assert.equal(reader.warning?.code, 'CAPTURE_TRUNCATED');
    assert.match(reader.warning.message, /gzip/);
    assert.ok(packets.length >= 2980 && packets.length < 3000, `${String(packets.length)} packets`);
    assert.deepEqual(packets, naiveRead(octets).slice(0, packets.length));
  });

  it('gives what a small gzip file cut at any octet holds, and never ends silently', async () => {
    const octets = bigPcap(3);
    const zipped = gzipSync(octets);
    for (let length = 2; length < zipped.length; length += 7) {
      try {
        const { packets, reader } = await readOctets(zipped.subarray(0, length));
        assert.equal(reader.warning?.code, 'CAPTURE_TRUNCATED');
        assert.deepEqual(packets, naiveRead(octets).slice(0, packets.length));
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'CAPTURE_TRUNCATED');
      }
    }
  });

  it('warns of damaged gzip data after most of what came before', async () => {
    const zipped = gzipSync(bigPcap(5000));
    zipped.fill(0xff, zipped.length - 5000, zipped.length - 4000);
    const { packets, reader } = await readOctets(zipped);
    assert.equal(reader.warning?.code, 'CAPTURE_CORRUPT');
    assert.ok(packets.length > 4000, `${String(packets.length)} packets`);
  });

  it('tells by codes why a file cannot be read', async () => {
    const cases: readonly (readonly [file: string, code: string])[] = [
      [path.join(dir, 'nowhere.pcap'), 'CAPTURE_NOT_FOUND'],
      [path.join(write('plain', Buffer.from('x')), 'below.pcap'), 'CAPTURE_NOT_FOUND'],
      [dir, 'CAPTURE_IS_DIRECTORY'],
      [write('empty', Buffer.alloc(0)), 'CAPTURE_EMPTY'],
      [write('empty.gz', gzipSync(Buffer.alloc(0))), 'CAPTURE_EMPTY'],
      [write('text.txt', Buffer.from('hello, this is text\n')), 'CAPTURE_NOT_A_CAPTURE'],
      [write('text.gz', gzipSync(Buffer.from('hello'))), 'CAPTURE_NOT_A_CAPTURE'],
      [write('short', Buffer.from('d4c3b2', 'hex')), 'CAPTURE_NOT_A_CAPTURE'],
      [write('cut.gz', gzipSync(bigPcap(1)).subarray(0, 12)), 'CAPTURE_TRUNCATED'],
    ];
    for (const [file, code] of cases) {
      await assert.rejects(CaptureReader.open(file), { name: 'CulvertError', code, place: { file } });
    }
  });

  it('says what a file is that is no capture, when it can', async () => {
    await assert.rejects(CaptureReader.open(write('t', Buffer.from('some text'))), /it is text/);
    await assert.rejects(CaptureReader.open(write('z', Buffer.from('28b52ffd00000000', 'hex'))), /zstd/);
    await assert.rejects(CaptureReader.open(write('b', Buffer.from('01020304', 'hex'))), /begins with 01020304/);
  });

  it('reads a capture with no packet', async () => {
    const { packets, reader } = await drain(await CaptureReader.open(write('none.pcap', bigPcap(0))));
    assert.deepEqual([packets.length, reader.warning], [0, null]);
  });

  it('ends with a warning when its stream fails, after what came before', async () => {
    const octets = bigPcap(5);
    function* failing(): Generator<Buffer> {
      yield octets;
      throw new Error('cable cut');
    }
    const source = new StreamSource(Readable.from(failing()), 'stream');
    const { packets, reader } = await drain(
      await CaptureReader.fromSource(source, 'stream', { slab: Buffer.alloc(500) }),
    );
    assert.equal(packets.length, 5);
    assert.equal(reader.warning?.code, 'CAPTURE_UNREADABLE');
  });

  it('closes what it was given when that is no capture', async () => {
    let closed = 0;
    const source: CaptureSource = {
      octetsRead: 0,
      size: 0,
      read: () => Promise.resolve(0),
      close: () => {
        closed++;
        return Promise.resolve();
      },
    };
    await assert.rejects(CaptureReader.fromSource(source, 'source'), { code: 'CAPTURE_EMPTY' });
    assert.equal(closed, 1);
  });

  it('refuses a region that is too small or not inside its slab', async () => {
    const slab = Buffer.alloc(200);
    for (const [from, to] of [
      [0, 63],
      [0, 201],
      [-1, 100],
      [100, 20],
      [0.5, 100.5],
    ] as const) {
      await assert.rejects(CaptureReader.open(write('r.pcap', bigPcap(0)), { slab, from, to }), {
        code: 'CAPTURE_REGION',
      });
    }
  });

  it('refuses a stream of text', async () => {
    const source = new StreamSource(Readable.from(['text']), 'stream');
    await assert.rejects(CaptureReader.fromSource(source, 'stream'), { code: 'CAPTURE_UNREADABLE' });
  });

  const COUNT = `
    import { CaptureReader } from ${JSON.stringify(LIBRARY)};
    try {
      const r = await CaptureReader.open('-');
      do while (r.next()); while (await r.fill());
      await r.close();
      process.stdout.write(r.frame + ' ' + (r.warning?.code ?? 'whole') + ' ' + r.size);
    } catch (error) { process.stdout.write(error.code); }`;
  const count = (redirect: string): string =>
    spawnSync('sh', ['-c', redirect.replace('READ', '"$0" --input-type=module -e "$1"'), process.execPath, COUNT], {
      encoding: 'utf8',
      cwd: dir,
    }).stdout;

  it('reads standard input: a pipe, a file, gzip, a slow writer, nothing, a directory', () => {
    const octets = bigPcap(2000);
    write('in.pcap', octets);
    write('in.pcap.gz', gzipSync(octets));
    assert.equal(count('cat in.pcap | READ'), '2000 whole -1');
    assert.equal(count('READ < in.pcap'), `2000 whole ${String(octets.length)}`);
    assert.equal(count('cat in.pcap.gz | READ'), '2000 whole -1');
    assert.equal(count('{ head -c 1 in.pcap; sleep 0.1; tail -c +2 in.pcap; } | READ'), '2000 whole -1');
    assert.equal(count('head -c 1000 in.pcap | READ'), '4 CAPTURE_TRUNCATED -1');
    assert.equal(count('READ < /dev/null'), 'CAPTURE_EMPTY');
    assert.equal(count('READ < .'), 'CAPTURE_IS_DIRECTORY');
  });
});
