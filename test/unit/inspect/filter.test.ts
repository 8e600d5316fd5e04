import assert from 'node:assert/strict';
import {
  parseAddressFilter,
  parseFlowFilter,
  parsePortFilter,
  parseProtocolFilter,
  type Filter,
} from '../../../src/inspect/filter.js';
import { fragments, icmpError, tcpPacket, udpPacket } from '../../support/packets.js';
import { inspectPackets, NO_FILTER } from './run.js';

const A = { src: '10.0.0.5', dst: '10.0.0.4', sport: 40000, dport: 80 };
const REPLY = { src: '10.0.0.4', dst: '10.0.0.5', sport: 80, dport: 40000 };
const OTHER = { src: '10.1.0.5', dst: '10.1.0.4', sport: 40000, dport: 443 };
const packets = [
  tcpPacket(A),
  tcpPacket(REPLY),
  tcpPacket(OTHER),
  udpPacket({ ...OTHER, dport: 53 }),
  icmpError({ src: '10.9.9.9', dst: '10.0.0.5', about: tcpPacket(A) }),
  ...fragments(udpPacket({ ...OTHER, dport: 53, df: false, payload: 'x'.repeat(60) }), 60),
];

async function shown(filter: Partial<Filter>): Promise<number[]> {
  const { lines } = await inspectPackets(packets, { filter: { ...NO_FILTER, ...filter } });
  return lines.map((line) => Number(line.trim().split(' ')[0]));
}

describe('inspect: filters', () => {
  it('shows packets from or to an address, and errors about them', async () => {
    assert.deepEqual(await shown({ addresses: [parseAddressFilter('10.0.0.4')] }), [1, 2, 5]);
    assert.deepEqual(await shown({ addresses: [parseAddressFilter('10.1.0.0/16')] }), [3, 4, 6, 7]);
  });

  it('shows packets from or to a port, later fragments among them', async () => {
    assert.deepEqual(await shown({ ports: [parsePortFilter('80')] }), [1, 2, 5]);
    assert.deepEqual(await shown({ ports: [parsePortFilter('53')] }), [4, 6, 7]);
    assert.deepEqual(await shown({ ports: [53, 443] }), [3, 4, 6, 7]);
  });

  it('shows a flow in both directions', async () => {
    assert.deepEqual(await shown({ flows: [parseFlowFilter('10.0.0.4:80,10.0.0.5:40000')] }), [1, 2, 5]);
    assert.deepEqual(await shown({ flows: [parseFlowFilter('10.0.0.4:40000,10.0.0.5:80')] }), []);
  });

  it('shows a protocol, and wants all kinds of filter met', async () => {
    assert.deepEqual(await shown({ protocols: [parseProtocolFilter('icmp')] }), [5]);
    assert.deepEqual(await shown({ protocols: [6], ports: [443] }), [3]);
  });

  it('stops after the limit', async () => {
    const { lines, result } = await inspectPackets(packets, { limit: 2, filter: { ...NO_FILTER, protocols: [17] } });
    assert.equal(lines.length, 2);
    assert.equal(result.packets, 2);
  });

  it('refuses what it cannot read', () => {
    const refused = { code: 'USAGE' };
    for (const text of ['10.0.0', '10.0.0.4/33', '::1', '']) assert.throws(() => parseAddressFilter(text), refused);
    for (const text of ['65536', '-1', '0x50', '']) assert.throws(() => parsePortFilter(text), refused);
    for (const text of ['10.0.0.4:80', '10.0.0.4,10.0.0.5', '10.0.0.4:80,10.0.0.5:99999', 'a,b,c']) {
      assert.throws(() => parseFlowFilter(text), refused);
    }
    assert.throws(() => parseProtocolFilter('constructor'), refused);
    assert.throws(() => parseProtocolFilter('sctp'), refused);
  });
});
