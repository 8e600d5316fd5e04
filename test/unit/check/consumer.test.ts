import assert from 'node:assert/strict';
import {
  ACK,
  FIN,
  PSH,
  RST,
  SYN,
  fragments,
  icmpError,
  onesSum,
  tcpPacket,
  udpPacket,
  withChecksum,
} from '../../support/packets.js';
import {
  BACKEND,
  Connection,
  ENDPOINT,
  L,
  Lab,
  check,
  checkWithProviderInput,
  codes,
  header,
  question,
} from './lab.js';

function whole(): { lab: Lab; connection: Connection } {
  const lab = new Lab();
  const connection = new Connection(lab).whole();
  question(lab);
  return { lab, connection };
}

/** Index in the consumer's file of the packet with the server's data, and in the input. */
const DATA = 1;
const DATA_IN = 5;

describe('check of the consumer’s side against recorded server packets', () => {
  it('tells any octet that changed, and its field', async () => {
    const fields: readonly [number, string][] = [
      [1, 'type of service'],
      [5, 'identification'],
      [6, 'fragment offset'],
      [27, 'sequence number'],
      [31, 'acknowledgment number'],
      [33, 'TCP flags'],
      [39, 'urgent pointer'],
      [41, 'data'],
    ];
    for (const [at, field] of fields) {
      const { lab } = whole();
      const { octets } = lab.consumer[DATA]!;
      octets[at] = octets[at]! ^ (at === 6 ? 0x40 : at === 33 ? 0x20 : 1);
      withChecksum(octets);
      const report = await check(lab);
      const found = report.problems.find((p) => p.code === 'return-altered' || p.code === 'return-unexplained');
      assert.ok(found !== undefined, field);
      if (at !== 5)
        assert.match(found.examples[0]!, new RegExp(`^RET frame 2, IN frame 6: octet ${String(at)} \\(${field}`));
    }
  });

  it('names the field in datagrams, fragments and ICMP too, and tells another length', async () => {
    const example = async (was: Buffer, is: Buffer, originalLength = is.length): Promise<string> => {
      const lab = new Lab();
      question(lab);
      new Connection(lab).handshake();
      lab.input.push(lab.at(was));
      lab.consumer.push({ ...lab.at(is), originalLength });
      const report = await check(lab);
      return report.problems.find((p) => p.code === 'return-altered')?.examples[0]?.replace(/^.*?: /, '') ?? '';
    };
    const ends = { src: ENDPOINT, dst: '10.0.0.5', ttl: 63, id: 5 };
    const udp = { ...ends, sport: 53, dport: 5000, df: false };
    const plain = udpPacket({ ...udp, payload: 'one' });
    assert.equal(await example(plain, udpPacket({ ...udp, payload: 'two' })), 'octet 28 (data) is 116, not 111');
    assert.equal(
      await example(plain, udpPacket({ ...udp, sport: 54, payload: 'one' })),
      'octet 21 (source port) is 54, not 53',
    );
    assert.equal(await example(plain, udpPacket({ ...udp, payload: 'three' })), 'its length is 33, not 31');
    assert.equal(await example(plain, plain.subarray(0, 30), 31), 'the capture cut it elsewhere');
    const part = (fill: number): Buffer => fragments(udpPacket({ ...udp, payload: Buffer.alloc(60, fill) }), 60)[1]!;
    assert.equal(await example(part(1), part(2)), 'octet 20 (data) is 2, not 1');
    const error = (code: number, rest: number): Buffer => icmpError({ ...ends, code, rest, about: plain });
    assert.match(await example(error(4, 1400), error(5, 1400)), /^octet 21 \(ICMP type\) is 5, not 4/);
    assert.match(await example(error(4, 1400), error(4, 1401)), /^octet 23 \(ICMP checksum\)/);
    const spoiled = error(4, 1400);
    spoiled[27] = 0;
    assert.match(await example(error(4, 1400), spoiled), /^octet 27 \(ICMP data\) is 0, not 120/);
  });

  it('tells a time to live that did not go down by one, but accepts one that stayed', async () => {
    for (const [ttl, expected] of [
      [63, []],
      [64, []],
      [62, ['return-altered']],
      [65, ['return-altered']],
    ] as const) {
      const { lab } = whole();
      lab.consumer[DATA]!.octets[8] = ttl;
      withChecksum(lab.consumer[DATA]!.octets);
      assert.deepEqual(codes(await check(lab)), expected, String(ttl));
    }
  });

  it('tells a window that grew, and counts one that shrank', async () => {
    const grown = whole();
    const octets = (window: number): Buffer =>
      grown.connection.answered(0, 19, { payload: 'HTTP/1.1 200 OK\r\n', window, ttl: 63 });
    grown.lab.input[DATA_IN] = {
      ...grown.lab.input[DATA_IN]!,
      octets: grown.connection.answered(0, 19, { payload: 'HTTP/1.1 200 OK\r\n', window: 500 }),
    };
    for (const [window, expected] of [
      [499, []],
      [500, []],
      [501, ['return-altered']],
    ] as const) {
      grown.lab.consumer[DATA] = { ...grown.lab.consumer[DATA]!, octets: octets(window) };
      const report = await check(grown.lab);
      assert.deepEqual(codes(report), expected);
      if (window === 499) assert.deepEqual(report.returned, { identical: 3, rules: { window: 1, checksum: 1 } });
    }
  });

  it('accepts MP_CAPABLE blanked by NOPs, and no other option', async () => {
    const run = async (was: Uint8Array, is: Uint8Array): Promise<string[]> => {
      const lab = new Lab();
      const c = new Connection(lab);
      c.up(-1, { flags: SYN }, false);
      c.down(-1, 0, { flags: SYN | ACK, options: was });
      const octets = c.answered(-1, 0, { flags: SYN | ACK, options: is, ttl: 63 });
      lab.consumer[0] = { ...lab.consumer[0]!, octets };
      return codes(await check(lab));
    };
    const nops = new Uint8Array(12).fill(1);
    assert.deepEqual(await run(Uint8Array.of(30, 12, 1, 0x81, 1, 2, 3, 4, 5, 6, 7, 8), nops), []);
    assert.deepEqual(await run(Uint8Array.of(1, 1, 30, 10, 0x10, 0, 1, 2, 3, 4, 5, 6), nops), []);
    assert.deepEqual(await run(Uint8Array.of(1, 1, 8, 10, 0, 0, 1, 2, 3, 4, 5, 6), nops), ['return-altered']);
    assert.deepEqual(await run(Uint8Array.of(0, 0, 30, 10, 0x10, 0, 1, 2, 3, 4, 5, 6), nops), ['return-altered']);
    assert.deepEqual(await run(Uint8Array.of(1, 1, 30, 10, 0x20, 0, 1, 2, 3, 4, 5, 6), nops), ['return-altered']);
  });

  it('accepts what was left to a network card and is complete now', async () => {
    const { lab } = whole();
    const { octets } = lab.input[DATA_IN]!;
    octets.writeUInt16BE(onesSum(octets.subarray(12, 20), 6 + octets.length - 20), 36);
    octets.writeUInt16BE(0, 10);
    octets.writeUInt16BE(0, 2);
    const report = await check(lab);
    assert.deepEqual(report.problems, []);
    assert.deepEqual(report.returned.rules, { 'total-length': 1, checksum: 1 });
  });

  it('accepts the same of a datagram', async () => {
    const lab = new Lab();
    question(lab);
    const { octets } = lab.input[1]!;
    octets.writeUInt16BE(onesSum(octets.subarray(12, 20), 17 + octets.length - 20), 26);
    const report = await check(lab);
    assert.deepEqual(report.problems, []);
    assert.deepEqual(report.returned, { identical: 0, rules: { checksum: 1 } });
  });

  it('keeps a server’s wrong checksum wrong by the same difference', async () => {
    const { lab } = whole();
    const off = (octets: Buffer, by: number): void => {
      octets.writeUInt16BE((octets.readUInt16BE(36) + by) % 0xffff, 36);
    };
    off(lab.input[DATA_IN]!.octets, 5);
    assert.deepEqual(codes(await check(lab)), [], 'repaired');
    off(lab.consumer[DATA]!.octets, 5);
    assert.deepEqual(codes(await check(lab)), [], 'kept');
    off(lab.consumer[DATA]!.octets, 5);
    assert.deepEqual(codes(await check(lab)), ['return-altered', 'tcp-checksum']);
  });

  it('tells a packet that no server sent, and one that came back twice', async () => {
    const { lab, connection } = whole();
    lab.consumer.push(lab.at(tcpPacket({ src: '10.9.0.99', sport: 1, dst: '10.0.0.5', dport: 2 })));
    assert.deepEqual(codes(await check(lab)), ['return-unexplained']);
    lab.consumer.pop();
    lab.consumer.push(lab.at(connection.answered(0, 19, { payload: 'HTTP/1.1 200 OK\r\n', ttl: 63 })));
    assert.ok(codes(await check(lab))[0]!.startsWith('return-'));
  });

  it('counts a reset that a gateway sent of its own', async () => {
    const { lab, connection } = whole();
    lab.consumer.push(lab.at(connection.answered(17, 20, { flags: RST | ACK, id: 77 })));
    const report = await check(lab);
    assert.deepEqual(report.problems, []);
    assert.deepEqual(report.returned.rules, { 'idle-reset': 1 });
  });

  it('tells server octets and datagrams that did not come back, but not those that a gateway drops', async () => {
    const { lab } = whole();
    lab.consumer.splice(DATA, 1);
    const report = await check(lab);
    assert.deepEqual(codes(report), ['return-missing']);
    assert.match(report.problems[0]!.examples[0]!, /octets 0 to 17/);
    lab.input[DATA_IN]!.octets[8] = 1;
    withChecksum(lab.input[DATA_IN]!.octets);
    assert.deepEqual(codes(await check(lab)), []);
    lab.consumer.pop();
    assert.deepEqual(codes(await check(lab)), ['return-missing']);
  });

  it('keeps connections of one tuple apart, whose numbers lie close together', async () => {
    const lab = new Lab();
    for (const n of [1, 2, 3]) new Connection(lab, { isn: n * 8000, serverIsn: 7_000_000 + n * 500 }).whole();
    assert.deepEqual(codes(await check(lab)), []);
    lab.consumer.splice(4, 1);
    assert.deepEqual(codes(await check(lab)), ['return-missing']);
  });

  it('requires no answers on a tuple whose later connection was not carried', async () => {
    const lab = new Lab();
    new Connection(lab, { isn: 8000 }).whole();
    const carried = lab.provider.length;
    const returned = lab.consumer.length;
    new Connection(lab, { isn: 90_000_000, serverIsn: 80_000_000 }).whole();
    lab.provider.splice(carried);
    lab.consumer.splice(returned);
    assert.deepEqual(codes(await check(lab)), ['flow-missing']);
    assert.deepEqual(codes(await check(lab, { everyFlow: false })), []);
  });

  it('requires nothing of a server that speaks before its client’s SYN is seen, but all of it after that', async () => {
    const lab = new Lab();
    const c = new Connection(lab);
    const early = lab.at(c.answered(-1, 0, { flags: SYN | ACK }));
    lab.input.push(early, lab.at(c.answered(17, 0, { flags: FIN | ACK })));
    lab.tick();
    c.whole();
    assert.deepEqual(codes(await check(lab)), []);
    lab.consumer.splice(DATA, 1);
    assert.deepEqual(codes(await check(lab)), ['return-missing']);
    const without = new Lab();
    const middle = new Connection(without, { proxy: false });
    without.input.push(early, without.at(middle.answered(17, 0, { flags: FIN | ACK })));
    middle.up(0, { flags: FIN | ACK });
    assert.deepEqual(codes(await check(without)), []);
  });

  it('knows the client by the first fragment of what it said, though the rest is lost', async () => {
    const lab = new Lab();
    const part = (ends: { src: string; sport: number; dst: string; ttl?: number }): Buffer =>
      fragments(udpPacket({ ...ends, dport: 53, payload: Buffer.alloc(100), id: 9, df: false }), 60)[0]!;
    lab.input.push(lab.at(part({ src: '10.0.0.5', sport: 5000, dst: ENDPOINT })));
    lab.provider.push(lab.at(part({ src: '198.18.0.1', sport: 2000, dst: BACKEND, ttl: 63 })));
    const answer = { sport: 53, payload: 'it is I' };
    lab.input.push(lab.at(udpPacket({ ...answer, src: ENDPOINT, dst: '10.0.0.5', dport: 5000 })));
    lab.provider.push(lab.at(udpPacket({ ...answer, src: BACKEND, dst: '198.18.0.1', dport: 2000 })));
    lab.consumer.push(lab.at(udpPacket({ ...answer, src: ENDPOINT, dst: '10.0.0.5', dport: 5000, ttl: 63 })));
    assert.deepEqual(codes(await check(lab)), []);
    lab.provider.push(lab.at(udpPacket({ ...answer, src: BACKEND, dst: '198.18.0.1', dport: 2001 })));
    assert.deepEqual(codes(await check(lab)), ['return-unsolicited']);
  });

  it('accepts answers to streams that begin in the middle at one and the same number', async () => {
    const lab = new Lab();
    for (const [natPort, client] of [
      [1024, '10.0.0.5'],
      [1025, '10.0.0.6'],
    ] as const) {
      const c = new Connection(lab, { proxy: false, client, natPort });
      c.up(500, { flags: PSH | ACK, payload: client });
      c.down(0, 508, { flags: PSH | ACK, payload: 'heard' });
    }
    assert.deepEqual(codes(await check(lab)), []);
    lab.consumer.push(lab.at(udpPacket({ src: '10.9.0.9', sport: 53, dst: '10.0.0.5', dport: 5000, payload: '' })));
    assert.deepEqual(codes(await check(lab)), ['return-unexplained']);
  });

  it('finds fragments that had waited, with another identification', async () => {
    const lab = new Lab();
    question(lab);
    const answer = {
      src: ENDPOINT,
      sport: 53,
      dst: '10.0.0.5',
      dport: 5000,
      payload: Buffer.alloc(2000, 7),
      df: false,
    };
    const [first, second] = fragments(udpPacket({ ...answer, id: 9 }), 1500);
    lab.input.push(lab.at(second!), lab.at(first!));
    const [one, two] = fragments(udpPacket({ ...answer, id: 10, ttl: 63 }), 1500);
    lab.consumer.push(lab.at(one!), lab.at(two!));
    const report = await check(lab);
    assert.deepEqual(report.problems, []);
    assert.equal(report.returned.rules.identification, 2);
    lab.consumer.pop();
    lab.consumer.push(
      lab.at(fragments(udpPacket({ ...answer, payload: Buffer.alloc(2000, 8), id: 10, ttl: 63 }), 1500)[1]!),
    );
    assert.ok(codes(await check(lab)).includes('return-unexplained'));
  });

  it('checks ICMP errors: their own checksum, that of the header they quote, and every other octet', async () => {
    const error = (about: Buffer, ttl: number): Buffer =>
      icmpError({ src: '10.1.1.1', dst: '10.0.0.5', type: 3, code: 4, rest: 1400, about, quote: 28, ttl });
    const lab = new Lab();
    const c = new Connection(lab).handshake();
    c.up(0, { payload: 'hello' });
    const quoted = c.sent(0, { payload: 'hello', ttl: 60 });
    const carried = c.carried(L, { payload: 'hello', ttl: 60 });
    lab.input.push(lab.at(error(quoted, 64)));
    const lifted = icmpError({ src: '10.1.1.1', dst: '198.18.0.1', code: 4, rest: 1400, about: carried, quote: 28 });
    lab.provider.push(lab.at(lifted));
    const returned = lab.at(error(quoted, 63));
    lab.consumer.push(returned);
    assert.deepEqual(codes(await check(lab)), []);

    returned.octets[23] = returned.octets[23]! ^ 1;
    assert.deepEqual(codes(await check(lab)), ['icmp-checksum', 'return-altered']);
    returned.octets[23] = returned.octets[23] ^ 1;
    returned.octets[38] = returned.octets[38]! ^ 1;
    withChecksum(returned.octets);
    assert.deepEqual(codes(await check(lab)), ['quoted-checksum', 'return-altered']);
    returned.octets[38] = returned.octets[38] ^ 1;
    returned.octets[20] = 8;
    withChecksum(returned.octets);
    assert.deepEqual(codes(await check(lab)), ['not-translatable', 'return-altered']);
  });

  it('accepts a quoted header that came with a wrong checksum', async () => {
    const lab = new Lab();
    const c = new Connection(lab).handshake();
    c.up(0, { payload: 'hello' });
    const about = c.sent(0, { payload: 'hello' });
    about[8] = 3;
    const error = { src: '10.1.1.1', dst: '10.0.0.5', about, quote: 28 };
    lab.input.push(lab.at(icmpError(error)));
    lab.consumer.push(lab.at(icmpError({ ...error, ttl: 63 })));
    assert.deepEqual(codes(await check(lab)), []);
  });

  it('counts packets that the capture cut, and compares what is there', async () => {
    const { lab } = whole();
    const cut = (packets: { octets: Buffer; originalLength?: number }[], i: number): void => {
      const { octets } = packets[i]!;
      packets[i] = { ...packets[i]!, octets: octets.subarray(0, 48), originalLength: octets.length };
    };
    cut(lab.input, DATA_IN);
    cut(lab.provider, 5);
    cut(lab.consumer, DATA);
    const report = await check(lab);
    assert.deepEqual(report.problems, []);
    assert.equal(report.unchecked, 2);
    lab.consumer[DATA]!.octets[47] = 0;
    assert.deepEqual(codes(await check(lab)), ['return-altered']);
  });
});

