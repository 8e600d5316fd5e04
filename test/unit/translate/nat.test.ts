import assert from 'node:assert/strict';
import { OCTETS_BACK, OCTETS_OUT } from '../../../src/flow/flow-table.js';
import { address, Bench, endpoint, link, rule, topology } from '../../support/bench.js';
import { datagram, faults, ip, segment } from '../../support/dissect.js';
import { SYN, tcpPacket, udpPacket, withChecksum } from '../../support/packets.js';
import { BACKEND, CLIENT, ENDPOINT, NAT, only, Stream } from '../../support/stream.js';

const QUERY = { src: CLIENT, dst: ENDPOINT, sport: 5353, dport: 53 };
const plain = link({ proxy: null });

describe('address translation', () => {
  it('gives a consumer’s packet the NAT address, a port of the range, and the backend', () => {
    const b = new Bench(topology(link({ natPortFirst: 3000, natPortCount: 10 })));
    for (const packet of [tcpPacket({ ...QUERY, flags: SYN }), udpPacket({ ...QUERY, payload: 'odd' })]) {
      const { to, octets } = only(b.client(packet));
      const out = ip(octets);
      assert.equal(to, 'provider');
      assert.deepEqual([out.src, out.dst, out.ttl], [NAT, BACKEND, 63]);
      const port = out.payload.readUInt16BE(0);
      assert.ok(port >= 3000 && port < 3010);
      assert.equal(out.payload.readUInt16BE(2), 53);
      assert.deepEqual(
        out.payload.subarray(out.protocol === 6 ? 18 : 8),
        packet.subarray(out.protocol === 6 ? 38 : 28),
      );
    }
  });

  it('gives a backend’s packet the endpoint’s address and the consumer’s again', () => {
    const b = new Bench(topology());
    const sport = datagram(only(b.client(udpPacket({ ...QUERY, payload: 'q' }))).octets).sport;
    const { to, network, octets } = only(
      b.backend(udpPacket({ src: BACKEND, dst: NAT, sport: 53, dport: sport, payload: 'answer', ttl: 9 })),
    );
    const out = datagram(octets);
    assert.deepEqual([to, network], ['consumer', 0]);
    assert.deepEqual([out.src, out.sport, out.dst, out.dport, out.ttl], [ENDPOINT, 53, CLIENT, 5353, 8]);
    assert.equal(out.payload.toString(), 'answer');
  });

  it('keeps a flow’s port while it lives, one flow a tuple', () => {
    const b = new Bench(topology());
    const port = (fields = {}): number => datagram(only(b.client(udpPacket({ ...QUERY, ...fields }))).octets).sport;
    const first = port();
    assert.equal(port({ payload: 'again' }), first);
    const others = [port({ sport: 5354 }), port({ src: '10.0.0.6' }), port({ dport: 54 })];
    assert.equal(new Set([first, ...others]).size, 4);
    assert.equal(b.t.counters.flowsUdp, 4);
  });

  it('maps the frontend’s port to the backend’s, and back', () => {
    const rules = [
      rule({ frontendPort: 443, backendPort: 8443 }),
      rule({ frontendPort: 0, backendPort: 9, backends: [address('10.1.0.5')] }),
    ];
    const s = new Stream(new Bench(topology(link({ rules }))));
    const syn = segment(only(s.syn()).octets);
    assert.deepEqual([syn.dst, syn.dport], [BACKEND, 8443]);
    const reply = tcpPacket({ src: BACKEND, sport: 8443, dst: NAT, dport: s.natPort, flags: SYN | 16, ack: s.s });
    const back = segment(only(s.bench.backend(reply)).octets);
    assert.deepEqual([back.src, back.sport], [ENDPOINT, 443]);
    assert.equal(s.reply({ flags: SYN | 16 }).verdict, 'no-flow', 'from another port of the backend');
    const any = segment(only(s.bench.client(tcpPacket({ ...QUERY, dport: 80, flags: SYN }))).octets);
    assert.deepEqual([any.dst, any.dport], ['10.1.0.5', 80], 'all ports keep theirs');
  });

  it('leaves IP options, type of service, identification and flags alone', () => {
    const b = new Bench(topology(plain));
    const ipOptions = Buffer.from('9404000001010100', 'hex');
    const packet = udpPacket({ ...QUERY, ipOptions, tos: 0xb9, id: 0xbeef, df: false, payload: 'abc' });
    const out = only(b.client(packet)).octets;
    assert.deepEqual(out.subarray(20, 28), ipOptions);
    assert.deepEqual([ip(out).tos, ip(out).id, ip(out).fragment], [0xb9, 0xbeef, 0]);
  });

  it('leaves a trailer behind the packet out', () => {
    const b = new Bench(topology(plain));
    const packet = udpPacket({ ...QUERY, payload: 'abc' });
    assert.equal(only(b.client(packet, { trailer: 15 })).octets.length, packet.length);
    const s = new Stream(b);
    only(s.bench.client(s.clientPacket({ at: -1, flags: SYN }), { trailer: 6 }));
  });

  it('counts the octets of a flow both ways', () => {
    const b = new Bench(topology(plain));
    const sport = datagram(only(b.client(udpPacket({ ...QUERY, payload: 'four' }))).octets).sport;
    only(b.backend(udpPacket({ src: BACKEND, dst: NAT, sport: 53, dport: sport, payload: 'sixsix' })));
    const { counters } = b.t.flows;
    assert.deepEqual([counters[OCTETS_OUT >> 1], counters[OCTETS_BACK >> 1]], [32, 34]);
  });
});

