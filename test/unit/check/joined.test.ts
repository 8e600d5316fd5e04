import assert from 'node:assert/strict';
import { ACK, FIN, PSH, RST, SYN, udpPacket } from '../../support/packets.js';
import type { CapturedPacket } from '../../support/packets.js';
import { BACKEND, Connection, ENDPOINT, Lab, check, codes, header } from './lab.js';

const DAY = 86_400e6;
const plain = { proxy: false };

describe('check of captures that were joined, played twice or cut', () => {
  it('knows cut datagrams of one length by the octets that are there', async () => {
    const lab = new Lab();
    const cut = (octets: Buffer): CapturedPacket & { octets: Buffer } => ({
      ...lab.at(octets.subarray(0, 60)),
      originalLength: octets.length,
    });
    for (let round = 0; round < 2; round++) {
      lab.tick();
      const sides = ['10.0.0.5', '10.0.0.6'].map((client, n) => {
        const payload = Buffer.alloc(200, client);
        return {
          input: cut(udpPacket({ src: client, sport: 5000, dst: ENDPOINT, dport: 53, payload })),
          provider: cut(udpPacket({ src: '198.18.0.1', sport: 2000 + n, dst: BACKEND, dport: 53, payload, ttl: 63 })),
        };
      });
      lab.input.push(...sides.map((s) => s.input));
      lab.provider.push(...(round === 0 ? sides : sides.reverse()).map((s) => s.provider));
    }
    assert.deepEqual(codes(await check(lab)), []);
    lab.provider[3]!.octets[59]! ^= 1;
    assert.deepEqual(codes(await check(lab)), ['datagram-missing', 'datagram-unexplained']);
  });

  it('knows a client’s datagram from an equal answer to one of another day', async () => {
    const lab = new Lab();
    for (const natPort of [2000, 2001]) {
      const up = { src: '10.0.0.5', sport: 5000, dst: ENDPOINT, dport: 53, payload: 'same' };
      const down = { src: ENDPOINT, sport: 53, dst: '10.0.0.5', dport: 5000, payload: 'same' };
      lab.input.push(lab.at(udpPacket(up)));
      lab.provider.push(lab.at(udpPacket({ ...up, src: '198.18.0.1', sport: natPort, dst: BACKEND, ttl: 63 })));
      lab.tick();
      lab.input.push(lab.at(udpPacket(down)));
      lab.provider.push(lab.at(udpPacket({ ...down, src: BACKEND, dst: '198.18.0.1', dport: natPort })));
      lab.consumer.push(lab.at(udpPacket({ ...down, ttl: 63 })));
      lab.now += DAY;
    }
    assert.deepEqual(codes(await check(lab)), []);
  });

  it('knows connections of one number, played twice and without header, by the time of each', async () => {
    const lab = new Lab();
    for (const round of [0, 1]) {
      const many = [5, 6].map((n) => {
        const c = { isn: 1000, client: `10.0.0.${String(n)}`, natPort: 1020 + n + 10 * round };
        return new Connection(lab, { ...c, ...plain });
      });
      if (round === 1) many.reverse();
      for (const c of many) c.up(-1, { flags: SYN }, false);
      for (const c of many) c.up(0, { payload: `I am ${c.client}` });
      lab.now += DAY;
    }
    assert.deepEqual(codes(await check(lab, plain)), []);
  });

  it('compares no acknowledgment before the header has told whose stream it is', async () => {
    const lab = new Lab();
    const one = new Connection(lab, { isn: 1000, serverIsn: 5000 });
    const two = new Connection(lab, { isn: 1000, serverIsn: 9000, client: '10.0.0.6', natPort: 1025 });
    for (const c of [one, two]) lab.input.push(lab.at(c.sent(-1, { flags: SYN })));
    for (const c of [two, one]) lab.provider.push(lab.at(c.carried(-1, { flags: SYN })));
    for (const c of [one, two]) lab.input.push(lab.at(c.sent(0, {})));
    for (const c of [one, two]) {
      lab.provider.push(lab.at(c.carried(0, { flags: PSH | ACK, payload: header(c.client, c.port) })));
    }
    assert.deepEqual(codes(await check(lab)), []);
    lab.provider.push(lab.at(two.carried(36, { ack: 5001 })));
    assert.deepEqual(codes(await check(lab)), ['ack-invented']);
  });

  it('takes no forgotten client that goes on for another in the middle at the same number', async () => {
    const lab = new Lab();
    new Connection(lab, plain).up(-1, { flags: SYN }, false);
    lab.now += DAY;
    const later = new Connection(lab, { natPort: 1025, ...plain });
    later.up(0, { flags: PSH | ACK, payload: 'where was I' });
    const other = new Connection(lab, { client: '10.0.0.6', natPort: 1026, serverIsn: 5000, ...plain });
    other.up(0, { flags: PSH | ACK, payload: 'somewhere else' });
    assert.deepEqual(codes(await check(lab, plain)), []);
  });

  it('lets no segment that may not be forwarded begin a stream in the middle', async () => {
    const lab = new Lab();
    const c = new Connection(lab, plain);
    lab.input.push(lab.at(c.sent(400, { flags: RST | ACK, options: Uint8Array.of(29, 4, 1, 1) })));
    c.up(500, { flags: PSH | ACK, payload: 'halfway' });
    c.down(0, 507, { flags: PSH | ACK, payload: 'heard' });
    assert.deepEqual(codes(await check(lab, plain)), []);
    lab.provider[0] = { ...lab.provider[0]!, octets: c.carried(500, { flags: PSH | ACK, payload: 'half-way' }) };
    assert.deepEqual(codes(await check(lab, plain)), ['octets-differ']);
  });

  it('requires nothing of a connection whose client has begun another, and all of the other', async () => {
    const lab = new Lab();
    const one = new Connection(lab, plain);
    const two = new Connection(lab, { isn: 0x30000000, ...plain });
    one.up(-1, { flags: SYN }, false);
    two.up(-1, { flags: SYN }, false);
    one.up(100, { flags: FIN | ACK });
    two.up(0, { payload: 'hello' });
    assert.deepEqual(codes(await check(lab, plain)), []);
    lab.provider.pop();
    assert.deepEqual(codes(await check(lab, plain)), ['octets-missing']);
  });
});
