/** Over real captures, when they are at hand: beside the repository, or where CULVERT_SHARED says. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { CaptureReader } from '../../../src/capture/index.js';
import { locateIpv4 } from '../../../src/wire/link.js';
import { needsShared, sharedDirectory } from '../../support/machine.js';
import { drain, naiveRead } from './naive.js';

interface Manifest {
  readonly captures: readonly {
    readonly file: string;
    readonly packets: number;
    readonly ipv4: number;
    readonly file_errors: readonly string[];
  }[];
}

const folder = path.join(sharedDirectory(), 'captures');
const manifestFile = path.join(folder, 'manifest.json');

describe('real captures', () => {
  if (!fs.existsSync(manifestFile)) {
    it('are read like their manifest says', function () {
      needsShared(this, path.join('captures', 'manifest.json'));
    });
    return;
  }
  const { captures } = JSON.parse(fs.readFileSync(manifestFile, 'utf8')) as Manifest;
  for (const { file, packets: packetCount, ipv4, file_errors: errors } of captures) {
    it(`reads ${file} like the manifest and the plain reader say`, async () => {
      const name = path.join(folder, file);
      const expected = naiveRead(fs.readFileSync(name));
      const { packets, reader } = await drain(await CaptureReader.open(name));
      assert.equal(packets.length, packetCount);
      let found = 0;
      for (const { link, data } of packets) if (locateIpv4(link, data, 0, data.length) >= 0) found++;
      assert.equal(found, ipv4, 'IPv4 packets');
      assert.equal(reader.warning !== null, errors.includes('trunc_record'), reader.warning?.message);
      assert.equal(packets.length, expected.length);
      for (const [i, packet] of packets.entries()) {
        const other = expected[i]!;
        assert.ok(packet.data.equals(other.data), `octets of frame ${String(i + 1)}`);
        assert.deepEqual({ ...packet, data: 0 }, { ...other, data: 0 }, `frame ${String(i + 1)}`);
      }
    });
  }
});
