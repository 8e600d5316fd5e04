import assert from 'node:assert/strict';
import { CulvertError } from '../../../src/errors.js';
import { MetricsServer } from '../../../src/gateway/metrics.js';
import type { GatewayStatus } from '../../../src/gateway/status.js';
import { GatewayBench, labText } from './gateway-bench.js';

describe('the metrics server', () => {
  let status: () => GatewayStatus;
  let server: MetricsServer;
  let url: string;
  beforeEach(async () => {
    server = await MetricsServer.listen(0, { status: () => status() });
    url = `http://127.0.0.1:${String(server.port)}`;
  });
  afterEach(() => server.close());

  it('says that there is no status, as after a worker’s death, and goes on', async () => {
    status = () => {
      throw new CulvertError('WORKER_DIED', 'worker 1 ended: test');
    };
    const answer = await fetch(`${url}/metrics`);
    assert.deepEqual([answer.status, await answer.text()], [500, 'worker 1 ended: test\n']);
    const bench = await new GatewayBench().start(labText());
    status = () => bench.gateway.status();
    try {
      const next = await fetch(`${url}/metrics`);
      assert.equal(next.status, 200);
      assert.match(await next.text(), /^culvert_workers 1$/m);
    } finally {
      await bench.stop();
    }
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
  });

  it('takes GET and HEAD, and names what there is', async () => {
    assert.equal((await fetch(url, { method: 'POST' })).status, 405);
    const head = await fetch(`${url}/healthz`, { method: 'HEAD' });
    assert.deepEqual([head.status, await head.text()], [200, '']);
    assert.deepEqual([(await fetch(`${url}/else`)).status], [404]);
  });
});