describe('check of the consumer’s side against a capture of the provider’s', () => {
  it('finds nothing wrong with a right translation', async () => {
    const { lab } = whole();
    lab.input.splice(1, 1); // what came back then need not be in the input
    assert.deepEqual((await checkWithProviderInput(lab)).problems, []);
  });

  it('tells octets that changed, that the backend did not send, or that are missing', async () => {
    const { lab, connection } = whole();
    const replace = (payload: string): void => {
      lab.consumer[DATA] = { ...lab.consumer[DATA]!, octets: connection.answered(0, 19, { payload, ttl: 63 }) };
    };
    replace('HTTP/1.1 200 KO\r\n');
    assert.deepEqual(codes(await checkWithProviderInput(lab)), ['return-octets-differ']);
    replace('HTTP/1.1 200 OK\r\n\r\n');
    assert.deepEqual(codes(await checkWithProviderInput(lab)), ['return-octets-differ']);
    lab.consumer.splice(DATA, 1);
    assert.deepEqual(codes(await checkWithProviderInput(lab)), ['return-missing']);
  });

  it('tells an acknowledgment, and a SACK edge, of octets that the client has not sent', async () => {
    const { lab, connection } = whole();
    const replace = (acked: number, options?: Uint8Array): void => {
      const payload = 'HTTP/1.1 200 OK\r\n';
      const octets = connection.answered(0, acked, { payload, ttl: 63, ...(options === undefined ? {} : { options }) });
      lab.consumer[DATA] = { ...lab.consumer[DATA]!, octets };
    };
    replace(20);
    assert.deepEqual(codes(await checkWithProviderInput(lab)), [], 'the FIN counts');
    replace(19 + L);
    assert.deepEqual(codes(await checkWithProviderInput(lab)), ['ack-beyond-sent']);
    const sack = (right: number): Uint8Array => {
      const b = Buffer.from([1, 1, 5, 10, 0, 0, 0, 0, 0, 0, 0, 0]);
      b.writeUInt32BE((connection.isn + 1 + 5) >>> 0, 4);
      b.writeUInt32BE((connection.isn + 1 + right) >>> 0, 8);
      return b;
    };
    replace(2, sack(19));
    assert.deepEqual(codes(await checkWithProviderInput(lab)), []);
    replace(2, sack(19 + L));
    assert.deepEqual(codes(await checkWithProviderInput(lab)), ['ack-beyond-sent']);
  });

  it('takes no measure from a backend that knows of octets the capture lacks', async () => {
    const lab = new Lab();
    const c = new Connection(lab).handshake();
    c.down(0, 500, { payload: 'I have it all' });
    assert.deepEqual(codes(await checkWithProviderInput(lab)), []);
    assert.deepEqual(codes(await check(lab)), []);
  });

  it('tells datagrams and segments that no backend sent', async () => {
    const { lab } = whole();
    const back = { src: ENDPOINT, sport: 53, dst: '10.0.0.5', dport: 5000, payload: 'it is not I', ttl: 63 };
    lab.consumer.push(lab.at(udpPacket(back)));
    assert.deepEqual(codes(await checkWithProviderInput(lab)), ['return-unexplained']);
    lab.consumer.pop();
    lab.consumer.push(lab.at(tcpPacket({ src: ENDPOINT, sport: 444, dst: '10.0.0.5', dport: 40000 })));
    assert.deepEqual(codes(await checkWithProviderInput(lab)), ['return-unexplained']);
  });
});

