/** `culvert status`: what a running gateway says of itself. */
import type { Command } from 'commander';
import type { AskFlags } from './ask.js';

const HELP = `
Exit codes: 0 done; 2 the command line is wrong; 7 the gateway may not be asked; 8 none runs, or several do.`;

export function registerStatus(program: Command): void {
  program
    .command('status')
    .description('networks, services, NAT ports, drops of a running gateway')
    .argument('[lab]', 'name or file of its lab; may be left out when one gateway runs')
    .option('--json', 'print JSON')
    .option('--watch', 'again every second, with rates, until Ctrl-C; on a terminal in place')
    .option('--run-dir <folder>', 'as given to culvert up')
    .addHelpText('after', HELP)
    .action(async (lab: string | undefined, flags: AskFlags) => {
      const [{ ask }, { statusText }] = await Promise.all([import('./ask.js'), import('./status-text.js')]);
      await ask(lab, flags, { command: 'status' }, statusText);
    });
}
