import assert from 'node:assert/strict';
import { exposition } from '../../../src/gateway/metrics.js';
import { udpPacket } from '../../support/packets.js';
import { GatewayBench, labText } from './gateway-bench.js';

/** Octets of an IPv4 datagram. */
const datagram = (payload: string): number => 20 + 8 + payload.length;

describe('metrics, against counted traffic', () => {
  let bench: GatewayBench;
  beforeEach(async () => {
    bench = await new GatewayBench().start(labText({ translation: '{ natPorts: { first: 2000, count: 10 } }' }));
  });
  afterEach(() => bench.stop());

  /** The value of a series, written as in the exposition; its labels in any order. */
  async function value(series: string): Promise<number> {
    const text = await exposition(bench.gateway.status());
    const line = text.split('\n').find((each) => each.startsWith(`${series} `));
    assert.ok(line !== undefined, `${series} is not in\n${text}`);
    return Number(line.slice(series.length));
  }

  const ofRed = '{endpoint="red-web",network="red",service="web"}';

  it('have the octets of each endpoint, and of the service all, also of endpoints that are gone', async () => {
    bench.send('red', 1, 'a question');
    bench.answer('red', 'yes');
    bench.send('blue', 1, '');
    const octetsIn = datagram('a question') + datagram('');
    assert.equal(await value(`PEBytesIn${ofRed}`), datagram('a question'));
    assert.equal(await value(`PEBytesOut${ofRed}`), datagram('yes'));
    assert.equal(await value('PLSBytesIn{service="web"}'), octetsIn);
    assert.equal(await value('PLSBytesOut{service="web"}'), datagram('yes'));
    const text = labText();
    const without = text.replace(/^ {2}red-web: .*\n/m, '');
    assert.ok(bench.reload(without));
    assert.equal(await value('PLSBytesIn{service="web"}'), octetsIn);
    // Its record goes to another endpoint.
    assert.ok(
      bench.reload(
        without.replace(
          /^( {2}blue-web: .*)$/m,
          (line) => `${line}\n${line.replace('blue-web', 'more').replace('10.0.0.9', '10.0.0.8')}`,
        ),
      ),
    );
    assert.equal(await value('PEBytesIn{endpoint="more",network="blue",service="web"}'), 0);
    assert.equal(await value('PLSBytesIn{service="web"}'), octetsIn);
    assert.equal(await value('PLSBytesOut{service="web"}'), datagram('yes'));
  });

  it('have the ports in use to the last one, and what was refused', async () => {
    for (let port = 1; port <= 10; port++) {
      assert.notEqual(bench.send('red', port), null);
      assert.equal(await value('PLSNatPortsUsage{service="web",address="10.200.1.4"}'), 10 * port);
    }
    assert.equal(bench.send('red', 11), null);
    assert.equal(await value('PLSNatPortsUsage{service="web",address="10.200.1.4"}'), 100);
    assert.equal(await value('culvert_drops_total{reason="nat-exhausted"}'), 1);
    assert.equal(await value('culvert_flows'), 10);
    assert.equal(await value('culvert_flows_opened_total{protocol="udp"}'), 10);
    assert.equal(await value('culvert_flows_limit'), bench.gateway.status().flows.most);
  });

  it('have what found no interface to go to, once, beside what an interface did not take', async () => {
    const { pump } = bench;
    const provider = pump.ports.find(({ device }) => device === bench.machine.device('provider'))!;
    bench.send('red', 1);
    assert.equal(await value('culvert_no_device_total'), 0);
    const { natAddresses } = provider;
    pump.assign([[provider, -1, new Int32Array(0)]]);
    assert.equal(bench.send('red', 1), null);
    assert.equal(bench.send('blue', 1), null);
    assert.equal(await value('culvert_no_device_total'), 2);
    assert.equal(await value('culvert_packets_lost_total{network="provider",device="cv-provider"}'), 0);
    assert.equal(bench.gateway.status().lost, 2);
    pump.assign([[provider, -1, natAddresses]]);
    assert.notEqual(bench.send('red', 1), null);
    assert.equal(await value('culvert_no_device_total'), 2);
  });

  it('have each end of a flow', async () => {
    bench.send('red', 1);
    bench.send('red', 2);
    bench.send('blue', 1);
    assert.ok(bench.reload(labText().replace(/^( {2}red-web: .*)status: Approved/m, '$1status: Rejected')));
    assert.equal(await value('culvert_flows_evicted_total{reason="withdrawn"}'), 2);
    for (const reason of ['replaced', 'refused']) {
      assert.equal(await value(`culvert_flows_evicted_total{reason="${reason}"}`), 0);
    }
    assert.equal(await value('culvert_flows_closed_total'), 0);
    assert.equal(await value('culvert_flows_expired_total'), 0);
    assert.equal(await value('culvert_flows_opened_total{protocol="udp"}'), 3);
    assert.equal(await value('culvert_flows'), 1);
  });

  it('have the latency of each packet that was read, as a histogram', async () => {
    bench.send('red', 1);
    bench.answer('red');
    bench.send('red', 1);
    assert.equal(await value('culvert_packet_seconds_count'), 3);
    const bounds = [4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];
    const counts = await Promise.all(
      [...bounds.map((us) => String(us / 1e6)), '+Inf'].map((le) => value(`culvert_packet_seconds_bucket{le="${le}"}`)),
    );
    assert.equal(counts.at(-1), 3);
    counts.forEach((n, i) => {
      assert.ok(i === 0 || n >= counts[i - 1]!, `cumulative: ${counts.join()}`);
    });
    const sum = await value('culvert_packet_seconds_sum');
    assert.ok(sum > 0 && sum < 1, String(sum));
    const text = await exposition(bench.gateway.status());
    assert.match(text, /^# TYPE culvert_packet_seconds histogram$/m);
  });

  it('have fragments that wait, and datagrams that were forgotten for others', async () => {
    const whole = udpPacket({ src: '10.0.0.5', dst: '10.0.0.9', sport: 7, dport: 53, payload: 'x'.repeat(40) });
    /** The part behind the first 24 octets of the datagram. */
    const later = Buffer.concat([whole.subarray(0, 20), whole.subarray(44)]);
    later.writeUInt16BE(later.length, 2);
    later.writeUInt16BE(24 >> 3, 6);
    fixChecksum(later);
    bench.machine.device('red').give(later);
    assert.equal(await value('culvert_fragments_waiting'), 1);
    assert.equal(await value('culvert_fragments_held_total'), 1);
    const first = Buffer.from(whole.subarray(0, 44));
    first.writeUInt16BE(44, 2);
    first.writeUInt16BE(0x2000, 6);
    assert.equal(await value('culvert_evictions_total{memory="fragments"}'), 0);
    const kept = 8192;
    for (let from = 1; from <= 2 * kept; from++) {
      first.writeUInt16BE(from & 0xffff, 4);
      fixChecksum(first);
      bench.machine.device('red').give(first);
    }
    // Twice as many datagrams as there is room for, in each of the two memories.
    const evicted = await value('culvert_evictions_total{memory="fragments"}');
    assert.ok(evicted >= 2 * kept && evicted < 4 * kept, String(evicted));
    assert.equal(await value('culvert_evictions_total{memory="refusals"}'), 0);
  });
});

function fixChecksum(packet: Buffer): void {
  packet.writeUInt16BE(0, 10);
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += packet.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  packet.writeUInt16BE(~sum & 0xffff, 10);
}
