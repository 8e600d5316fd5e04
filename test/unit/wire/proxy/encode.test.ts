import assert from 'node:assert/strict';
import type { ProxyHeaderInit } from '../../../../src/wire/proxy/index.js';
import {
  azureLinkId,
  azureLinkIdTlv,
  encode,
  encodeV1,
  headerTemplate,
  noopTlv,
  sealTemplate,
  TEMPLATE_SOURCE_ADDRESS,
  TEMPLATE_SOURCE_PORT,
  TLV,
} from '../../../../src/wire/proxy/index.js';
import { hex, INET_BLOCK, v2, whole } from './support.js';

const tcp = {
  command: 'PROXY',
  family: 'inet',
  transport: 'stream',
  source: { address: '10.0.0.5', port: 40000 },
  destination: { address: '10.9.0.4', port: 443 },
} as const;

const AZURE_VECTOR = hex('0d0a0d0a000d0a515549540a 21 11 0014 0a000005 0a090004 9c40 01bb ee 0005 01 1d570020');

describe('PROXY encoding', () => {
  it('gives the header of Azure Private Link, LINKID little-endian', () => {
    const octets = encode({ ...tcp, tlvs: [azureLinkIdTlv(536893213)] });
    assert.deepEqual(octets, AZURE_VECTOR);
    assert.equal(azureLinkId(whole(octets)), 536893213);
    assert.deepEqual(azureLinkIdTlv(0x2000531d).value, hex('01 1d530020'));
  });

  it('writes every family', () => {
    const v6 = { address: '2001:db8::1', port: 1 };
    const inet6: ProxyHeaderInit = { ...tcp, family: 'inet6', transport: 'dgram', source: v6, destination: v6 };
    const address = '20010db8000000000000000000000001';
    assert.deepEqual(encode(inet6), v2(0x21, 0x22, `${address} ${address} 0001 0001`));

    const paths = Buffer.alloc(216);
    paths.write('/a', 0);
    paths.write('\0b', 108);
    const unix: ProxyHeaderInit = {
      command: 'PROXY',
      family: 'unix',
      transport: 'stream',
      source: { path: Buffer.from('/a') },
      destination: { path: Buffer.from('\0b') },
    };
    assert.deepEqual(encode(unix), v2(0x21, 0x31, paths));
    const full = { path: Buffer.alloc(108, 0x61) };
    assert.deepEqual(encode({ ...unix, source: full, destination: full }), v2(0x21, 0x31, Buffer.alloc(216, 0x61)));

    const unspec = { family: 'unspec', transport: 'unspec' } as const;
    assert.deepEqual(encode({ command: 'PROXY', ...unspec }), v2(0x21, 0x00));
    assert.deepEqual(encode({ command: 'LOCAL', ...unspec, tlvs: [noopTlv(1)] }), v2(0x20, 0x00, '04 0001 00'));
  });

  it('appends a CRC32C of the header with its own value zero', () => {
    // The sum was computed by a bitwise CRC32C over the header below, apart from this library.
    const octets = encode(tcp, { crc32c: true });
    assert.deepEqual(octets, v2(0x21, 0x11, `${INET_BLOCK} 03 0004 520e3e36`));
  });

  it('computes a CRC32C that is among the TLVs in its place', () => {
    const tlvs = [{ type: TLV.CRC32C, value: hex('deadbeef') }, noopTlv(0)];
    for (const options of [{}, { crc32c: true }]) {
      const header = whole(encode({ ...tcp, tlvs }, options));
      assert.deepEqual(
        header.tlvs.map(({ type, offset }) => [type, offset]),
        [
          [TLV.CRC32C, 28],
          [TLV.NOOP, 35],
        ],
      );
    }
  });

  it('pads to a multiple by a NOOP, which takes three octets at the least', () => {
    for (let octets = 0; octets < 16; octets++) {
      const plain = encode({ ...tcp, tlvs: [noopTlv(octets)] }).length;
      const padded = encode({ ...tcp, tlvs: [noopTlv(octets)] }, { alignTo: 8 });
      assert.equal(padded.length % 8, 0);
      assert.ok(padded.length - plain < 8 + 3);
      assert.equal(whole(padded).tlvs.length, plain % 8 === 0 ? 1 : 2);
    }
  });

  it('pads to 4096 octets at the most', () => {
    assert.equal(encode(tcp, { alignTo: 4096 }).length, 4096);
    assert.equal(encode(tcp, { alignTo: 1 }).length, 28);
  });

  it('writes version 1 lines', () => {
    assert.equal(encodeV1(tcp).toString(), 'PROXY TCP4 10.0.0.5 10.9.0.4 40000 443\r\n');
    const v6 = { address: '2001:DB8:0::1', port: 1 };
    const inet6: ProxyHeaderInit = { ...tcp, family: 'inet6', source: v6, destination: v6 };
    assert.equal(encodeV1(inet6).toString(), 'PROXY TCP6 2001:db8::1 2001:db8::1 1 1\r\n');
    const local = { command: 'LOCAL', family: 'unspec', transport: 'unspec' } as const;
    assert.equal(encodeV1(local).toString(), 'PROXY UNKNOWN\r\n');
  });
});

