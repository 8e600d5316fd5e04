import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { PlanReport } from '../../../src/cli/plan-report.js';
import { reckon } from '../../../src/cli/plan-report.js';
import { planText } from '../../../src/cli/plan-text.js';
import type { LabCapacity } from '../../../src/config/capacity.js';
import { ControlClient } from '../../../src/gateway/control-client.js';
import { repositoryRoot } from '../../support/machine.js';
import { GatewayBench, labText } from '../gateway/gateway-bench.js';

const main = path.join(repositoryRoot, 'dist', 'bin', 'culvert.cjs');
const lab = path.join(repositoryRoot, 'fixtures', 'labs', 'two-consumers.yaml');
const run = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
  spawnSync(process.execPath, [main, 'plan', ...args], { encoding: 'utf8' });

describe('culvert plan', () => {
  it('tells what a lab file can have, in lines and as JSON', () => {
    const text = run(lab);
    assert.equal(text.status, 0, text.stderr);
    assert.match(text.stdout, /^web +tcp +2 +2 +64,000 +256,000$/m);
    assert.match(text.stdout, /^database +udp +2 +1 +64,000 +128,000$/m);
    assert.match(text.stdout, /^512,000 connections in all; the flow table holds 1,048,576/m);
    const report = JSON.parse(run(lab, '--json').stdout) as PlanReport;
    assert.deepEqual([report.connections, report.demand, report.services[0]!.forecast], [512_000, null, null]);
  });

  it('tells when a load uses it up, and what to add: exit code 1', () => {
    const { status, stdout } = run(lab, '--rate', '3000', '--life', '30');
    assert.equal(status, 1);
    assert.match(stdout, /^web +tcp +120 s +450,000 +176 % +85 s +1,706\/s$/m);
    assert.match(stdout, /^web tcp, to stay within 80 %: 3 more NAT addresses \(5 in all\), or 3 more backends/m);
    assert.match(stdout, /^database tcp, .*: 2 such services with 8 NAT addresses each$/m);
    assert.match(stdout, /^the flow table: translation\.maxFlows of 1,260,000 and more/m);
  });

  it('says so when a load lasts: exit code 0', () => {
    const { status, stdout } = run(lab, '--rate', '100', '--life', '0.5');
    assert.equal(status, 0);
    assert.match(stdout, /^web +tcp +120 s +12,050 +4\.7 % +never/m);
    assert.match(stdout, /nothing needs to be added/);
  });

  it('prints what its document shows', () => {
    const text = readFileSync(path.join(repositoryRoot, 'docs', 'plan.md'), 'utf8');
    const [, command, shown] = /```\n\$ culvert plan (.*?)\n(.*?)```/s.exec(text)!;
    const [file, ...flags] = command!.split(' ');
    assert.equal(run(path.join(repositoryRoot, file!), ...flags).stdout, shown);
  });

  it('advises before ports run out, at the use that is warned of', () => {
    const source = { service: 'web', protocol: 'tcp', directConnect: false, natAddresses: 1, backends: 1 } as const;
    const capacity: LabCapacity = {
      sources: [{ ...source, ports: 1000, restSeconds: 9, lingerSeconds: 1 }],
      maxFlows: 1000,
      usePercent: 80,
    };
    const [at81] = reckon(capacity, { rate: 81, lifeSeconds: 1 }).services;
    assert.equal(at81!.forecast!.exhaustedAfterSeconds, null);
    assert.match(planText(reckon(capacity, { rate: 81, lifeSeconds: 1 })), /81 % +never.*\n\nweb tcp, .*1 more NAT/);
    assert.match(planText(reckon(capacity, { rate: 80, lifeSeconds: 1 })), /nothing needs to be added/);
  });

  it('refuses half a load, no lab, and what is no number', () => {
    assert.match(run(lab, '--rate', '1').stderr, /USAGE: --rate and --life go together/);
    assert.match(run().stderr, /USAGE: name a lab file, or ask a running gateway with --running/);
    assert.equal(run(lab, '--rate', 'x', '--life', '1').status, 2);
    assert.equal(run(path.join(repositoryRoot, 'fixtures', 'labs', 'mistakes.yaml')).status, 5);
  });

  it('asks a running gateway, for which a backend that is down counts for nothing', async () => {
    const bench = new GatewayBench();
    const pool = '10.200.2.4, 10.200.2.5';
    const probed = labText({ backends: pool })
      .replace('    rules:', '    probes: { up: { protocol: Tcp, port: 80, intervalInSeconds: 5 } }\n    rules:')
      .replace('backendPort: 0 }', 'backendPort: 0, probe: up }');
    await bench.start(probed);
    try {
      const client = await ControlClient.connect(bench.socket);
      const backends = async (): Promise<number[]> =>
        ((await client.ask({ command: 'plan' })) as LabCapacity).sources.map((source) => source.backends);
      const { tables } = bench.pump.translator;
      const probe = tables.links[0]!.spec.rules[0]!.probe!.name;
      for (const backend of [0x0ac80204, 0x0ac80205]) tables.setHealth(probe, backend, true);
      assert.deepEqual(await backends(), [2, 2]);
      tables.setHealth(probe, 0x0ac80205, false);
      assert.deepEqual(await backends(), [1, 1]);
      client.close();
    } finally {
      await bench.stop();
    }
  });
});
