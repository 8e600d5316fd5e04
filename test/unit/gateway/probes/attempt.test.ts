import assert from 'node:assert/strict';
import { type Outcome, startProbe } from '../../../../src/gateway/probes/attempt.js';
import type { Probe } from '../../../../src/service/resources.js';
import type { TcpSettings } from '../../../support/simulated-tcp.js';
import { GOOD_LINE, type Line, PEER_ADDRESS, Peers, server } from './peer.js';

const LOCAL = '0d0a0d0a000d0a515549540a20000000';

const probe = (more: Partial<Probe> = {}): Probe => ({
  name: 'p',
  protocol: 'Http',
  port: 80,
  requestPath: '/health?a=b',
  intervalInSeconds: 15,
  numberOfProbes: 2,
  probeThreshold: null,
  noHealthyBackendsBehavior: 'AllProbedDown',
  ...more,
});
const tcp = probe({ protocol: 'Tcp', requestPath: null });
const answer = (text: string): Buffer => Buffer.from(text.replaceAll('\n', '\r\n'));
const OK = answer('HTTP/1.1 200 OK\nContent-Length: 2\n\nok');

interface Run {
  readonly peers: Peers;
  readonly outcome: Outcome | null;
  readonly ms: number;
}

async function run(which: Probe, settings: Partial<TcpSettings>, line: Line = GOOD_LINE, header = false): Promise<Run> {
  const peers = new Peers(server({ writeAfter: 1, ...settings }), line);
  let outcome: Outcome | null = null;
  let calls = 0;
  startProbe(peers.stack, peers.time, { probe: which, backend: PEER_ADDRESS, header }, (result) => {
    outcome = result;
    calls++;
  });
  await peers.time.runUntil(() => outcome !== null, 60_000);
  const ms = peers.time.now();
  await peers.time.pass(10_000);
  assert.ok(calls <= 1);
  assert.equal(peers.stack.count, 0, 'nothing is kept');
  return { peers, outcome, ms };
}

const failure = (reason: string, definite = false): Outcome => ({ healthy: false, reason, definite });

