/** Conversations for the simulated network, drawn by fast-check or told in a few words. */
import fc from 'fast-check';
import type { ProxySpec } from '../../src/translate/topology.js';
import { proxyOfLength } from './gateway.js';
import { Random } from './random.js';
import type { TcpSettings } from './simulated-tcp.js';
import type { Scenario } from './simulation.js';

export const AZURE: ProxySpec = { dialect: 'azure' };
/** Octets of its header. */
export const AZURE_HEADER = 36;

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
export const clientSide = (over: Partial<TcpSettings>): TcpSettings => side(over);
export const serverSide = (over: Partial<TcpSettings>): TcpSettings =>
  side({ address: '172.16.0.1', port: 443, iss: 77_000, ...over });

/** What an application writes. */
export const data = (seed: number, length: number): Buffer => new Random(seed).octets(length);

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

/** A conversation and its network, as fast-check draws them: short to print. */
export const drawnScenario = fc.record({
  seed: fc.integer(),
  hop: hopArbitrary,
  client: endArbitrary,
  server: endArbitrary,
  header: fc.constantFrom(28, 31, 36, 37, 47, 64),
  headersLost: fc.constantFrom(0, 0, 1, 2, 5),
  order: fc.constantFrom('client-first', 'server-first', 'server-first-after-header', 'at-once'),
  closes: fc.constantFrom('both', 'client-last', 'server-last'),
});
export type Drawn = typeof drawnScenario extends fc.Arbitrary<infer T> ? T : never;

const scaleFor = (scale: number, buffer: number): number => (buffer >>> Math.max(0, scale) >= 4 ? scale : 0);

export const scenarioOf = ({ seed, hop, client, server, header, headersLost, order, closes }: Drawn): Scenario => {
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