describe('checksums', () => {
  it('of UDP stay 0 where the sender computed none', () => {
    const b = new Bench(topology());
    const out = datagram(only(b.client(udpPacket({ ...QUERY, payload: 'q', checksum: false }))).octets);
    assert.equal(out.checksum, 0);
    const reply = udpPacket({ src: BACKEND, dst: NAT, sport: 53, dport: out.sport, payload: 'a', checksum: false });
    assert.equal(datagram(only(b.backend(reply)).octets).checksum, 0);
  });

  it('of UDP that come out 0 are written 0xffff, both ways (RFC 768)', () => {
    const b = new Bench(topology());
    const checksum = (payload: Buffer): number =>
      datagram(only(b.client(udpPacket({ ...QUERY, payload }))).octets).checksum;
    const word = Buffer.alloc(2);
    word.writeUInt16BE(checksum(word), 0);
    assert.equal(checksum(word), 0xffff);
    const sport = datagram(only(b.client(udpPacket(QUERY))).octets).sport;
    const back = (payload: Buffer): number =>
      datagram(only(b.backend(udpPacket({ src: BACKEND, dst: NAT, sport: 53, dport: sport, payload }))).octets)
        .checksum;
    const other = Buffer.alloc(2);
    other.writeUInt16BE(back(other), 0);
    assert.equal(back(other), 0xffff);
  });

  it('of UDP cover the UDP length, whatever else the IPv4 payload holds', () => {
    const b = new Bench(topology());
    const packet = udpPacket({ ...QUERY, payload: 'abcdefgh' });
    packet.writeUInt16BE(12, 24);
    packet.writeUInt16BE(udpPacket({ ...QUERY, payload: 'abcd' }).readUInt16BE(26), 26);
    const out = only(b.client(packet)).octets;
    assert.equal(out.length, packet.length);
    assert.deepEqual(faults(out), []);
  });

  it('that came wrong leave wrong by the same difference, both ways', () => {
    const s = new Stream(new Bench(topology())).established();
    const wrong = (packet: Buffer, by: number): Buffer => {
      packet.writeUInt16BE((packet.readUInt16BE(36) + by) % 0xffff, 36);
      return packet;
    };
    for (const by of [1, 0x100, 0x7fff, 0xfffe]) {
      for (const [right, corrupt] of [
        [s.send({ payload: 'abc' }), s.bench.client(wrong(s.clientPacket({ payload: 'abc' }), by), { sound: false })],
        [s.reply({ acked: 36 }), s.bench.backend(wrong(s.backendPacket({ acked: 36 }), by), { sound: false })],
      ] as const) {
        const expected = wrong(only(right).octets, by);
        assert.equal(only(corrupt).octets.toString('hex'), expected.toString('hex'), `${by}`);
      }
    }
    const datagramOut = (packet: Buffer): Buffer => only(s.bench.client(packet, { sound: false })).octets;
    const expected = datagramOut(udpPacket({ ...QUERY, payload: 'abc' }));
    expected.writeUInt16BE((expected.readUInt16BE(26) + 3) % 0xffff, 26);
    const corrupt = udpPacket({ ...QUERY, payload: 'abc' });
    corrupt.writeUInt16BE((corrupt.readUInt16BE(26) + 3) % 0xffff, 26);
    assert.equal(datagramOut(corrupt).toString('hex'), expected.toString('hex'));
  });

  it('of packets that the capture cut are those of the whole packet', () => {
    const s = new Stream(new Bench(topology())).established();
    const whole = s.clientPacket({ payload: 'x'.repeat(501) });
    const right = only(s.bench.client(whole)).octets;
    const cut = only(s.bench.client(whole.subarray(0, 54), { missing: whole.length - 54 }));
    assert.equal(cut.missing, whole.length - 54);
    assert.deepEqual(cut.octets, right.subarray(0, 54));
    const query = udpPacket({ ...QUERY, payload: 'x'.repeat(501) });
    const rightQuery = only(s.bench.client(query)).octets;
    const cutQuery = only(s.bench.client(query.subarray(0, 28), { missing: query.length - 28, trailer: 0 }));
    assert.deepEqual(cutQuery.octets, rightQuery.subarray(0, 28));
  });
});

