/** `culvert tap`: packets of both sides of a running gateway, as a capture. */
import { InvalidArgumentError, type Command } from 'commander';
import { parseAddress } from '../wire/address.js';
import { whole, withCaptureFlags } from './capture-flags.js';
import type { TapFlags } from './tap-action.js';

const HELP = `
Writes pcapng, an interface for each network. Without --network, --link, --address or --port it takes all packets;
each of them narrows it down, and a flow's packets are taken on both sides. Packets are as the interfaces gave them: with
offload up to 64 KiB long, and with checksums that the device would have filled in.

What is not read quickly enough is lost, and a comment at the next packet says how many. Ctrl-C ends it.

Exit codes: 0 done; 2 the command line is wrong, or a name is not there; 6 the file cannot be written; 7 the gateway may
not be asked; 8 none runs, or several do, or it ended meanwhile.`;

export function registerTap(program: Command): void {
  const command = program
    .command('tap')
    .description('write packets of both sides of a running gateway to a file')
    .argument('[lab]', 'name or file of its lab; may be left out when one gateway runs')
    .option('--network <name>', 'only flows of this consumer network')
    .option('--link <name>', 'only flows of this private link service')
    .option('--address <address>', 'only flows with this consumer, endpoint, NAT address or backend', address)
    .option('--port <port>', 'only flows with this port on any side', whole(1, 65535));
  withCaptureFlags(command)
    .option('--run-dir <folder>', 'as given to culvert up')
    .addHelpText('after', HELP)
    .action(async (lab: string | undefined, flags: TapFlags) => {
      const { tap } = await import('./tap-action.js');
      process.exitCode = await tap(lab, flags);
    });
}

function address(text: string): number {
  const value = parseAddress(text);
  if (value < 0) throw new InvalidArgumentError('It is an IPv4 address, as in 10.0.0.5.');
  return value;
}