describe('probes: one probe', () => {
  it('TCP: a handshake is a success; the connection ends in order', async () => {
    const { peers, outcome, ms } = await run(tcp, { writeAfter: 0 });
    assert.deepEqual(outcome, { healthy: true });
    assert.equal(ms, 2);
    assert.equal(peers.server.stream.length, 0);
    assert.ok(peers.server.finished);
  });

  it('TCP: takes what a server says first, and still ends in order', async () => {
    const { peers, outcome } = await run(tcp, { data: Buffer.from('220 banner\r\n'), writeAfter: 0 });
    assert.deepEqual(outcome, { healthy: true });
    assert.ok(peers.server.finished);
  });

  it('TCP: sends the LOCAL header where the load balancer has one', async () => {
    const { peers, outcome } = await run(tcp, {}, GOOD_LINE, true);
    assert.deepEqual(outcome, { healthy: true });
    assert.equal(peers.server.stream.toString('hex'), LOCAL);
  });

  it('TCP: resets a server that does not end the connection', async () => {
    const { peers, outcome } = await run(tcp, { data: Buffer.from('x'), writeAfter: 1, close: 'written' });
    assert.deepEqual(outcome, { healthy: true });
    assert.equal(peers.server.state, 'reset');
  });

  it('TCP: a refusal is a failure, not one to act on at once', async () => {
    const peers = new Peers(server());
    peers.server.abort();
    let outcome: Outcome | null = null;
    startProbe(peers.stack, peers.time, { probe: tcp, backend: PEER_ADDRESS, header: false }, (o) => (outcome = o));
    await peers.time.runUntil(() => outcome !== null);
    assert.deepEqual(outcome, failure('connection refused'));
  });

  it('HTTP: asks for the path, and takes exactly 200 for a success', async () => {
    const { peers, outcome } = await run(probe(), { data: OK, close: 'written' });
    assert.deepEqual(outcome, { healthy: true });
    const request = peers.server.stream.toString();
    assert.match(request, /^GET \/health\?a=b HTTP\/1\.1\r\n/);
    assert.match(request, /\r\nuser-agent: Load Balancer Agent\r\n/i);
    assert.match(request, /\r\nhost: 10\.200\.2\.4:80\r\n/i);
    assert.match(request, /\r\nconnection: close\r\n/i);
  });

  it('HTTP: the LOCAL header goes before the request', async () => {
    const { peers, outcome } = await run(probe(), { data: OK }, GOOD_LINE, true);
    assert.deepEqual(outcome, { healthy: true });
    assert.equal(peers.server.stream.subarray(0, 16).toString('hex'), LOCAL);
    assert.match(peers.server.stream.subarray(16).toString(), /^GET /);
  });

  for (const status of ['204 No Content', '301 Moved', '404 Not Found', '500 Oops', '503 Busy']) {
    it(`HTTP: ${status} is a failure at once`, async () => {
      const data = answer(`HTTP/1.1 ${status}\nContent-Length: 0\nLocation: /\n\n`);
      const { outcome } = await run(probe(), { data, close: 'written' });
      assert.deepEqual(outcome, failure(`HTTP status ${status.slice(0, 3)}`, true));
    });
  }

  it('HTTP: 101 is a failure at once, also from a server that then speaks another protocol', async () => {
    for (const more of ['', 'Upgrade: websocket\nConnection: Upgrade\n']) {
      const data = answer(`HTTP/1.1 101 Switching Protocols\n${more}\n`);
      for (const close of ['written', undefined] as const) {
        const { outcome } = await run(probe(), { data, ...(close === undefined ? {} : { close }) });
        assert.deepEqual(outcome, failure('HTTP status 101', true));
      }
    }
  });

  it('HTTP: no HTTP, and no answer before the end, are failures', async () => {
    const noise = await run(probe(), { data: Buffer.from('SSH-2.0-x\r\n'), close: 'written' });
    assert.deepEqual(noise.outcome, failure('the answer is no HTTP'));
    const nothing = await run(probe(), { close: 'written' });
    assert.deepEqual(nothing.outcome, failure('the server ended the connection without an answer'));
  });

  it('HTTP: an interim answer is not the answer', async () => {
    const data = Buffer.concat([answer('HTTP/1.1 103 Early Hints\n\n'), OK]);
    assert.deepEqual((await run(probe(), { data })).outcome, { healthy: true });
  });

  it('HTTP: a RST is a failure at once', async () => {
    const peers = new Peers(server({ writeAfter: 1e6 }));
    peers.time.after(5, () => peers.server.abort());
    let outcome: Outcome | null = null;
    startProbe(peers.stack, peers.time, { probe: probe(), backend: PEER_ADDRESS, header: false }, (o) => (outcome = o));
    await peers.time.runUntil(() => outcome !== null, 60_000);
    assert.deepEqual(outcome, failure('connection reset', true));
  });

  it('gives an answer the interval, and no more than 30 seconds', async () => {
    for (const [intervalInSeconds, ms] of [
      [5, 5000],
      [15, 15_000],
      [120, 30_000],
    ] as const) {
      const slow = await run(probe({ intervalInSeconds }), { writeAfter: 1e6 });
      assert.deepEqual([slow.outcome, slow.ms], [failure(`no answer in ${String(ms / 1000)} s`), ms]);
      const deaf = await run({ ...tcp, intervalInSeconds }, {}, { ...GOOD_LINE, loss: 1 });
      assert.deepEqual([deaf.outcome, deaf.ms], [failure(`no answer in ${String(ms / 1000)} s`), ms]);
    }
  });

  it('succeeds over a bad line, with the header before all', async () => {
    for (let seed = 1; seed <= 25; seed++) {
      const line = { seed, loss: 0.15, duplicate: 0.1, jitterMs: 20 };
      const { outcome, peers } = await run(probe({ intervalInSeconds: 60 }), { data: OK, mss: 100 }, line, true);
      assert.deepEqual(outcome, { healthy: true }, `seed ${seed}`);
      assert.equal(peers.server.stream.subarray(0, 16).toString('hex'), LOCAL, `seed ${seed}`);
    }
  });

  it('ends at once when it is cancelled, and tells nothing', async () => {
    const peers = new Peers(server({ writeAfter: 1e6 }));
    const cancel = startProbe(peers.stack, peers.time, { probe: probe(), backend: PEER_ADDRESS, header: false }, () =>
      assert.fail('told'),
    );
    await peers.time.pass(10);
    cancel();
    await peers.time.pass(100_000);
    assert.equal(peers.server.state, 'reset');
    assert.equal(peers.stack.count, 0);
  });

  it('takes no endless body', async () => {
    const data = Buffer.concat([answer('HTTP/1.1 200 OK\n\n'), Buffer.alloc(60_000)]);
    const peers = new Peers(server({ data, writeAfter: 1 }));
    let outcome: Outcome | null = null;
    startProbe(peers.stack, peers.time, { probe: probe(), backend: PEER_ADDRESS, header: false }, (o) => (outcome = o));
    await peers.time.pass(200);
    assert.deepEqual(outcome, { healthy: true });
    assert.equal(peers.server.state, 'reset');
  });
});
