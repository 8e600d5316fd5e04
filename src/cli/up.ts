/** `culvert up`: a lab on this machine's interfaces, until it is told to end. */
import type { Command } from 'commander';
import { addApiOptions } from './api-flags.js';
import type { UpFlags } from './up-action.js';

const HELP = `
Makes one TUN interface for each network with private endpoints or services, in the namespaces that the lab file names,
and removes all of it at the end. Needs root, or CAP_NET_ADMIN and CAP_SYS_ADMIN.

SIGHUP, or a change of the file, takes the lab file again: new flows follow it, live ones go on, flows of endpoints that
lost their approval end. SIGTERM or Ctrl-C ends the gateway.

With --port and --state the resources are managed over the interface that docs/api.md describes: those of the lab file
are the first ones of an empty state, afterwards the state is what counts, and each change takes effect at once.

Exit codes: 0 ended as asked; 2 the command line is wrong; 5 the lab file has mistakes; 7 the machine refuses what is
needed, or an interface was removed meanwhile; 70 a fault of culvert's.`;

export function registerUp(program: Command): void {
  addApiOptions(program.command('up').description('run a lab: packets of this machine, through private links'))
    .argument('<lab>', 'lab file, YAML or JSON')
    .option('--json', 'log JSON lines (pino) to standard output instead of text to standard error')
    .option('--run-dir <folder>', 'where its state and control socket go (/run/culvert, or below XDG_RUNTIME_DIR)')
    .addHelpText('after', HELP)
    .action(async (lab: string, flags: UpFlags) => {
      const { up } = await import('./up-action.js');
      process.exitCode = await up(lab, flags);
    });
}
