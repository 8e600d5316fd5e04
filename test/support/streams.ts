/** What must come of a simulated conversation. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { drawnScenario, scenarioOf } from './scenarios.js';
import { type Scenario, type Simulation, simulate } from './simulation.js';

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

/** The server reads the header and the client's octets, the client the server's, and both end. */
export const survives = (scenario: Scenario): void => simulate(scenario, bothFinished, checkStreams);

export const drawnAbort = fc.record({
  scenario: drawnScenario,
  who: fc.constantFrom('client' as const, 'server' as const),
  atMs: fc.oneof(fc.integer({ min: 0, max: 80 }), fc.integer({ min: 0, max: 2000 })),
});
type Abort = typeof drawnAbort extends fc.Arbitrary<infer T> ? T : never;

/** One side aborts, and the other hears of it. */
export function endsOnAbort({ scenario, who, atMs }: Abort): void {
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
}