describe('networks, endpoints and services', () => {
  it('that use the same addresses are told apart by network', () => {
    const b = new Bench(
      topology(
        link({ name: 'one', endpoints: [endpoint({ linkId: 1 })] }),
        link({
          name: 'two',
          endpoints: [endpoint({ linkId: 2, network: 1 })],
          rules: [rule({ backends: [address('10.1.0.9')] })],
        }),
      ),
    );
    const linkId = (network: number, dst: string): [Stream, number] => {
      const s = new Stream(b, { network });
      assert.equal(ip(only(s.syn()).octets).dst, dst);
      assert.equal(only(s.synAck()).network, network);
      return [s, segment(only(s.send()).octets).payload.readUInt32LE(32)];
    };
    assert.equal(linkId(0, BACKEND)[1], 1);
    assert.equal(linkId(1, '10.1.0.9')[1], 2);
    assert.equal(b.t.flows.count, 2);
  });

  it('may share one backend and NAT address: each flow has its own port', () => {
    const b = new Bench(topology(link({ endpoints: [endpoint(), endpoint({ network: 1, linkId: 2 })] })));
    const one = new Stream(b, { network: 0 });
    const two = new Stream(b, { network: 1 });
    only(one.syn());
    only(two.syn());
    assert.notEqual(one.natPort, two.natPort);
    assert.equal(only(two.synAck()).network, 1);
    assert.equal(only(one.synAck()).network, 0);
  });

  it('Direct Connect sends every port of TCP and UDP to one address', () => {
    const b = new Bench(
      topology(
        link({
          rules: [],
          destination: address('172.16.5.5'),
          natAddresses: [address('192.0.2.1'), address('192.0.2.2')],
        }),
      ),
    );
    for (const dport of [1, 53, 443, 65535]) {
      const t = ip(only(b.client(tcpPacket({ ...QUERY, dport, flags: SYN }))).octets);
      const u = ip(only(b.client(udpPacket({ ...QUERY, dport }))).octets);
      for (const out of [t, u]) assert.deepEqual([out.dst, out.payload.readUInt16BE(2)], ['172.16.5.5', dport]);
    }
    const s = new Stream(b);
    only(s.syn());
    only(s.synAck());
    s.isHeader(only(s.send()));
  });

  it('end their flows at once when their connection is no longer approved', () => {
    const b = new Bench(topology(link({ endpoints: [endpoint(), endpoint({ network: 1 })] })));
    const one = new Stream(b).established();
    const two = new Stream(b, { network: 1 }).established();
    b.each(({ tables }) => {
      tables.endpoints[0]!.approved = false;
    });
    assert.equal(
      b.each((t) => t.endFlowsOf(0)),
      1,
    );
    assert.equal(one.reply({ acked: 36 }).verdict, 'no-flow');
    assert.equal(one.send({ payload: 'x' }).verdict, 'midstream');
    assert.equal(one.syn().verdict, 'not-approved');
    assert.equal(two.reply({ acked: 36 }).verdict, 'forward');
  });
});

