/** `culvert plan`: how many connections there can be, and how long they last. */
import { InvalidArgumentError, type Command } from 'commander';
import type { PlanFlags } from './plan-action.js';

const HELP = `
With --rate and --life it says how many ports such a load takes, after what time connections fail, the rate that lasts,
and what to add. The rate is that of each service.

Exit codes: 0 done; 1 --rate is more than lasts for ever; 2 the command line is wrong; 5 the lab file has mistakes;
7 the gateway may not be asked; 8 none runs, or several do.`;

export function registerPlan(program: Command): void {
  program
    .command('plan')
    .description('how many connections the services of a lab can have, and what to add for more')
    .argument('[lab]', 'lab file; with --running the name or file of a running one')
    .option('--running', 'ask the running gateway, whose backends may be down')
    .option('--rate <n>', 'new connections a second to each service', positive)
    .option('--life <seconds>', 'how long each is open', positive)
    .option('--json', 'print JSON')
    .option('--run-dir <folder>', 'as given to culvert up')
    .addHelpText('after', HELP)
    .action(async (lab: string | undefined, flags: PlanFlags) => {
      const { plan } = await import('./plan-action.js');
      process.exitCode = await plan(lab, flags);
    });
}

function positive(text: string): number {
  const n = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (!(n >= 0 && n <= 1e9)) throw new InvalidArgumentError('It is a number, 0 to 1000000000.');
  return n;
}