describe('check of the mapping', () => {
  it('tells one NAT port for two live flows', async () => {
    const lab = new Lab();
    new Connection(lab).handshake();
    new Connection(lab, { client: '10.0.0.6', isn: 77 }).handshake();
    assert.deepEqual(codes(await check(lab)), ['port-shared']);
    const udp = new Lab();
    question(udp);
    question(udp, { client: '10.0.0.6', text: 'who else?' });
    assert.deepEqual(codes(await check(udp)), ['port-shared']);
  });

  it('accepts a port that goes to another flow after the end of the first, or after long silence', async () => {
    const closed = new Lab();
    new Connection(closed).whole();
    new Connection(closed, { client: '10.0.0.6', isn: 77 }).whole();
    assert.deepEqual(codes(await check(closed)), []);
    const reset = new Lab();
    const c = new Connection(reset).handshake();
    c.up(0, { flags: RST | ACK });
    new Connection(reset, { client: '10.0.0.6', isn: 77 }).whole();
    assert.deepEqual(codes(await check(reset)), []);
    const idle = new Lab();
    new Connection(idle).handshake();
    idle.now += 241e6;
    new Connection(idle, { client: '10.0.0.6', isn: 77 }).whole();
    assert.deepEqual(codes(await check(idle)), []);
    const halfClosed = new Lab();
    const half = new Connection(halfClosed).handshake();
    half.up(0, { flags: FIN | ACK });
    new Connection(halfClosed, { client: '10.0.0.6', isn: 77 }).handshake();
    assert.deepEqual(codes(await check(halfClosed)), ['port-shared']);
  });

  it('accepts one NAT port towards two backends', async () => {
    const lab = new Lab();
    question(lab);
    const other = { sport: 2000, dst: '198.19.0.2', dport: 53, payload: 'and you?' };
    lab.input.push(lab.at(udpPacket({ ...other, src: '10.0.0.8', sport: 6000, dst: '10.9.0.5' })));
    lab.provider.push(lab.at(udpPacket({ ...other, src: '198.18.0.1', ttl: 63 })));
    assert.deepEqual(codes(await check(lab)), []);
  });

  it('tells a flow that is on two ports at a time', async () => {
    const lab = new Lab();
    const c = new Connection(lab).handshake();
    const elsewhere = new Connection(new Lab(), { natPort: 1025 });
    lab.provider.push(lab.at(elsewhere.carried(-1, { flags: SYN })));
    const h = header(c.client, c.port);
    lab.provider.push(lab.at(elsewhere.carried(0, { flags: PSH | ACK, payload: h })));
    assert.deepEqual(codes(await check(lab)), ['mapping-split']);
    const udp = new Lab();
    question(udp);
    question(udp, { text: 'still you?', natPort: 2001 });
    assert.deepEqual(codes(await check(udp)), ['mapping-split']);
  });

  it('accepts another port for a client that forgot its connection, and no way back', async () => {
    const lab = new Lab();
    const old = new Connection(lab).handshake();
    // Far outside of any window, so that it is no part of the old connection.
    const fresh = new Connection(lab, { isn: (old.isn + 0xa0000000) >>> 0, natPort: 1025 }).handshake();
    fresh.up(0, { payload: 'again' });
    assert.deepEqual(codes(await check(lab)), []);
    old.up(0, { payload: 'back' });
    assert.deepEqual(codes(await check(lab)), ['mapping-split']);
  });

  it('accepts that a port which was left goes to another client, and after its hold to the same one', async () => {
    const lab = new Lab();
    const old = new Connection(lab).handshake();
    const far = (n: number): number => (old.isn + n * 0x50000000) >>> 0;
    new Connection(lab, { isn: far(2), natPort: 1025 }).handshake();
    new Connection(lab, { isn: 9, client: '10.0.0.6', natPort: 1024 }).handshake();
    assert.deepEqual(codes(await check(lab)), []);

    const again = new Lab();
    new Connection(again).handshake();
    again.now += 30e6;
    const fresh = new Connection(again, { isn: far(2), natPort: 1025 }).handshake();
    again.now += 95e6;
    fresh.up(0, { payload: 'still here' });
    new Connection(again, { isn: (fresh.isn + 0xa0000000) >>> 0, natPort: 1024 }).handshake();
    assert.deepEqual(codes(await check(again)), []);
  });

  it('knows clients with the same initial sequence number by their headers', async () => {
    const lab = new Lab();
    const one = new Connection(lab, { isn: 1000 });
    const two = new Connection(lab, { isn: 1000, client: '10.0.0.6', natPort: 1025 });
    const nine = new Connection(lab, { isn: 1000, client: '10.0.0.7', natPort: 1026 });
    for (const c of [one, two, nine]) lab.input.push(lab.at(c.sent(-1, { flags: SYN })));
    for (const c of [two, nine, one]) lab.provider.push(lab.at(c.carried(-1, { flags: SYN })));
    for (const c of [nine, one, two]) {
      const payload = header(c.client, c.port);
      lab.provider.push(lab.at(c.carried(0, { payload })));
      c.up(0, { payload: `I am ${c.client}` });
    }
    const report = await check(lab);
    assert.deepEqual(report.problems, []);
    assert.equal(report.streams.exact, 3);
  });

  it('knows clients with the same initial sequence number, and no header, by time and identification', async () => {
    const lab = new Lab();
    const many = [5, 6, 7].map(
      (n) => new Connection(lab, { isn: 1000, client: `10.0.0.${String(n)}`, natPort: 1020 + n, proxy: false }),
    );
    for (const c of many) c.up(-1, { flags: SYN }, false);
    for (const c of many.reverse()) c.up(0, { payload: `I am ${c.client}` });
    const report = await check(lab, { proxy: false });
    assert.deepEqual(report.problems, []);
    assert.equal(report.streams.exact, 3);
  });

  it('reads nothing into equal datagrams of many clients', async () => {
    const lab = new Lab();
    for (let n = 0; n < 20; n++) {
      question(lab, {
        client: `10.0.0.${String(10 + (n % 5))}`,
        natPort: 2000 + (n % 5),
        text: 'ping',
        answer: 'pong',
      });
    }
    assert.deepEqual(codes(await check(lab)), []);
    lab.provider.splice(lab.provider.length - 2, 1);
    assert.deepEqual(codes(await check(lab)), ['datagram-missing']);
  });
});
