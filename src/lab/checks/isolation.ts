/** Nothing gets through that is not approved. These run alone, so that every packet at the provider would be theirs. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Reason } from '../../packet/verdict.js';
import { type Consumer, ENDPOINT, NOBODY, PORT } from '../topology.js';
import { type Check, eventually, onBoth, type Stage } from './check.js';

/** Time that a packet would need many times over. */
const SILENCE_MS = 400;
const QUIET_MS = 250;
const TICK_MS = 20;

const toProvider = ({ lab }: Stage): number =>
  lab.gateway.status().networks.find(({ name }) => name === 'provider')!.counters.writtenPackets;

const drops = ({ lab }: Stage, reason: Reason): number => lab.gateway.status().drops[reason] ?? 0;

/** Octets that have passed, both ways, at the endpoint whose approval is withdrawn. */
function octetsOf({ lab }: Stage, who: Consumer): number {
  const { services } = lab.gateway.status();
  const endpoint = services.flatMap((each) => each.endpoints).find(({ name }) => name === `${who}-withdrawn`)!;
  return endpoint.octetsIn + endpoint.octetsOut;
}

/** What went before may still say good-bye. */
async function settled(stage: Stage): Promise<void> {
  for (let seen = -1; seen !== toProvider(stage);) {
    seen = toProvider(stage);
    await sleep(QUIET_MS);
  }
}

/** Both consumers try at the same time: each waits for both. */
async function nothingPasses(stage: Stage, who: Consumer, address: string, reason: Reason): Promise<string> {
  await settled(stage);
  const before = { provider: toProvider(stage), drops: drops(stage, reason) };
  const url = `http://${address}:${PORT.linkId.frontend}/`;
  const command = ['curl', '--silent', '--http0.9', '--max-time', '1.2', url];
  const { code, output } = await stage.lab.processes.run(stage.lab.names.namespace[who], command);
  assert.equal(output, '', 'an answer came');
  assert.equal(code, 28, 'curl did not run out of time'); // CURLE_OPERATION_TIMEDOUT: silence, not a refusal
  assert.equal(toProvider(stage) - before.provider, 0, 'packets came to the provider');
  const dropped = drops(stage, reason) - before.drops;
  assert.ok(dropped > 0, `nothing was dropped as ${reason}`);
  return `silence, 0 packets to the provider, dropped as ${reason}`;
}

/** A connection whose server echoes what the client says every now and then. */
class Echo {
  echoes = 0;
  private text = '';
  private readonly child;
  private readonly timer: NodeJS.Timeout;

  constructor({ lab }: Stage, who: Consumer) {
    const url = `telnet://${ENDPOINT.withdrawn}:${PORT.ssh.frontend}`;
    this.child = lab.processes.start(lab.names.namespace[who], ['curl', '--silent', '--no-buffer', url]);
    this.child.stdin!.on('error', () => undefined);
    this.child.stdout!.on('data', (part: Buffer) => {
      this.text += part.toString();
      this.echoes = this.text.split('tick').length - 1;
    });
    this.timer = setInterval(() => this.child.stdin!.write('tick\n'), TICK_MS);
  }

  end(): void {
    clearInterval(this.timer);
    this.child.kill('SIGKILL');
  }
}

export const isolationChecks: readonly Check[] = [
  onBoth('endpoint that is not approved', (stage, who) => nothingPasses(stage, who, ENDPOINT.pending, 'not-approved')),
  onBoth('address that is no endpoint', (stage, who) => nothingPasses(stage, who, NOBODY, 'no-endpoint')),

  {
    name: 'approval withdrawn',
    consumers: ['red'],
    run: async (stage, who) => {
      const [echo, other] = [new Echo(stage, who), new Echo(stage, 'blue')];
      try {
        assert.ok(await eventually(() => echo.echoes > 2 && other.echoes > 2), 'the connections did not begin');
        const ms = stage.lab.withdraw([who]);
        const [octets, otherThen] = [octetsOf(stage, who), other.echoes];
        const goesOn = async (): Promise<void> => {
          const from = other.echoes;
          assert.ok(await eventually(() => other.echoes - from > 2), "the other consumer's connection stopped too");
          await sleep(SILENCE_MS);
        };
        await goesOn();
        const then = echo.echoes; // by now curl has shown what had come before
        await goesOn();
        assert.equal(octetsOf(stage, who) - octets, 0, 'octets passed after the approval was withdrawn');
        assert.equal(echo.echoes - then, 0, 'echoes came after the approval was withdrawn');
        return `stopped in ${Math.ceil(ms)} ms, blue's goes on (${other.echoes - otherThen} echoes since)`;
      } finally {
        echo.end();
        other.end();
      }
    },
  },

  {
    name: 'after the withdrawal',
    consumers: ['red'],
    run: (stage, who) => nothingPasses(stage, who, ENDPOINT.withdrawn, 'not-approved'),
  },
];
