/** `culvert lab`: consumers, a gateway and real servers on this machine. */
import type { Command } from 'commander';
import type { LabFlags } from './lab-action.js';

const HELP = `
Makes two consumers with the same address and a provider, each a network namespace, a gateway between them, and real
servers in the provider's: nginx, HAProxy, MariaDB, Postfix, Unbound, iperf3, a banner server, a LINKID server. Needs
root. All that it makes is in namespaces culvert-NAME-* and in a temporary folder, and is removed at the end.

Exit codes: 0 done; 1 a check failed; 2 the command line is wrong; 7 the machine refuses what is needed, packages are
missing, or a server does not start; 8 lab down: there is no such lab; 70 a fault of culvert's.`;

export function registerLab(program: Command): void {
  const lab = program
    .command('lab')
    .description('two consumers, a gateway and real servers, in namespaces of this machine')
    .addHelpText('after', HELP);
  const command = (name: string, description: string): Command =>
    lab
      .command(name)
      .description(description)
      .option('--name <name>', 'of the lab; labs of different names may run at the same time', 'lab')
      .option('--run-dir <folder>', 'where its state and control socket go (/run/culvert)');
  command('run', 'bring it up, check it with real clients, print a table, remove it')
    .option('--json', 'print JSON')
    .action(async (flags: LabFlags) => {
      const { labRun } = await import('./lab-action.js');
      process.exitCode = await labRun(flags);
    });
  command('up', 'bring it up and leave it running')
    .option('--foreground', 'stay until SIGTERM or Ctrl-C instead')
    .action(async (flags: LabFlags) => {
      const { labUp } = await import('./lab-action.js');
      process.exitCode = await labUp(flags);
    });
  command('down', 'remove it, also what a killed one left').action(async (flags: LabFlags) => {
    const { labDown } = await import('./lab-action.js');
    process.exitCode = await labDown(flags);
  });
}
