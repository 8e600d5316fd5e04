/** `culvert apply` and `culvert export`: all resources of a running management interface, from and to a file. */
import { type Command, Option } from 'commander';
import { addClientOptions } from './client-flags.js';
import type { ApplyFlags, ExportFlags } from './apply-action.js';

const APPLY_HELP = `
FILE is a lab file, or an ARM template (JSON, as Bicep compiles it). The plan is printed first: what is created, changed
and deleted. On a terminal a question follows; elsewhere --yes is needed. All of it is made as one change, or nothing.
What the file does not declare stays, unless --prune is given. docs/clients.md has the details.

Exit codes: 0 done, or nothing to do; 2 the command line is wrong, or the answer was no; 5 the file has mistakes; 8 no
management interface can be asked; 9 it refused, and said why.`;

const EXPORT_HELP = `
Exit codes: 0 done; 2 the command line is wrong; 6 the file cannot be written; 8 no management interface can be asked.`;

export function registerApply(program: Command): void {
  addClientOptions(program.command('apply').description("bring a running management interface to a file's resources"))
    .argument('<file>', 'lab file or ARM template; - is standard input')
    .option('--dry-run', 'print the plan, checked by the server, and change nothing')
    .option('--yes', 'do not ask')
    .option('--prune', 'delete what the file does not declare')
    .addOption(new Option('--subscription <id>', 'template: where its resources go').env('CULVERT_SUBSCRIPTION'))
    .option('--resource-group <name>', 'template: where its resources go')
    .option('--location <region>', 'template: location of the resource group (westeurope)')
    .option('--parameters <file>', 'template: parameters file')
    .option(
      '--parameter <name=value>',
      'template: one parameter, JSON or text',
      (value, before: string[]) => [...before, value],
      [],
    )
    .addHelpText('after', APPLY_HELP)
    .action(async (file: string, flags: ApplyFlags) => {
      const { apply } = await import('./apply-action.js');
      process.exitCode = await apply(file, flags);
    });
  addClientOptions(
    program.command('export').description('write the resources of a running management interface as a lab file'),
  )
    .option('-o, --output <file>', 'where to, in place of standard output')
    .addHelpText('after', EXPORT_HELP)
    .action(async (flags: ExportFlags) => {
      const { exportLab } = await import('./apply-action.js');
      await exportLab(flags);
    });
}
