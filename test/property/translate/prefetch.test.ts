import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FlowTable, STRIDE } from '../../../src/flow/flow-table.js';
import * as F from '../../../src/flow/flow-table.js';
import { Translator } from '../../../src/translate/translator.js';
import { endpoint, link, topology } from '../../support/bench.js';
import { SYN, tcpPacket } from '../../support/packets.js';

const FLOWS = 20_000;
const SCRATCH = 4096;

describe('prefetching', () => {
  // More flows than those for which it does nothing.
  const slab = Buffer.alloc(SCRATCH + (1 << 18));
  const t = new Translator(topology(link({ endpoints: [endpoint({ network: 1 })] })), slab, SCRATCH, slab.length, {
    maxFlows: FLOWS,
  });
  before(() => {
    t.start(0);
    for (let f = 0; f < FLOWS; f++) {
      const src = `10.0.${f >> 8}.${(f & 255) % 250}`;
      slab.set(tcpPacket({ src, dst: '10.9.0.4', sport: 1024 + f, dport: 443, seq: f, flags: SYN }));
      t.begin();
      assert.equal(t.fromConsumer(0, 40, 1), 0);
    }
  });

  it('takes any octets and offsets, and changes neither packets nor flows', () => {
    const records = Buffer.from(t.flows.records.slice(0, FLOWS * STRIDE).buffer);
    const octets = fc.uint8Array({ minLength: 64, maxLength: 64 });
    const offsets = fc.array(fc.oneof(fc.nat(SCRATCH), fc.constantFrom(slab.length, slab.length - 1)), {
      maxLength: 300,
    });
    fc.assert(
      fc.property(octets, offsets, fc.integer({ min: -1, max: 3 }), (packet, list, network) => {
        slab.set(packet);
        const before = Buffer.from(slab);
        t.prefetch(Int32Array.from([0, ...list]), list.length + 1, network);
        assert.ok(slab.equals(before));
      }),
      { numRuns: 50 },
    );
    assert.ok(records.equals(Buffer.from(t.flows.records.slice(0, FLOWS * STRIDE).buffer)));
  });

  it('reads the records of the packets that come, either way', () => {
    const { records: r } = t.flows;
    for (let f = 0; f < 400; f++) {
      const at = f * STRIDE;
      const put = (from: number, to: number, ports: number): void => {
        slab[9] = 6;
        slab.writeInt32BE(from, 12);
        slab.writeInt32BE(to, 16);
        slab.writeInt32BE(ports, 20);
      };
      put(r[at + F.CONSUMER]!, r[at + F.ENDPOINT_ADDRESS]!, r[at + F.CONSUMER_PORTS]!);
      t.prefetch(Int32Array.of(0), 1, 1);
      assert.equal(t.core.prefetched, r[at + F.CLIENT_NEXT]! ^ r[at + F.ENDPOINT]!);
      const ports = r[at + F.PROVIDER_PORTS]!;
      put(r[at + F.BACKEND]!, r[at + F.NAT_ADDRESS]!, (ports << 16) | (ports >>> 16));
      t.prefetch(Int32Array.of(0), 1, -1);
      assert.equal(t.core.prefetched, r[at + F.CONSUMER]! ^ r[at + F.SERVER_NEXT]!);
    }
  });

  it('reads the records that look-ups find, from either side', () => {
    const table = new FlowTable(64, 1);
    const flows = Array.from({ length: 8 }, (_, i) => {
      const at = table.allocate() * STRIDE;
      table.records[at + F.CONSUMER] = 1000 + i;
      table.records[at + F.ENDPOINT_ADDRESS] = 2000;
      table.records[at + F.CONSUMER_PORTS] = (i << 16) | 443;
      table.records[at + F.CONSUMER_SCOPE] = (2 << 8) | 6;
      table.records[at + F.NAT_ADDRESS] = 3000;
      table.records[at + F.BACKEND] = 4000;
      table.records[at + F.PROVIDER_PORTS] = ((500 + i) << 16) | 80;
      table.records[at + F.CLIENT_NEXT] = 5000 + i;
      table.records[at + F.ENDPOINT] = 6000 + i * 16;
      table.records[at + F.SERVER_NEXT] = 7000 + i;
      table.link(at / STRIDE);
      return at;
    });
    for (const [i, at] of flows.entries()) {
      const { records: r } = table;
      const out = table.hash(1000 + i, 2000, (i << 16) | 443, (2 << 8) | 6);
      assert.equal(table.prefetch(Int32Array.of(out), 1, false), r[at + F.CLIENT_NEXT]! ^ r[at + F.ENDPOINT]!);
      // As a backend sends it: its own port first.
      const back = table.hash(4000, 3000, (80 << 16) | (500 + i), 6);
      assert.equal(table.prefetch(Int32Array.of(back), 1, true), r[at + F.CONSUMER]! ^ r[at + F.SERVER_NEXT]!);
    }
  });

  it('brings in all that a usual segment touches of its record, in two cache lines', () => {
    const tuples = [F.CONSUMER, F.ENDPOINT_ADDRESS, F.CONSUMER_PORTS, F.CONSUMER_SCOPE];
    tuples.push(F.NAT_ADDRESS, F.BACKEND, F.PROVIDER_PORTS);
    const both = [...tuples, F.STATUS, F.DELTAS, F.START, F.WINDOWS, F.SEEN, F.ENDPOINT];
    const client = [...both, F.CLIENT_NEXT, F.CLIENT_ACK, F.OCTETS_OUT, F.OCTETS_OUT + 1];
    const server = [...both, F.SERVER_NEXT, F.SERVER_ACK, F.OCTETS_BACK, F.OCTETS_BACK + 1];
    const lineOf = (record: number, column: number): number => (record * STRIDE * 4 + column * 4) >> 6;
    // A record begins at one of four places in a line.
    for (let record = 0; record < 4; record++) {
      const lines = (columns: number[]): number[] => [...new Set(columns.map((c) => lineOf(record, c)))].sort();
      assert.deepEqual(lines(client), lines([F.CLIENT_NEXT, F.ENDPOINT]));
      assert.deepEqual(lines(server), lines([F.CONSUMER, F.SERVER_NEXT]));
    }
  });
});
