import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { CaptureReader } from '../../../src/capture/reader.js';
import { size } from '../../../src/cli/capture-flags.js';
import { CaptureOutput, numbered, type RotateFlags } from '../../../src/cli/capture-output.js';

const PACKET = Buffer.alloc(1000, 0x45);

describe('where captures are written', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-capture-'))));
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const open = (flags: RotateFlags = {}, format: 'pcap' | 'pcapng' = 'pcapng'): CaptureOutput => {
    const output = new CaptureOutput({
      ...{ file: path.join(folder, `c.${format}`), format, linkType: 101, snapLength: 2000 },
      ...flags,
    });
    output.addInterface({ linkType: 101, name: 'eth7' });
    return output;
  };

  async function packetsOf(file: string): Promise<number> {
    const reader = await CaptureReader.open(path.join(folder, file));
    let n = 0;
    do {
      while (reader.next()) {
        assert.deepEqual(reader.slab.subarray(reader.offset, reader.offset + reader.capturedLength), PACKET);
        if (reader.interfaces[0]!.name !== '') assert.equal(reader.interfaces[reader.interfaceIndex]!.name, 'eth7');
        n++;
      }
    } while (await reader.fill());
    await reader.close();
    return n;
  }

  const write = (output: CaptureOutput, seconds: number): void =>
    output.write(PACKET, 0, PACKET.length, PACKET.length, seconds, 0);

  for (const format of ['pcap', 'pcapng'] as const) {
    it(`is one file, as ${format}`, async () => {
      const output = open({}, format);
      for (let i = 0; i < 5; i++) write(output, i);
      output.close();
      assert.deepEqual(readdirSync(folder), [`c.${format}`]);
      assert.equal(await packetsOf(`c.${format}`), 5);
      assert.equal(output.packets, 5);
    });
  }

  it('is another file when one is full, each whole and with its interfaces', async () => {
    const output = open({ rotateSize: 2500 });
    for (let i = 0; i < 5; i++) write(output, i);
    output.close();
    assert.deepEqual(readdirSync(folder).sort(), ['c-00001.pcapng', 'c-00002.pcapng', 'c-00003.pcapng']);
    assert.deepEqual(await Promise.all(readdirSync(folder).sort().map(packetsOf)), [2, 2, 1]);
  });

  it('is another file after some time, by the packets’ own clock', async () => {
    const output = open({ rotateTime: 10 });
    for (const seconds of [100, 109, 110, 115, 300]) write(output, seconds);
    output.close();
    assert.deepEqual(await Promise.all(readdirSync(folder).sort().map(packetsOf)), [2, 2, 1]);
  });

  it('keeps the newest files alone, and touches no others', async () => {
    writeFileSync(path.join(folder, 'other.pcapng'), '');
    const output = open({ rotateSize: 1024, rotateCount: 2 });
    for (let i = 0; i < 6; i++) write(output, i);
    output.close();
    assert.deepEqual(readdirSync(folder).sort(), ['c-00005.pcapng', 'c-00006.pcapng', 'other.pcapng']);
    assert.equal(await packetsOf('c-00006.pcapng'), 1, 'a packet that is larger than a file may be has one of its own');
  });

  it('leaves no half file when it is aborted, and those that are whole', () => {
    const output = open({ rotateSize: 1024 });
    for (let i = 0; i < 2; i++) write(output, i);
    output.abort();
    assert.deepEqual(readdirSync(folder), ['c-00001.pcapng']);
  });

  it('numbers names before their ending', () => {
    assert.equal(numbered('a/b.c/name.pcap', 7), 'a/b.c/name-00007.pcap');
    assert.equal(numbered('name', 123456), 'name-123456');
  });

  it('reads sizes', () => {
    assert.deepEqual(['1024', '500K', '10m', '2G'].map(size), [1024, 512_000, 10 << 20, 2 * 2 ** 30]);
    for (const wrong of ['', '0', '1023', '10X', '-5', '1.5M', 'K']) assert.throws(() => size(wrong), /octets/, wrong);
  });
});
