/**
 * Streams survive: two simulated ends, the translator between them, and a network that loses, repeats and reorders.
 * The server must read the header once, first and whole, then the client's octets; the client the server's; neither is
 * ever shown what is not so (test/support/simulation.ts checks each packet).
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { ProxySpec } from '../../src/translate/topology.js';
import { Gateway, lab, proxyOfLength } from '../support/gateway.js';
import { ACK, SYN, tcpPacket } from '../support/packets.js';
import { parseTcp } from '../support/parsed-tcp.js';
import { Random } from '../support/random.js';
import type { TcpSettings } from '../support/simulated-tcp.js';
import { type Scenario, type Simulation, simulate } from '../support/simulation.js';

const AZURE: ProxySpec = { dialect: 'azure' };
const AZURE_HEADER = 36;

const side = (over: Partial<TcpSettings>): TcpSettings => ({
  address: '10.0.0.5',
  port: 40000,
  iss: 1000,
  mss: 500,
  scale: 2,
  timestamps: true,
  sack: true,
  buffer: 8000,
  readRate: Infinity,
  data: Buffer.alloc(0),
  writeAfter: 0,
  close: 'written',
  probe: 'old',
  ...over,
});
const clientSide = (over: Partial<TcpSettings>): TcpSettings => side(over);
const serverSide = (over: Partial<TcpSettings>): TcpSettings =>
  side({ address: '172.16.0.1', port: 443, iss: 77_000, ...over });

const bothFinished = (s: Simulation): boolean => s.client.finished && s.server.finished;

function checkStreams(s: Simulation): void {
  const { header } = s;
  assert(header !== null, 'no header was sent');
  const { client, server } = s;
  const read = server.stream;
  assert.deepEqual(read.subarray(0, header.length), header, 'the header comes first');
  assert.deepEqual(read.subarray(header.length), client.settings.data, 'then what the client wrote');
  assert.deepEqual(client.stream, server.settings.data, 'the client reads what the server wrote');
}

const survives = (scenario: Scenario): void => simulate(scenario, bothFinished, checkStreams);

describe('streams through the translator', () => {
  const data = (seed: number, length: number): Buffer => new Random(seed).octets(length);

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

  const endArbitrary = fc.record({
    iss: fc.oneof(
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.integer({ min: -200, max: 200 }).map((n) => n >>> 0),
    ),
    mss: fc.integer({ min: 40, max: 600 }),
    scale: fc.constantFrom(-1, 0, 1, 3, 7), // as far as the buffer allows
    timestamps: fc.boolean(),
    sack: fc.boolean(),
    buffer: fc.oneof(fc.integer({ min: 16, max: 300 }), fc.integer({ min: 300, max: 30_000 })),
    readRate: fc.constantFrom(Infinity, Infinity, 20, 300),
    octets: fc.oneof(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 3000 })),
    probe: fc.constantFrom('old' as const, 'octet' as const),
  });
  const hopArbitrary = fc.record({
    loss: fc.constantFrom(0, 0.02, 0.1, 0.2),
    duplicate: fc.constantFrom(0, 0.05, 0.3),
    jitterMs: fc.constantFrom(0, 3, 20, 100),
  });

  const drawnScenario = fc.record({
    seed: fc.integer(),
    hop: hopArbitrary,
    client: endArbitrary,
    server: endArbitrary,
    header: fc.constantFrom(28, 31, 36, 37, 47, 64),
    headersLost: fc.constantFrom(0, 0, 1, 2, 5),
    order: fc.constantFrom('client-first', 'server-first', 'server-first-after-header', 'at-once'),
    closes: fc.constantFrom('both', 'client-last', 'server-last'),
  });
  type Drawn = typeof drawnScenario extends fc.Arbitrary<infer T> ? T : never;

  const scaleFor = (scale: number, buffer: number): number => (buffer >>> Math.max(0, scale) >= 4 ? scale : 0);

  const scenarioOf = ({ seed, hop, client, server, header, headersLost, order, closes }: Drawn): Scenario => {
    const serverWaits: Partial<Record<string, number>> = {
      'client-first': header + client.octets,
      'server-first-after-header': header,
    };
    // A window smaller than the header takes it in parts, one a sending; of these there are six.
    const narrow = server.buffer < header;
    return {
      seed,
      hop: narrow ? { ...hop, loss: 0 } : hop,
      headersLost: narrow ? 0 : headersLost,
      proxy: proxyOfLength(header),
      client: clientSide({
        ...client,
        scale: scaleFor(client.scale, client.buffer),
        data: data(seed, client.octets),
        writeAfter: order.startsWith('server-first') ? server.octets : 0,
        close: closes === 'client-last' ? 'peer-closed' : 'written',
      }),
      server: serverSide({
        ...server,
        scale: scaleFor(server.scale, server.buffer),
        // A SYN-ACK that offers smaller segments than the header is refused.
        mss: Math.max(server.mss, header + 12),
        data: data(seed + 1, server.octets),
        writeAfter: serverWaits[order] ?? 0,
        close: closes === 'server-last' ? 'peer-closed' : 'written',
      }),
    };
  };

  it('survive any loss, repetition and reordering', () => {
    fc.assert(
      fc.property(drawnScenario, (drawn) => survives(scenarioOf(drawn))),
      { numRuns: 250, seed: 1, endOnFailure: true },
    );
  });

  it('end when either side aborts, whenever that is', () => {
    const drawn = fc.record({
      scenario: drawnScenario,
      who: fc.constantFrom('client' as const, 'server' as const),
      atMs: fc.oneof(fc.integer({ min: 0, max: 80 }), fc.integer({ min: 0, max: 2000 })),
    });
    fc.assert(
      fc.property(drawn, ({ scenario, who, atMs }) => {
        // An RST behind a window that does not even take the header is nothing to its receiver.
        const server = { ...scenario.server, buffer: Math.max(scenario.server.buffer, 300) };
        const drawnOnce = scenarioOf({ ...scenario, server });
        // A lost RST is not sent again until its receiver says something, and that may be never.
        const abort = who === 'client' ? { clientAborts: atMs } : { serverAborts: atMs };
        const gone = (s: Simulation): boolean => {
          const other = who === 'client' ? s.server : s.client;
          const never = who === 'client' && other.state === 'listen' && s.now > 20_000;
          return (s.now > atMs && (other.state === 'reset' || never)) || bothFinished(s);
        };
        simulate({ ...drawnOnce, ...abort, hop: { ...drawnOnce.hop, loss: 0 } }, gone, () => undefined);
      }),
      { numRuns: 150, seed: 2, endOnFailure: true },
    );
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
});
