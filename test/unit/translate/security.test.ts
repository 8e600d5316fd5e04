import assert from 'node:assert/strict';
import type { LinkSecurity, Range, SecurityRuleSpec } from '../../../src/translate/topology.js';
import { address, Bench, link, topology } from '../../support/bench.js';
import { fragments, SYN, tcpPacket, udpPacket } from '../../support/packets.js';
import { BACKEND, CLIENT, ENDPOINT, NAT, Stream } from '../../support/stream.js';

const EVERY: readonly Range[] = [{ first: 0, last: 0xffff_ffff }];
const one = (dotted: string): Range[] => [{ first: address(dotted), last: address(dotted) }];
const allRules = (more: Partial<SecurityRuleSpec>): SecurityRuleSpec => ({
  allow: true,
  protocol: 0,
  sources: EVERY,
  sourcePorts: EVERY,
  destinations: EVERY,
  destinationPorts: EVERY,
  ...more,
});

const inbound = (...rules: SecurityRuleSpec[]): LinkSecurity => ({
  frontend: null,
  outbound: [],
  inbound: [{ address: address(BACKEND), rules }],
});
const outbound = (...rules: SecurityRuleSpec[]): LinkSecurity => ({
  frontend: null,
  outbound: [{ address: address(NAT), rules }],
  inbound: [],
});
const bench = (security: LinkSecurity, more = {}): Bench => new Bench(topology(link({ security, ...more })));
const place = { src: CLIENT, dst: ENDPOINT, sport: 1000, dport: 443 };
const syn = (fields = {}): Buffer => tcpPacket({ ...place, flags: SYN, ...fields });
const query = (fields = {}): Buffer => udpPacket({ ...place, ...fields });
const verdict = (security: LinkSecurity, packet = syn()): string => bench(security).client(packet).verdict;

describe('network security groups on the packet path', () => {
  it('drop a new connection that a rule denies, silently and counted, and give its port back', () => {
    const b = bench(inbound(allRules({ allow: false })), { natPortCount: 1 });
    for (let i = 0; i < 3; i++) {
      const outcome = b.client(syn({ sport: 1000 + i }));
      assert.deepEqual([outcome.verdict, outcome.sent.length], ['nsg-denied', 0]);
    }
    assert.equal(b.drops('nsg-denied'), 3);
    assert.equal(b.t.flows.count, 0);
    assert.equal(b.t.tables.pools[0]!.inUse, 0);
  });

  it('deny what no rule matches', () => {
    assert.equal(verdict(inbound()), 'nsg-denied');
    assert.equal(verdict(inbound(allRules({ sources: [] }))), 'nsg-denied', 'a rule of no source matches nothing');
  });

  it('are asked in their order: the first that matches decides', () => {
    const allow = allRules({ destinationPorts: [{ first: 443, last: 443 }] });
    const deny = allRules({ allow: false });
    assert.equal(verdict(inbound(allow, deny)), 'forward');
    assert.equal(verdict(inbound(deny, allow)), 'nsg-denied');
    assert.equal(verdict(inbound(allow, deny), syn({ dport: 444 })), 'nsg-denied');
  });

  it('tell TCP from UDP', () => {
    const tcpOnly = inbound(allRules({ protocol: 6 }));
    assert.equal(verdict(tcpOnly), 'forward');
    assert.equal(verdict(tcpOnly, query()), 'nsg-denied');
    assert.equal(verdict(inbound(allRules({ protocol: 1 }))), 'nsg-denied');
  });

  it('see the packet as it leaves: NAT address and port, backend and its port', () => {
    for (const list of [inbound, outbound]) {
      assert.equal(verdict(list(allRules({ sources: one(NAT), destinations: one(BACKEND) }))), 'forward');
      assert.equal(verdict(list(allRules({ sources: one(CLIENT) }))), 'nsg-denied');
      assert.equal(verdict(list(allRules({ destinations: one(ENDPOINT) }))), 'nsg-denied');
      assert.equal(verdict(list(allRules({ sourcePorts: [{ first: 1024, last: 65023 }] }))), 'forward');
      assert.equal(verdict(list(allRules({ sourcePorts: [{ first: 1000, last: 1023 }] }))), 'nsg-denied');
    }
  });

  it('know a load balancer’s traffic by its frontend too, where it comes in', () => {
    const frontend = address('10.1.9.9');
    const rules = [allRules({ sources: one('10.1.9.9') })];
    assert.equal(verdict({ ...inbound(...rules), frontend }), 'forward');
    assert.equal(verdict({ ...inbound(allRules({ sources: one(NAT) })), frontend }), 'forward');
    assert.equal(verdict({ ...outbound(...rules), frontend }), 'nsg-denied');
  });

  it('must both allow, where both are there', () => {
    const allow = [allRules({})];
    const deny = [allRules({ allow: false })];
    const both = (out: SecurityRuleSpec[], into: SecurityRuleSpec[]): LinkSecurity => ({
      frontend: null,
      outbound: outbound(...out).outbound,
      inbound: inbound(...into).inbound,
    });
    assert.equal(verdict(both(allow, allow)), 'forward');
    assert.equal(verdict(both(deny, allow)), 'nsg-denied');
    assert.equal(verdict(both(allow, deny)), 'nsg-denied');
  });

  it('compare addresses above 128.0.0.0 as what they are', () => {
    const low = [{ first: 0, last: address('127.255.255.255') }];
    const high = [{ first: address('128.0.0.0'), last: address('255.255.255.255') }];
    assert.equal(verdict(inbound(allRules({ sources: high }))), 'forward');
    assert.equal(verdict(inbound(allRules({ sources: low }))), 'nsg-denied');
    assert.equal(verdict(inbound(allRules({ destinations: low }))), 'forward');
    const across = [{ first: address('10.1.0.0'), last: address('192.0.2.1') }];
    assert.equal(verdict(inbound(allRules({ sources: across, destinations: across }))), 'forward');
    assert.equal(verdict(inbound(allRules({ sources: [{ first: 0, last: address('192.0.2.0') }] }))), 'nsg-denied');
  });

  it('leave established flows alone: only new ones follow changed rules', () => {
    const s = new Stream(bench(inbound(allRules({})))).established();
    const denied = topology(link({ security: inbound(allRules({ allow: false })) }));
    s.bench.each((t) => t.tables.apply(denied).length);
    assert.equal(s.send({ payload: 'more' }).verdict, 'forward');
    assert.equal(s.reply({ payload: 'more', acked: s.length + 4 }).verdict, 'forward');
    assert.equal(s.bench.client(syn({ sport: 2 })).verdict, 'nsg-denied');
    s.bench.each((t) => t.tables.apply(topology()).length);
    assert.equal(s.bench.client(syn({ sport: 2 })).verdict, 'forward');
  });

  it('drop the later fragments of a denied datagram with its first', () => {
    const b = bench(inbound(allRules({ allow: false })));
    const parts = fragments(query({ id: 7, payload: 'x'.repeat(300) }), 100);
    assert.deepEqual(
      parts.map((part) => b.client(part).verdict),
      parts.map(() => 'nsg-denied'),
    );
  });
});
