/** What every start of the command does: the program with its subcommands, the command line, what errors end with. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { packageRoot } from '../package-root.js';
import { report } from './failure.js';
import { print, tell } from './print.js';
import { endBySignal } from './signals.js';

/** Runs the command with these subcommands, to the end of the one that was asked for. */
export async function start(subcommands: readonly ((program: Command) => void)[]): Promise<void> {
  const manifest = JSON.parse(readFileSync(path.join(packageRoot(), 'package.json'), 'utf8')) as {
    version: string;
  };

  const program = new Command('culvert')
    .description('a private link service on one machine that moves real packets')
    .version(manifest.version)
    .exitOverride()
    .configureOutput({ writeOut: (text) => print(text), writeErr: tell })
    .showHelpAfterError('(culvert --help tells the flags)');
  for (const register of subcommands) register(program);

  await program.parseAsync().catch((error: unknown) => {
    process.exitCode = report(error);
    endBySignal(process.exitCode);
  });
}
