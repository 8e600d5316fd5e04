import assert from 'node:assert/strict';
import { ACK, FIN, PSH, RST, SYN, fragments, onesSum, udpPacket, withChecksum } from '../../support/packets.js';
import { BACKEND, Connection, ENDPOINT, L, LINK_ID, Lab, check, codes, header, question } from './lab.js';

/** One right conversation of every kind. */
function whole(): { lab: Lab; connection: Connection } {
  const lab = new Lab();
  const connection = new Connection(lab).whole();
  question(lab);
  return { lab, connection };
}

/** Index in the provider's file of the packet with the header. */
const HEADER = 2;
const FIRST_DATA = 3;
const SECOND_DATA = 4;

describe('check of the provider’s side', () => {
  it('finds nothing wrong with a right translation, and says what it proved', async () => {
    const { lab } = whole();
    const report = await check(lab);
    assert.deepEqual(report.problems, []);
    assert.equal(report.ok, true);
    assert.deepEqual(report.streams, { checked: 1, exact: 1, unchecked: 0 });
    assert.equal(report.headers, 1);
    assert.deepEqual(report.packets, { provider: 11, consumer: 4 });
    assert.deepEqual(report.returned, { identical: 4, rules: {} });
  });

  it('accepts a stream without a header where none is due', async () => {
    const lab = new Lab();
    new Connection(lab, { proxy: false }).whole();
    assert.deepEqual(codes(await check(lab, { proxy: false })), []);
    assert.deepEqual(codes(await check(lab, { proxy: (address) => address === 0 })), []);
    assert.deepEqual(codes(await check(lab)), ['before-header']);
  });

  it('accepts the header again with a retransmission, data out of order, and a keep-alive before S', async () => {
    const lab = new Lab();
    const c = new Connection(lab).handshake();
    c.up(-1, { payload: 'x' }, false);
    c.up(5, { payload: 'world' });
    c.up(0, { payload: 'hello' });
    lab.provider.push(lab.at(c.carried(0, { flags: PSH | ACK, payload: header(c.client, c.port) })));
    c.up(0, { payload: 'hello' });
    assert.deepEqual(codes(await check(lab)), []);
  });

  it('tells a header that is not there', async () => {
    const { lab, connection } = whole();
    lab.provider[HEADER] = { ...lab.provider[HEADER]!, octets: connection.carried(0, { payload: 'GET /one ' }) };
    assert.deepEqual(codes(await check(lab)), ['header-missing']);
  });

  it('tells a bare ACK that went before the header', async () => {
    const { lab, connection } = whole();
    lab.provider.splice(HEADER, 0, lab.at(connection.carried(0, {})));
    assert.deepEqual(codes(await check(lab)), ['before-header']);
  });

  it('accepts a bare ACK that overtook the data before it, also before the header, but not one unshifted', async () => {
    for (const shift of [true, false]) {
      const lab = new Lab();
      const c = new Connection(lab).handshake();
      lab.input.splice(HEADER, 1);
      const [headed] = lab.provider.splice(HEADER, 1);
      c.up(5, {}, shift);
      lab.provider.push(headed!);
      c.up(0, { payload: 'hello' });
      assert.deepEqual(codes(await check(lab)), shift ? [] : ['before-header']);
    }
  });

  it('tells client octets that overtook the header', async () => {
    const { lab } = whole();
    const [moved] = lab.provider.splice(HEADER, 1);
    lab.provider.splice(FIRST_DATA, 0, moved!);
    assert.deepEqual(codes(await check(lab)), ['before-header']);
  });

  it('tells a header split over two segments', async () => {
    const { lab, connection } = whole();
    const h = header(connection.client, connection.port);
    const parts = [
      connection.carried(0, { payload: h.subarray(0, 20) }),
      connection.carried(20, { payload: h.subarray(20) }),
    ];
    lab.provider.splice(HEADER, 1, ...parts.map((octets) => lab.at(octets)));
    assert.deepEqual(codes(await check(lab)), ['header-split']);
  });

  it('tells a header of which the second half was sent again by itself', async () => {
    const { lab, connection } = whole();
    const half = header(connection.client, connection.port).subarray(20);
    lab.provider.splice(FIRST_DATA, 0, lab.at(connection.carried(20, { payload: half })));
    assert.deepEqual(codes(await check(lab)), ['header-split']);
  });

  it('tells a header with a wrong length, an unknown family, or addresses of another family', async () => {
    for (const [at, value] of [
      [13, 0x21],
      [13, 0x12],
      [12, 0x20],
      [15, 0x13],
    ] as const) {
      const { lab, connection } = whole();
      const h = header(connection.client, connection.port);
      h[at] = value;
      lab.provider[HEADER] = { ...lab.provider[HEADER]!, octets: connection.carried(0, { payload: h }) };
      assert.deepEqual(codes(await check(lab)), ['header-malformed'], `octet ${String(at)}`);
    }
  });

  it('tells a header sent again with another octet', async () => {
    const { lab, connection } = whole();
    const h = header(connection.client, connection.port, LINK_ID + 1);
    lab.provider.splice(FIRST_DATA, 0, lab.at(connection.carried(0, { payload: h })));
    assert.deepEqual(codes(await check(lab)), ['header-differs']);
  });

  it('tells a wrong LINKID, one in network byte order, and none at all', async () => {
    const swapped = Buffer.alloc(4);
    swapped.writeUInt32BE(LINK_ID);
    for (const linkId of [LINK_ID + 1, swapped.readUInt32LE(0)]) {
      const { lab, connection } = whole();
      const h = header(connection.client, connection.port, linkId);
      lab.provider[HEADER] = { ...lab.provider[HEADER]!, octets: connection.carried(0, { payload: h }) };
      assert.deepEqual(codes(await check(lab)), ['header-linkid']);
    }
    const { lab, connection } = whole();
    const h = header(connection.client, connection.port);
    h[28] = 4; // a NOOP instead
    lab.provider[HEADER] = { ...lab.provider[HEADER]!, octets: connection.carried(0, { payload: h }) };
    assert.deepEqual(codes(await check(lab)), ['header-linkid']);
    assert.deepEqual(codes(await check(lab, { linkIdOf: () => null })), []);
  });

  it('tells a header that names another client, port or endpoint', async () => {
    for (const at of [19, 23, 25, 27]) {
      const { lab, connection } = whole();
      const h = header(connection.client, connection.port);
      h[at] = h[at]! ^ 1;
      lab.provider[HEADER] = { ...lab.provider[HEADER]!, octets: connection.carried(0, { payload: h }) };
      assert.deepEqual(codes(await check(lab)), ['header-address'], `octet ${String(at)}`);
    }
  });

  it('tells a second header behind the first', async () => {
    const { lab, connection } = whole();
    const again = Buffer.concat([header(connection.client, connection.port), Buffer.from('GET /one ')]);
    lab.provider[FIRST_DATA] = { ...lab.provider[FIRST_DATA]!, octets: connection.carried(L, { payload: again }) };
    assert.deepEqual(codes(await check(lab)), ['header-repeated']);
  });

  it('tells one changed octet, and where', async () => {
    const { lab, connection } = whole();
    const octets = connection.carried(L + 9, { payload: 'HTTP/1.0\r\n' });
    lab.provider[SECOND_DATA] = { ...lab.provider[SECOND_DATA]!, octets };
    const report = await check(lab);
    assert.deepEqual(codes(report), ['octets-differ']);
    assert.match(report.problems[0]!.examples[0]!, /^OUT frame 5, .* octet 16 of 10\.0\.0\.5:40000 to 10\.9\.0\.4:443/);
  });

  it('accepts either of two versions that the input has of the same octets', async () => {
    for (const version of ['first', 'other']) {
      const lab = new Lab();
      const c = new Connection(lab).handshake();
      c.up(0, { payload: 'first' });
      lab.input.push(lab.at(c.sent(0, { payload: 'other' })));
      lab.provider.push(lab.at(c.carried(L, { payload: version })));
      assert.deepEqual(codes(await check(lab)), [], version);
    }
  });

  it('tells octets that the client did not send', async () => {
    const { lab, connection } = whole();
    lab.provider.splice(SECOND_DATA + 1, 0, lab.at(connection.carried(L + 19, { payload: 'more' })));
    assert.deepEqual(codes(await check(lab)), ['octets-invented']);
  });

  it('tells octets that are missing, but not those that a gateway drops', async () => {
    const { lab, connection } = whole();
    lab.provider.splice(SECOND_DATA, 1);
    const report = await check(lab);
    assert.deepEqual(codes(report), ['octets-missing']);
    assert.match(report.problems[0]!.examples[0]!, /octets 9 to 19/);
    const spoiled = (octets: Buffer): Buffer => {
      octets.writeUInt16BE(octets.readUInt16BE(10) ^ 0x5555, 10);
      return octets;
    };
    for (const octets of [
      connection.sent(9, { payload: 'HTTP/1.1\r\n', ttl: 1 }),
      spoiled(connection.sent(9, { payload: 'HTTP/1.1\r\n' })),
    ]) {
      lab.input[SECOND_DATA] = { ...lab.input[SECOND_DATA]!, octets };
      assert.deepEqual(codes(await check(lab)), []);
    }
  });

  it('tells a stream that was not shifted by the header', async () => {
    const { lab, connection } = whole();
    lab.provider[FIRST_DATA] = {
      ...lab.provider[FIRST_DATA]!,
      octets: connection.carried(0, { payload: 'GET /one ' }),
    };
    assert.deepEqual(codes(await check(lab)), ['header-differs']);
  });

  it('tells a FIN that is missing, comes early, or was not shifted', async () => {
    const fin = 6;
    const lost = whole();
    lost.lab.provider.splice(fin, 1);
    assert.deepEqual(codes(await check(lost.lab)), ['octets-missing']);
    for (const offset of [L + 18, 0, 19]) {
      const { lab, connection } = whole();
      lab.provider[fin] = { ...lab.provider[fin]!, octets: connection.carried(offset, { flags: FIN | ACK }) };
      assert.deepEqual(codes(await check(lab)), ['octets-invented'], String(offset));
    }
  });

  it('tells an acknowledgment that the client did not make', async () => {
    const { lab, connection } = whole();
    const octets = connection.carried(L, { payload: 'GET /one ', ack: connection.serverIsn + 100_000 });
    lab.provider[FIRST_DATA] = { ...lab.provider[FIRST_DATA]!, octets };
    assert.deepEqual(codes(await check(lab)), ['ack-invented']);
  });

  it('tells a stream that no client began', async () => {
    const { lab } = whole();
    const stray = new Connection(new Lab(), { isn: 5, natPort: 3000 });
    lab.provider.push(lab.at(stray.carried(-1, { flags: SYN })));
    assert.deepEqual(codes(await check(lab)), ['stream-unexplained']);
  });

  it('tells a flow that was not forwarded at all, where every flow has to be', async () => {
    const { lab } = whole();
    const stray = new Connection(lab, { isn: 5, port: 41000 });
    lab.input.push(lab.at(stray.sent(-1, { flags: SYN })));
    assert.deepEqual(codes(await check(lab)), ['flow-missing']);
    assert.deepEqual(codes(await check(lab, { everyFlow: false })), []);
    lab.input.pop();
    lab.input.push(lab.at(udpPacket({ src: '10.0.0.7', sport: 9, dst: ENDPOINT, dport: 9, payload: 'lost' })));
    assert.deepEqual(codes(await check(lab)), ['flow-missing']);
  });

  it('expects no flow whose SYN is signed over addresses', async () => {
    const { lab } = whole();
    const stray = new Connection(lab, { isn: 5, port: 41000 });
    const options = Uint8Array.of(1, 1, 19, 18, ...new Uint8Array(16));
    lab.input.push(lab.at(stray.sent(-1, { flags: SYN, options })));
    assert.deepEqual(codes(await check(lab)), []);
  });

  it('tells a checksum that is off, and by what', async () => {
    const { lab } = whole();
    const octets = lab.provider[FIRST_DATA]!.octets;
    octets.writeUInt16BE((octets.readUInt16BE(36) + 1) % 0xffff, 36);
    const report = await check(lab);
    assert.deepEqual(codes(report), ['tcp-checksum']);
    assert.match(report.problems[0]!.examples[0]!, /^OUT frame 4: off by 0x0001/);
  });

  it('accepts a checksum that is off by what it came off by, once', async () => {
    const { lab } = whole();
    const off = (octets: Buffer): void => {
      octets.writeUInt16BE((octets.readUInt16BE(36) + 77) % 0xffff, 36);
    };
    off(lab.input[FIRST_DATA]!.octets);
    off(lab.provider[FIRST_DATA]!.octets);
    assert.deepEqual(codes(await check(lab)), []);
    off(lab.provider[SECOND_DATA]!.octets);
    assert.deepEqual(codes(await check(lab)), ['tcp-checksum']);
  });

  it('accepts a checksum that was left to a network card and is now complete, and not one that is not', async () => {
    const { lab } = whole();
    const partial = (octets: Buffer): void => {
      octets.writeUInt16BE(onesSum(octets.subarray(12, 20), 6 + octets.length - 20), 36);
    };
    partial(lab.input[FIRST_DATA]!.octets);
    assert.deepEqual(codes(await check(lab)), []);
    partial(lab.provider[FIRST_DATA]!.octets);
    assert.deepEqual(codes(await check(lab)), ['tcp-checksum']);
  });

  it('tells a wrong IPv4 checksum, a broken length and a protocol that is not to be forwarded', async () => {
    const cases: readonly [string, (octets: Buffer) => void][] = [
      ['ip-checksum', (octets) => void octets.writeUInt16BE(octets.readUInt16BE(10) ^ 0x0101, 10)],
      ['malformed', (octets) => void octets.writeUInt16BE(octets.length + 1, 2)],
      ['not-translatable', (octets) => void (octets[9] = 47)],
    ];
    for (const [code, spoil] of cases) {
      const { lab } = whole();
      const stray = udpPacket({ src: '198.18.0.2', sport: 1, dst: BACKEND, dport: 1 });
      spoil(stray);
      if (code === 'not-translatable') withChecksum(stray);
      lab.provider.push(lab.at(stray));
      assert.ok(codes(await check(lab)).includes(code), code);
    }
  });

  it('tells a source address outside the NAT pool', async () => {
    const { lab } = whole();
    const stray = udpPacket({ src: '10.0.0.5', sport: 5000, dst: BACKEND, dport: 53, payload: 'who is it?' });
    lab.provider.push(lab.at(stray));
    assert.deepEqual(codes(await check(lab)), ['nat-source']);
  });

  it('tells a packet to a NAT port that no flow has', async () => {
    const { lab } = whole();
    lab.provider.push(lab.at(udpPacket({ src: BACKEND, sport: 53, dst: '198.18.0.1', dport: 4444, payload: 'boo' })));
    assert.deepEqual(codes(await check(lab)), ['return-unsolicited']);
  });

  it('tells datagrams that were changed, lost or doubled', async () => {
    const changed = whole().lab;
    const at = changed.provider.length - 2;
    const nat = { src: '198.18.0.1', sport: 2000, dst: BACKEND, dport: 53, ttl: 63 };
    changed.provider[at] = { ...changed.provider[at]!, octets: udpPacket({ ...nat, payload: 'who is IT?' }) };
    assert.ok(codes(await check(changed)).includes('datagram-unexplained'));

    const doubled = whole().lab;
    doubled.provider.push(doubled.provider.at(-2)!);
    assert.deepEqual(codes(await check(doubled)), ['datagram-unexplained']);

    const lost = whole().lab;
    question(lost, { text: 'and who are you?', answer: 'I too' });
    lost.provider.splice(lost.provider.length - 2, 1);
    assert.deepEqual(codes(await check(lost)), ['datagram-missing']);
  });

  it('tells a UDP checksum that came or went', async () => {
    for (const checksum of [true, false]) {
      const lab = new Lab();
      question(lab, { checksum });
      assert.deepEqual(codes(await check(lab)), []);
      const nat = { src: '198.18.0.1', sport: 2000, dst: BACKEND, dport: 53, ttl: 63, payload: 'who is it?' };
      lab.provider[0] = { ...lab.provider[0]!, octets: udpPacket({ ...nat, checksum: !checksum }) };
      assert.deepEqual(codes(await check(lab)), ['udp-checksum-presence']);
    }
  });

  it('puts fragments together on both sides, and tells a whole that has changed', async () => {
    const lab = new Lab();
    const payload = Buffer.from(Array.from({ length: 3000 }, (_, i) => (i * 7) & 255));
    const ask = { src: '10.0.0.5', sport: 5000, dst: ENDPOINT, dport: 53, payload, id: 9, df: false };
    const carried = { src: '198.18.0.1', sport: 2000, dst: BACKEND, dport: 53, payload, ttl: 63, id: 10, df: false };
    for (const part of fragments(udpPacket(ask), 1500)) lab.input.push(lab.at(part));
    const parts = fragments(udpPacket(carried), 1500);
    for (const part of parts) lab.provider.push(lab.at(part));
    assert.deepEqual(codes(await check(lab)), []);
    parts[1]![100] = parts[1]![100]! ^ 1;
    assert.deepEqual(codes(await check(lab, { everyFlow: false })), ['datagram-unexplained', 'udp-checksum']);
  });

  it('lets no stale fragment spoil the next datagram with its identification', async () => {
    const lab = new Lab();
    const ask = (fill: number): Buffer[] => {
      const payload = Buffer.alloc(3000, fill);
      return fragments(
        udpPacket({ src: '10.0.0.5', sport: 5000, dst: ENDPOINT, dport: 53, payload, id: 9, df: false }),
        1500,
      );
    };
    lab.input.push(lab.at(ask(1)[0]!), ...ask(2).map((octets) => lab.at(octets)));
    const payload = Buffer.alloc(3000, 2);
    const nat = { src: '198.18.0.1', sport: 2000, dst: BACKEND, dport: 53, payload, ttl: 63, id: 10, df: false };
    for (const part of fragments(udpPacket(nat), 1500)) lab.provider.push(lab.at(part));
    assert.deepEqual(codes(await check(lab)), []);
  });

  it('accepts an RST at S where no header ever left, and a FIN behind the header', async () => {
    const lab = new Lab();
    const refused = new Connection(lab, { natPort: 1500, port: 42000 });
    refused.up(-1, { flags: SYN }, false);
    refused.up(0, { flags: RST }, false);
    const c = new Connection(lab).handshake();
    c.up(0, { flags: FIN | ACK });
    assert.deepEqual(codes(await check(lab)), []);
  });

  it('accepts a SYN whose data stand behind the header in the SYN itself', async () => {
    const lab = new Lab();
    const c = new Connection(lab);
    lab.input.push(lab.at(c.sent(-1, { flags: SYN, payload: 'early' })));
    const payload = Buffer.concat([header(c.client, c.port), Buffer.from('early')]);
    lab.provider.push(lab.at(c.carried(-1, { flags: SYN, payload })));
    c.down(-1, 5, { flags: SYN | ACK });
    c.up(5, { payload: ' bird' });
    const report = await check(lab);
    assert.deepEqual(report.problems, []);
    assert.equal(report.headers, 1);
    assert.equal(report.streams.exact, 1);
  });

  it('minds no segment far outside of every window', async () => {
    const { lab, connection } = whole();
    const stray = 0x60000000;
    lab.input.push(lab.at(connection.sent(stray, { payload: 'lost' })));
    lab.provider.push(lab.at(connection.carried(stray + L, { payload: 'lost' })));
    const report = await check(lab);
    assert.deepEqual(report.problems, []);
    assert.deepEqual(report.streams, { checked: 1, exact: 1, unchecked: 0 });
  });

  it('counts what begins in the middle as unchecked', async () => {
    const lab = new Lab();
    const c = new Connection(lab, { proxy: false });
    c.up(500, { flags: PSH | ACK, payload: 'halfway' });
    assert.deepEqual((await check(lab)).streams, { checked: 0, exact: 0, unchecked: 1 });
    const octets = c.carried(500, { flags: PSH | ACK, payload: 'half-way' });
    lab.provider[0] = { ...lab.provider[0]!, octets };
    assert.deepEqual(codes(await check(lab)), ['octets-differ']);
  });

  it('accepts a FIN in front of where a stream was first seen, and no other', async () => {
    const lab = new Lab();
    const c = new Connection(lab, { proxy: false });
    c.up(500, { flags: PSH | ACK, payload: 'halfway' });
    c.up(499, { flags: FIN | PSH | ACK, payload: ' halfway' });
    assert.deepEqual(codes(await check(lab)), []);
    lab.provider[1] = { ...lab.provider[1]!, octets: c.carried(499, { flags: FIN | PSH | ACK, payload: ' half' }) };
    assert.deepEqual(codes(await check(lab)), ['octets-invented']);
  });

  it('requires nothing of a connection to a server that takes too small segments for the header', async () => {
    const refused = (mss: number): Lab => {
      const lab = new Lab();
      const connection = new Connection(lab).whole();
      const options = Uint8Array.of(2, 4, mss >> 8, mss & 255);
      lab.input[1] = { ...lab.input[1]!, octets: connection.answered(-1, 0, { flags: SYN | ACK, options }) };
      lab.provider.splice(1);
      lab.consumer.splice(0);
      return lab;
    };
    assert.deepEqual(codes(await check(refused(47))), []);
    assert.deepEqual(codes(await check(refused(1460))), ['octets-missing', 'return-missing']);
  });
});
