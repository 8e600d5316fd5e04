import assert from 'node:assert/strict';
import { Translator } from '../../../src/translate/translator.js';
import { Bench, link, rule, topology } from '../../support/bench.js';
import { ACK, SYN, tcpPacket } from '../../support/packets.js';
import { Stream } from '../../support/stream.js';

describe('limits', () => {
  it('hold a flow half open for its short limit only, whatever the client sends, until a SYN-ACK was seen', () => {
    const bench = new Bench(topology(link()));
    const s = new Stream(bench);
    s.syn();
    s.send();
    bench.pass(59_000);
    assert.equal(bench.t.flows.count, 1);
    bench.pass(2_000);
    assert.equal(bench.t.flows.count, 0);
  });

  it('let no due header be lost where one burst has no room for all', () => {
    // Scratch for two headers at a time.
    const slab = Buffer.alloc(4096);
    const t = new Translator(topology(link()), slab, 2048, 2048 + 256, { maxFlows: 64 });
    const put = (packet: Buffer): number => {
      t.begin();
      packet.copy(slab, 64);
      return 64 + packet.length;
    };
    for (let i = 0; i < 9; i++) {
      const from = { src: '10.0.0.5', dst: '10.9.0.4', sport: 40_000 + i, dport: 443 };
      t.fromConsumer(64, put(tcpPacket({ ...from, seq: 99, flags: SYN })), 0);
      const out = slab.readUInt16BE(64 + 20);
      const nat = { src: '10.1.0.4', dst: '192.0.2.1', sport: 443, dport: out };
      t.fromProvider(64, put(tcpPacket({ ...nat, seq: 499, ack: 100, flags: SYN | ACK })));
      t.fromConsumer(64, put(tcpPacket({ ...from, seq: 100, ack: 500, flags: ACK })), 0);
    }
    assert.equal(t.counters.headersInserted, 9);
    for (let ms = 240; ms < 600; ms += 8) {
      for (let done = false; !done;) {
        t.begin();
        done = t.advance(ms);
        if (ms > 320) break; // the first round is due once for each of the nine
      }
      if (ms > 320) break;
    }
    assert.equal(t.counters.headersResent, 9);
  });

  it('let no reset of an idle flow be lost where one burst has no room for all', () => {
    const slab = Buffer.alloc(4096);
    const resets = link({ rules: [rule({ tcpReset: true, idleTimeoutMs: 1000 })], proxy: null });
    const t = new Translator(topology(resets), slab, 2048, 2048 + 256, { maxFlows: 64 });
    const put = (packet: Buffer): number => {
      t.begin();
      packet.copy(slab, 64);
      return 64 + packet.length;
    };
    for (let i = 0; i < 9; i++) {
      const from = { src: '10.0.0.5', dst: '10.9.0.4', sport: 40_000 + i, dport: 443 };
      t.fromConsumer(64, put(tcpPacket({ ...from, seq: 99, flags: SYN })), 0);
      const nat = { src: '10.1.0.4', dst: '192.0.2.1', sport: 443, dport: slab.readUInt16BE(64 + 20) };
      t.fromProvider(64, put(tcpPacket({ ...nat, seq: 499, ack: 100, flags: SYN | ACK })));
      t.fromConsumer(64, put(tcpPacket({ ...from, seq: 100, ack: 500, flags: ACK })), 0);
    }
    let sent = 0;
    for (let ms = 1000; ms < 4000; ms += 100) {
      for (let done = false; !done;) {
        t.begin();
        done = t.advance(ms);
        sent += t.outbox.count;
      }
    }
    assert.equal(sent, 18);
    assert.equal(t.flows.count, 0);
  });

  it('strip a cut SYN whose data would change sides in the sum behind an odd header', () => {
    const tlvs = [{ type: 0xe7, value: Buffer.alloc(2) }]; // 28 + 5 octets
    const odd = link({ proxy: { dialect: 'custom', tlvs, crc32c: false } });
    const bench = new Bench(topology(odd), { fastOpen: 'carry' });
    const syn = tcpPacket({
      src: '10.0.0.5',
      dst: '10.9.0.4',
      sport: 40_000,
      dport: 443,
      seq: 99,
      flags: SYN,
      payload: 'data that the capture cut off',
    });
    const out = bench.client(syn.subarray(0, syn.length - 9), { missing: 9 });
    assert.equal(out.sent[0]!.octets.length, 40);
    assert.equal(bench.t.counters.fastOpenStripped, 1);
  });
});
