/**
 * Streams survive: two simulated ends, the translator between them, and a network that loses, repeats and reorders.
 * The server must read the header once, first and whole, then the client's octets; the client the server's; neither is
 * ever shown what is not so (test/support/simulation.ts checks each packet).
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Gateway, lab } from '../support/gateway.js';
import { ACK, FIN, SYN, tcpPacket } from '../support/packets.js';
import { parseTcp } from '../support/parsed-tcp.js';
import { AZURE, AZURE_HEADER, clientSide, data, drawnScenario, scenarioOf, serverSide } from '../support/scenarios.js';
import { drawnAbort, endsOnAbort, survives } from '../support/streams.js';

describe('streams through the translator', () => {
  it('survive at every initial sequence number around the wrap of 2^32', () => {
    for (let n = -80; n < 80; n++) {
      survives({
        seed: n,
        hop: { loss: 0.05, duplicate: 0.1, jitterMs: 10 },
        client: clientSide({ iss: n >>> 0, data: data(n, 150), mss: 40, timestamps: n % 2 === 0 }),
        server: serverSide({ iss: (n + 17) >>> 0, data: data(n + 1, 120), mss: 100 }),
        proxy: AZURE,
      });
    }
  });

  it('survive at initial sequence numbers around 2^31, where signed numbers turn', () => {
    for (let n = -45; n < 5; n++) {
      survives({
        seed: n,
        hop: { loss: 0.1, duplicate: 0.1, jitterMs: 10 },
        client: clientSide({ iss: (0x80000000 + n) >>> 0, data: data(n, 150), mss: 40 }),
        server: serverSide({ iss: (0x80000000 - n) >>> 0, data: data(n + 1, 120), mss: 100 }),
        proxy: AZURE,
      });
    }
  });

  it('reach a server that speaks first, though the client never says anything and headers are lost', () => {
    for (let lost = 0; lost <= 5; lost++) {
      for (const cookies of [false, true]) {
        survives({
          seed: lost,
          hop: { loss: 0, duplicate: 0, jitterMs: 0 },
          client: clientSide({ close: 'peer-closed' }),
          server: serverSide({ data: data(lost, 400), writeAfter: AZURE_HEADER, cookies }),
          proxy: AZURE,
          headersLost: lost,
        });
      }
    }
  });

  it('begin with the header when the client speaks first and headers are lost', () => {
    for (let lost = 0; lost <= 8; lost++) {
      survives({
        seed: lost,
        hop: { loss: 0, duplicate: 0, jitterMs: 3 },
        client: clientSide({ data: data(lost, 700), mss: 120 }),
        server: serverSide({ data: data(lost, 400), writeAfter: AZURE_HEADER + 700 }),
        proxy: AZURE,
        headersLost: lost,
      });
    }
  });

  it('survive any loss, repetition and reordering', () => {
    fc.assert(
      fc.property(drawnScenario, (drawn) => survives(scenarioOf(drawn))),
      { numRuns: 250, seed: 1, endOnFailure: true },
    );
  });

  it('end when either side aborts, whenever that is', () => {
    fc.assert(fc.property(drawnAbort, endsOnAbort), { numRuns: 150, seed: 2, endOnFailure: true });
  });

  it('keep the newest time stamp for a header sent by timer, though an older ACK comes late', () => {
    const gateway = new Gateway(lab());
    const client = { src: '10.0.0.5', dst: '10.9.0.4', sport: 40000, dport: 443 };
    const stamp = (value: number): Uint8Array => Uint8Array.from([1, 1, 8, 10, 0, 0, 0, value, 0, 0, 0, 9]);
    const syn = gateway.fromConsumer(tcpPacket({ ...client, flags: SYN, seq: 999, options: stamp(1) }));
    const { source, sourcePort } = parseTcp(syn.out[0]!.octets);
    const server = { src: '172.16.0.1', dst: source, sport: 443, dport: sourcePort };
    gateway.fromProvider(tcpPacket({ ...server, flags: SYN | ACK, seq: 5000, ack: 1000, options: stamp(9) }));
    gateway.fromConsumer(tcpPacket({ ...client, seq: 1000, ack: 5001, options: stamp(7) }));
    gateway.fromConsumer(tcpPacket({ ...client, seq: 1000, ack: 5001, options: stamp(5) }));
    const again = gateway.advance(1000);
    assert.equal(again.length, 1, 'the timer sends the header');
    assert.equal(parseTcp(again[0]!.octets).options.get(8)!.readUInt32BE(0), 7);
  });

  it('go on to their end when a late copy of the SYN comes behind both FINs', () => {
    const gateway = new Gateway(lab());
    const client = { src: '10.0.0.5', dst: '10.9.0.4', sport: 40000, dport: 443 };
    const syn = tcpPacket({ ...client, flags: SYN, seq: 999 });
    const { source, sourcePort } = parseTcp(gateway.fromConsumer(syn).out[0]!.octets);
    const server = { src: '172.16.0.1', dst: source, sport: 443, dport: sourcePort };
    gateway.fromProvider(tcpPacket({ ...server, flags: SYN | ACK, seq: 5000, ack: 1000 }));
    gateway.fromConsumer(tcpPacket({ ...client, seq: 1000, ack: 5001 }));
    gateway.fromConsumer(tcpPacket({ ...client, flags: FIN | ACK, seq: 1000, ack: 5001, payload: 'lost' }));
    gateway.fromProvider(tcpPacket({ ...server, flags: FIN | ACK, seq: 5001, ack: 1036 }));
    gateway.fromConsumer(syn);
    const again = tcpPacket({ ...client, flags: FIN | ACK, seq: 1000, ack: 5002, payload: 'lost' });
    const { verdict, out } = gateway.fromConsumer(again);
    assert.equal(verdict, 'forward');
    assert.equal(parseTcp(out.at(-1)!.octets).seq, 1036);
  });
});
