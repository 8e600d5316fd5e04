import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseLab } from '../../../src/config/index.js';
import { Replay } from '../../../src/replay/replay.js';
import { reportOf } from '../../../src/replay/report.js';
import { optionsOf } from '../../../src/replay/settings.js';
import { repositoryRoot } from '../../support/machine.js';
import { SYN, tcpPacket, writePcap } from '../../support/packets.js';

describe('a replay with a lab’s network security groups', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-replay-'));
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('drops what they deny, counted', async () => {
    const example = readFileSync(path.join(repositoryRoot, 'fixtures', 'labs', 'two-consumers.yaml'), 'utf8');
    const group = `networkSecurityGroups:
  one: { securityRules: [{ name: Deny, priority: 100, direction: Inbound, access: Deny, destinationPortRange: '8080' }] }
virtualNetworks:
`;
    const text = example
      .replace('virtualNetworks:\n', group)
      .replace('backend: 10.200.2.0/24', 'backend: { addressPrefix: 10.200.2.0/24, networkSecurityGroup: one }');
    const lab = parseLab(text, 'lab.yaml');
    assert.deepEqual(
      lab.warnings.map(({ code }) => code),
      ['SERVICE_DENIED'],
    );
    const input = path.join(folder, 'in.pcap');
    const syn = (dst: string): Buffer => tcpPacket({ src: '10.0.0.9', dst, sport: 40_000, dport: 80, flags: SYN });
    writePcap(input, [syn('10.0.0.4'), syn('10.0.0.5')]);
    const plan = {
      input,
      providerInput: null,
      provider: path.join(folder, 'provider.pcap'),
      consumer: null,
      topology: lab.topology,
      adopt: null,
      options: optionsOf(lab.settings),
      network: lab.topology.networks.indexOf('red'),
      fixChecksums: false,
    };
    const report = reportOf(plan, await Replay.run(plan));
    assert.deepEqual(report.drops, { 'nsg-denied': 1 });
    assert.deepEqual([report.toProvider, report.flows.tcp], [1, 1], 'Direct Connect is not the group’s business');
  });
});
