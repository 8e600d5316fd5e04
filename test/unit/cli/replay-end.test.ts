/** How `culvert replay` ends: what it has to say is out before it does, also where its reader is slow. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CaptureWriter } from '../../../src/capture/index.js';
import { LINK_RAW } from '../../../src/wire/link.js';
import { commandFile, start } from '../../cli/command.js';
import { repositoryRoot } from '../../support/machine.js';
import { udpPacket } from '../../support/packets.js';

const SERVERS = 2000;
/** Octets that a pipe holds, as Linux makes it. */
const PIPE = 65536;

describe('culvert replay: the end', () => {
  let dir = '';
  before(() => {
    dir = mkdtempSync(path.join(os.tmpdir(), 'culvert-end-'));
  });
  after(() => {
    rmSync(dir, { recursive: true, force: true });
  });

  it('writes all of a report that is longer than a pipe holds, to a reader that takes its time', async () => {
    const input = path.join(dir, 'in.pcap');
    const w = CaptureWriter.create(input, { format: 'pcap', nanoseconds: false, linkType: LINK_RAW });
    for (let i = 0; i < SERVERS; i++) {
      const dst = `10.9.${String(i >> 8)}.${String(i & 255)}`;
      const packet = udpPacket({ src: '10.0.0.5', dst, sport: 4000, dport: 53, payload: 'who is there' });
      packet.copy(w.slab, w.reserve(packet.length));
      w.commit(packet.length, packet.length, 1_700_000_000, i * 1000);
    }
    w.close();
    const run = start(['replay', input, '--adopt', '--json']);
    run.process.stdout!.pause();
    await sleep(1000);
    run.process.stdout!.resume();
    const { code, stdout, stderr } = await run.ended;
    assert.equal(code, 0, stderr);
    assert.ok(stdout.length > 2 * PIPE, `a report of ${String(stdout.length)} octets proves nothing`);
    const report = JSON.parse(stdout.toString('utf8')) as { services: unknown[] };
    assert.equal(report.services.length, SERVERS);
  });

  it('says that a report could not be written, to a full disk for example', () => {
    const full = openSync('/dev/full', 'w');
    const input = path.join(repositoryRoot, 'fixtures', 'loss-reorder', 'in.pcap');
    const { status, stderr } = spawnSync(process.execPath, [commandFile, 'replay', input, '--adopt', '--json'], {
      stdio: ['ignore', full, 'pipe'],
      encoding: 'utf8',
    });
    closeSync(full);
    assert.match(stderr, /CAPTURE_WRITE_FAILED: standard output: .*ENOSPC/);
    assert.equal(status, 6);
  });
});