describe('distribution', () => {
  const backends = Array.from({ length: 8 }, (_, i) => address(`10.1.0.${10 + i}`));
  const both = (distribution: 'Default' | 'SourceIP' | 'SourceIPProtocol', network = 0): Bench =>
    new Bench(
      topology(
        link({
          rules: [rule({ backends, distribution }), rule({ backends, distribution, protocol: 17 })],
          endpoints: [endpoint({ network })],
        }),
      ),
    );
  const chosen = (b: Bench, fields: { src?: string; sport?: number; dport?: number }, udp = false): string => {
    const packet = udp ? udpPacket({ ...QUERY, ...fields }) : tcpPacket({ ...QUERY, ...fields, flags: SYN });
    return ip(only(b.client(packet)).octets).dst;
  };

  it('Default: five parts; every connection on its own', () => {
    const b = both('Default');
    const seen = new Set(Array.from({ length: 200 }, (_, i) => chosen(b, { sport: 1000 + i })));
    assert.equal(seen.size, 8);
    const ports = new Set(Array.from({ length: 200 }, (_, i) => chosen(b, { dport: 1000 + i })));
    assert.equal(ports.size, 8);
  });

  it('SourceIP: two parts; a consumer keeps its backend over ports and protocols', () => {
    const b = both('SourceIP');
    const seen = new Set<string>();
    for (let host = 1; host <= 60; host++) {
      const src = `10.0.0.${host}`;
      const first = chosen(b, { src });
      seen.add(first);
      for (let i = 0; i < 10; i++) assert.equal(chosen(b, { src, sport: 2000 + i, dport: 80 + i }), first);
      assert.equal(chosen(b, { src, sport: 7 }, true), first);
    }
    assert.equal(seen.size, 8);
  });

  it('SourceIPProtocol: three parts; TCP and UDP part company', () => {
    const b = both('SourceIPProtocol');
    let apart = 0;
    for (let host = 1; host <= 60; host++) {
      const src = `10.0.0.${host}`;
      const first = chosen(b, { src });
      const udp = chosen(b, { src }, true);
      assert.equal(chosen(b, { src, sport: 2001, dport: 81 }), first);
      assert.equal(chosen(b, { src, sport: 2001, dport: 81 }, true), udp);
      if (udp !== first) apart++;
    }
    assert.ok(apart > 30, `${apart} of 60`);
  });

  it('makes the same choice for the same input, to the octet', () => {
    const one = both('Default');
    const two = both('Default');
    for (let i = 0; i < 50; i++) {
      const packet = tcpPacket({ ...QUERY, sport: 1000 + i, flags: SYN });
      assert.deepEqual(only(one.client(packet)).octets, only(two.client(packet)).octets);
    }
  });
});

describe('bench', () => {
  it('judges what comes out: a wrong checksum does not pass for right', () => {
    const packet = udpPacket({ ...QUERY, payload: 'x' });
    packet.writeUInt8(0x79, 28);
    assert.deepEqual(faults(packet), ['UDP checksum']);
    assert.deepEqual(faults(withChecksum(packet)), []);
  });
});