describe('PROXY header templates', () => {
  const destination = 0x0a090004;

  it('become the Azure header when the source is written at its place', () => {
    const { octets, crcOffset } = headerTemplate({ kind: 'azure', linkId: 536893213 }, destination, 443);
    assert.equal(crcOffset, -1);
    octets.writeUInt32BE(0x0a000005, TEMPLATE_SOURCE_ADDRESS);
    octets.writeUInt16BE(40000, TEMPLATE_SOURCE_PORT);
    sealTemplate(octets, 0, octets.length, crcOffset);
    assert.deepEqual(octets, AZURE_VECTOR);
  });

  it('carry the AWS endpoint id', () => {
    const { octets } = headerTemplate({ kind: 'aws', endpointId: 'vpce-08d2bf15fac5001c9' }, destination, 443);
    const id = Buffer.from('vpce-08d2bf15fac5001c9').toString('hex');
    assert.deepEqual(octets, v2(0x21, 0x11, `00000000 0a090004 0000 01bb ea 0017 01 ${id}`));
  });

  it('carry the GCP connection id in network order', () => {
    const { octets } = headerTemplate({ kind: 'gcp', pscConnectionId: 0x0102030405060708n }, destination, 443);
    assert.deepEqual(octets, v2(0x21, 0x11, '00000000 0a090004 0000 01bb e0 0008 0102030405060708'));
  });

  it('take any address and port', () => {
    const dialect = { kind: 'azure', linkId: 0 } as const;
    assert.equal(headerTemplate(dialect, 0, 0).octets.toString('hex', 20, 28), '0000000000000000');
    assert.equal(headerTemplate(dialect, 0xffffffff, 0xffff).octets.toString('hex', 20, 28), 'ffffffff0000ffff');
    assert.equal(headerTemplate({ kind: 'custom', tlvs: [], crc32c: true }, 0, 0xffff).crcOffset, 31);
  });

  it('are sealed in place, at any offset, touching nothing else', () => {
    const dialect = { kind: 'custom', tlvs: [noopTlv(2), azureLinkIdTlv(7)], crc32c: true, alignTo: 32 } as const;
    const { octets, crcOffset } = headerTemplate(dialect, destination, 443);
    assert.equal(octets.length % 32, 0);
    const slab = Buffer.alloc(octets.length + 20, 0xaa);
    octets.copy(slab, 13);
    slab.writeUInt32BE(0x0a000005, 13 + TEMPLATE_SOURCE_ADDRESS);
    slab.writeUInt16BE(40000, 13 + TEMPLATE_SOURCE_PORT);
    assert.throws(() => whole(slab.subarray(13, 13 + octets.length)));
    sealTemplate(slab, 13, octets.length, crcOffset);
    const tlvs = whole(octets).tlvs;
    assert.deepEqual(slab.subarray(13, 13 + octets.length), encode({ ...tcp, tlvs }));
    assert.ok([...slab.subarray(0, 13), ...slab.subarray(13 + octets.length)].every((octet) => octet === 0xaa));
  });

  it('may be sealed again and again', () => {
    const { octets, crcOffset } = headerTemplate({ kind: 'custom', tlvs: [], crc32c: true }, destination, 443);
    for (let port = 0; port < 65536; port += 4099) {
      octets.writeUInt16BE(port, TEMPLATE_SOURCE_PORT);
      sealTemplate(octets, 0, octets.length, crcOffset);
      const header = whole(octets);
      assert.equal(header.family === 'inet' && header.source.port, port);
    }
  });

  it('are sealed without allocation', () => {
    const { octets, crcOffset } = headerTemplate({ kind: 'custom', tlvs: [], crc32c: true }, destination, 443);
    const seal = (i: number): void => {
      octets[TEMPLATE_SOURCE_PORT + 1] = i & 0xff;
      sealTemplate(octets, 0, octets.length, crcOffset);
    };
    const control = (i: number): void => {
      seal(i);
      kept = octets.subarray(crcOffset, crcOffset + 4);
    };
    let kept = octets;
    assert.ok(octetsPerCall(seal, 0.5)[0]! < 0.5);
    const passes = octetsPerCall(control);
    assert.ok(passes[passes.length >> 1]! > 50, `the control allocates: ${kept.length}`);
  });
});

/**
 * Heap octets that one call takes, of some rounds, the least first. The engine itself allocates, and more until all is
 * compiled: there are more rounds until one takes less than `enough`, if that is given.
 */
function octetsPerCall(run: (i: number) => void, enough = Infinity): number[] {
  const calls = 20_000; // few enough that what the control leaves is not collected in between
  const rounds: number[] = [];
  for (let round = 0; round < 8 || (round < 200 && !rounds.some((used) => used < enough)); round++) {
    globalThis.gc?.();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < calls; i++) run(i);
    const used = process.memoryUsage().heapUsed - before;
    if (used >= 0) rounds.push(used / calls);
  }
  return rounds.sort((a, b) => a - b);
}
