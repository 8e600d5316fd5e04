import assert from 'node:assert/strict';
import { Bench, link, topology } from '../../support/bench.js';
import { ACK, SYN } from '../../support/packets.js';
import { Stream } from '../../support/stream.js';

/** A SYN with a cookie and data (RFC 7413). */
const FAST_OPEN = { options: Buffer.from([34, 10, 1, 2, 3, 4, 5, 6, 7, 8]), payload: 'early data' };

/** The metrics of Azure Monitor count what consumers send and get, not what culvert adds or takes away. */
describe('octets of an endpoint', () => {
  for (const proxy of [{ dialect: 'azure' } as const, null]) {
    it(`are those of the packets that the client sent and got${proxy === null ? '' : ', header and all'}`, () => {
      const b = new Bench(topology(link({ proxy })));
      const s = new Stream(b);
      let out = 0;
      let back = 0;
      const sends = (packet: Buffer): void => {
        out += packet.length;
        assert.equal(b.client(packet).verdict, 'forward');
      };
      const gets = (packet: Buffer): void => {
        const { sent } = b.backend(packet);
        back += sent[0]!.octets.length;
      };
      s.syn();
      const header = proxy === null ? 0 : s.length;
      out += s.clientPacket({ flags: SYN, at: -1, ack: 0 }).length;
      gets(s.backendPacket({ flags: SYN | ACK, at: -1, acked: 0 }));
      sends(s.clientPacket({}));
      sends(s.clientPacket({}));
      sends(s.clientPacket({ payload: 'a question' }));
      gets(s.backendPacket({ acked: header + 10 }));
      gets(s.backendPacket({ acked: header + 10, payload: 'an answer' }));
      sends(s.clientPacket({ at: 10, acked: 9 }));
      assert.deepEqual([...b.t.tables.octets.subarray(0, 2)], [out, back]);
      b.pass(60_000); // headers sent again would be culvert's own
      assert.deepEqual([...b.t.tables.octets.subarray(0, 2)], [out, back]);
    });
  }

  for (const fastOpen of ['strip', 'carry'] as const) {
    it(`are those of a SYN with data as it came (${fastOpen})`, () => {
      const b = new Bench(topology(), { fastOpen });
      const s = new Stream(b);
      const syn = s.clientPacket({ flags: SYN, at: -1, ack: 0, ...FAST_OPEN });
      const [sent] = b.client(syn).sent;
      assert.notEqual(sent!.octets.length, syn.length);
      assert.equal(b.t.tables.octets[0], syn.length);
    });
  }

  it('do not count what is dropped', () => {
    const b = new Bench(topology());
    const s = new Stream(b);
    b.client(s.clientPacket({}));
    s.natPort = 4000; // of no flow
    b.backend(s.backendPacket({ flags: SYN | ACK }));
    assert.deepEqual([...b.t.tables.octets.subarray(0, 2)], [0, 0]);
  });
});
