/** `culvert events`: what happens on a running management interface. */
import type { Command } from 'commander';
import { addClientOptions } from './client-flags.js';
import type { EventFlags } from './events-action.js';

const HELP = `
Prints changes of resources, connections that are asked for, approved, rejected and ended, and of a gateway backends that go
down and come up, NAT ports that run out, and NAT addresses that drain, until Ctrl-C. A connection that breaks is made
again, and what was missed is told then.

Exit codes: 0 ended by Ctrl-C; 2 the command line is wrong; 8 no management interface can be asked; 9 it refused.`;

export function registerEvents(program: Command): void {
  addClientOptions(program.command('events').description('what happens on a running management interface'))
    .option('--after <id>', 'begin behind this event, as far back as the server remembers')
    .addHelpText('after', HELP)
    .action(async (flags: EventFlags) => {
      const { followEvents } = await import('./events-action.js');
      await followEvents(flags);
    });
}
