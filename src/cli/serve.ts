/** `culvert serve`: the management interface alone, without a gateway. */
import type { Command } from 'commander';
import { addApiOptions } from './api-flags.js';
import type { ServeFlags } from './serve-action.js';

const HELP = `
Answers the requests that Azure's clients send for private links and what they need: no packets move, and root is not
needed. The same interface is part of culvert up, with --port and --state. docs/api.md tells the routes and the codes.

Exit codes: 0 ended as asked; 2 the command line is wrong; 5 the lab file has mistakes; 7 the port, the state file or the
certificate is refused; 70 a fault of culvert's.`;

export function registerServe(program: Command): void {
  addApiOptions(program.command('serve').description("manage resources as Azure's clients do, without a gateway"))
    .option('--config <lab>', 'lab file: settings, and the first resources while the state is empty')
    .option('--json', 'log JSON lines (pino) to standard output instead of text to standard error')
    .option('--run-dir <folder>', 'where others on this machine find it (/run/culvert, or below XDG_RUNTIME_DIR)')
    .addHelpText('after', HELP)
    .action(async (flags: ServeFlags) => {
      const { serve } = await import('./serve-action.js');
      process.exitCode = await serve(flags);
    });
}
