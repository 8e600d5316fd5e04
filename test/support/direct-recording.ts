/**
 * A conversation without a translator, as a capture on the client's machine shows it: what the client sends, and what
 * reaches it. The network between loses, repeats and reorders.
 */
import { dotted, endpoint } from './gateway.js';
import { Random } from './random.js';
import type { Scenario } from './simulation.js';
import { type Host, SimulatedTcp } from './simulated-tcp.js';

export interface Tapped {
  readonly atMs: number;
  readonly from: 'client' | 'server';
  readonly octets: Buffer;
}

/** The server has the private endpoint's address. */
export function recordDirect(scenario: Scenario): Tapped[] {
  const random = new Random(scenario.seed);
  const { loss, duplicate, jitterMs } = scenario.hop;
  const tapped: Tapped[] = [];
  const events: { at: number; what: () => void }[] = [];
  let now = 0;
  const after = (ms: number, what: () => void): void => {
    let i = events.length;
    while (i > 0 && events[i - 1]!.at > now + ms) i--;
    events.splice(i, 0, { at: now + ms, what });
  };
  const cross = (deliver: () => void): void => {
    if (!random.chance(loss)) after(5 + random.int(0, jitterMs), deliver);
    if (random.chance(duplicate)) after(5 + random.int(0, 4 * jitterMs), deliver);
  };
  const host = (send: (packet: Buffer) => void): Host => ({
    get now() {
      return now;
    },
    random,
    after,
    send,
  });
  const tap = (from: 'client' | 'server', octets: Buffer): void => {
    tapped.push({ atMs: now, from, octets });
  };
  const client: SimulatedTcp = new SimulatedTcp(
    host((packet) => {
      tap('client', packet);
      cross(() => server.receive(packet));
    }),
    scenario.client,
  );
  const address = dotted(endpoint().address);
  const server: SimulatedTcp = new SimulatedTcp(
    host((packet) => {
      cross(() => {
        tap('server', packet);
        client.receive(packet);
      });
    }),
    { ...scenario.server, address },
  );
  server.listen();
  client.connect(address, scenario.server.port);
  for (let n = 0; n < 5000 && !(client.finished && server.finished); n++) {
    const event = events.shift();
    if (event === undefined) break;
    now = event.at;
    event.what();
  }
  return tapped;
}
