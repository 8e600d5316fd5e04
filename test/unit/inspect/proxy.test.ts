import assert from 'node:assert/strict';
import { ProxyFinder } from '../../../src/inspect/proxy-finder.js';
import { TwoGenerations } from '../../../src/inspect/two-generations.js';
import { encode, TLV } from '../../../src/wire/proxy/index.js';
import { ACK, PSH, SYN, tcpPacket, type TcpFields } from '../../support/packets.js';
import { inspectJson, inspectPackets } from './run.js';

// The vector of the Azure dialect: LINKID 536893213 in little-endian order.
const AZURE = Buffer.from('0d0a0d0a000d0a515549540a211100140a0000050a0900049c4001bbee0005011d570020', 'hex');
const ENDS = { src: '198.18.0.6', dst: '198.19.0.1', sport: 14000, dport: 443 };
const ISN = 0xffffffff - 20; // the header crosses the wrap
const client = (fields: Partial<TcpFields>): Buffer => tcpPacket({ ...ENDS, ...fields });
const syn = client({ flags: SYN, seq: ISN });
const data = (from: number, payload: Uint8Array | string): Buffer =>
  client({ seq: ISN + from, flags: PSH | ACK, payload });

describe('inspect: PROXY headers', () => {
  it('shows a version 2 header with its LINKID', async () => {
    const { lines } = await inspectPackets([syn, data(1, AZURE)]);
    assert.match(lines[1]!, / \| PROXY v2 10\.0\.0\.5:40000 > 10\.9\.0\.4:443 LINKID 536893213$/);
    const [, json] = await inspectJson([syn, data(1, AZURE)]);
    assert.equal(json!.proxy!.linkId, 536893213);
    assert.equal(json!.proxy!.length, 36);
  });

  it('shows a version 1 header', async () => {
    const { lines } = await inspectPackets([syn, data(1, 'PROXY TCP4 10.0.0.5 10.9.0.4 40000 443\r\nGET /')]);
    assert.match(lines[1]!, /\| PROXY v1 10\.0\.0\.5:40000 > 10\.9\.0\.4:443$/);
  });

  it('shows it whole when it came in pieces, in the segment that ends it', async () => {
    const { lines } = await inspectPackets([
      syn,
      data(1, AZURE.subarray(0, 5)),
      data(6, AZURE.subarray(5, 20)),
      data(21, Buffer.concat([AZURE.subarray(20), Buffer.from('GET /')])),
    ]);
    assert.doesNotMatch(lines.slice(0, 3).join(), /PROXY/);
    assert.match(lines[3]!, /\| PROXY v2 .* LINKID 536893213$/);
  });

  it('does not join pieces that do not follow each other', async () => {
    const { lines } = await inspectPackets([syn, data(1, AZURE.subarray(0, 5)), data(10, AZURE.subarray(5))]);
    assert.doesNotMatch(lines.join(), /PROXY/);
  });

  it('shows one sent again, and counts it once', async () => {
    const packets = [syn, data(1, AZURE), data(1, AZURE)];
    const { lines } = await inspectPackets(packets);
    assert.match(lines[2]!, /\| PROXY v2 .* ! retransmission$/);
    const { lines: stats } = await inspectPackets(packets, { mode: { kind: 'stats' } });
    assert.ok(
      stats.some((line) => /^PROXY headers +1 v2, 0 v1, 1 sent again$/.test(line)),
      stats.join('\n'),
    );
    assert.ok(stats.some((line) => /^LINKID 536893213 +1 stream$/.test(line)));
  });

  it('does not look for it in the middle of a stream', async () => {
    const { lines } = await inspectPackets([syn, data(1, 'hello'), data(6, AZURE)]);
    assert.doesNotMatch(lines.join(), /PROXY/);
  });

  it('finds it in the data of a SYN', async () => {
    const { lines } = await inspectPackets([client({ flags: SYN, seq: ISN, payload: AZURE })]);
    assert.match(lines[0]!, /\| PROXY v2/);
  });

  it('says what is wrong with a malformed one', async () => {
    const bad = Buffer.from(AZURE);
    bad[30] = 0xff; // the TLV's length
    const { lines } = await inspectPackets([syn, data(1, bad)]);
    assert.match(lines[1]!, /! malformed PROXY header: .*octet 28/);
  });

  it('shows the other dialects, TLVs and families', async () => {
    const tlvs = [
      { type: TLV.AWS, value: Buffer.from('\u0001vpce-08d2bf15fac5001c9', 'latin1') },
      { type: TLV.GCP, value: Buffer.from('0000000000000007', 'hex') },
      { type: TLV.AUTHORITY, value: Buffer.from('a.example') },
      { type: TLV.ALPN, value: Buffer.from('h2') },
      { type: TLV.UNIQUE_ID, value: Buffer.from('abcd', 'hex') },
      { type: 0xe5, value: Buffer.from('01', 'hex') },
    ];
    const source = { address: '2001:db8::5', port: 1 };
    const destination = { address: '2001:db8::4', port: 2 };
    const header = encode(
      { command: 'PROXY', family: 'inet6', transport: 'stream', source, destination, tlvs },
      { crc32c: true },
    );
    const { lines } = await inspectPackets([syn, data(1, header)]);
    assert.match(
      lines[1]!,
      /PROXY v2 \[2001:db8::5\]:1 > \[2001:db8::4\]:2 VPCE vpce-08d2bf15fac5001c9 PSC 7 AUTHORITY a\.example ALPN h2 UNIQUE_ID abcd TLV 0xe5 01 CRC32C ok$/,
    );
    const local = encode({ command: 'LOCAL', family: 'unspec', transport: 'unspec' });
    assert.match((await inspectPackets([syn, data(1, local)])).lines[1]!, /\| PROXY v2 LOCAL$/);
  });
});

describe('inspect: unfinished PROXY headers', () => {
  it('take no room for streams that are forgotten', () => {
    const budget = { octets: 0 };
    const table = new TwoGenerations<number, ProxyFinder>(10, (finder) => finder.drop());
    for (let i = 0; i < 1000; i++) {
      const finder = new ProxyFinder(budget);
      table.set(i, finder);
      assert.equal(finder.segment(1, AZURE, 0, 20), null);
      assert.ok(budget.octets <= 20 * 20, `${budget.octets} octets after ${i}`);
    }
    assert.ok(budget.octets > 0);
  });

  it('take no more than their budget', () => {
    const budget = { octets: 16 * 1024 * 1024 - 10 };
    const finder = new ProxyFinder(budget);
    finder.segment(1, AZURE, 0, 20);
    assert.equal(finder.segment(21, AZURE, 20, 36), null);
    assert.equal(budget.octets, 16 * 1024 * 1024 - 10);
  });
});
