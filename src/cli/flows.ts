/** `culvert flows`: the live flows of a running gateway, the busiest first. */
import { InvalidArgumentError, type Command } from 'commander';
import { parseAddress } from '../wire/address.js';
import type { AskFlags } from './ask.js';
import { whole } from './capture-flags.js';

interface FlowsFlags extends AskFlags {
  readonly top: number;
  readonly address?: number;
  readonly port?: number;
}

const HELP = `
Octets are those of IPv4 packets. The header is none (no PROXY header on this service), unsent, unacknowledged or
acknowledged by the backend.

Exit codes: 0 done; 2 the command line is wrong; 7 the gateway may not be asked; 8 none runs, or several do.`;

export function registerFlows(program: Command): void {
  program
    .command('flows')
    .description('live flows of a running gateway, the busiest first')
    .argument('[lab]', 'name or file of its lab; may be left out when one gateway runs')
    .option('--top <n>', 'so many at most (20), up to 1000', whole(1, 1000), 20)
    .option('--address <address>', 'only flows with this consumer, endpoint, NAT address or backend', address)
    .option('--port <port>', 'only flows with this port on any side', whole(1, 65535))
    .option('--json', 'print JSON')
    .option('--watch', 'again every second, with rates, until Ctrl-C; on a terminal in place')
    .option('--run-dir <folder>', 'as given to culvert up')
    .addHelpText('after', HELP)
    .action(async (lab: string | undefined, flags: FlowsFlags) => {
      const [{ ask }, { flowsText }] = await Promise.all([import('./ask.js'), import('./flows-text.js')]);
      const { top, address: wanted, port } = flags;
      const filter = { ...(wanted === undefined ? {} : { address: wanted }), ...(port === undefined ? {} : { port }) };
      await ask(lab, flags, { command: 'flows', top, ...filter }, flowsText);
    });
}

function address(text: string): number {
  const value = parseAddress(text);
  if (value < 0) throw new InvalidArgumentError('It is an IPv4 address, as in 10.0.0.5.');
  return value;
}
