/** What every start of the command does: the program with its subcommands, the command line, what errors end with. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { packageRoot } from '../package-root.js';
import { report } from './failure.js';
import { print, tell } from './print.js';
import { endBySignal } from './signals.js';

type Register = (program: Command) => void;

/** Runs the command with these subcommands, to the end of the one that was asked for. */
export async function start(subcommands: readonly Register[]): Promise<void> {
  try {
    await programOf(subcommands).parseAsync();
  } catch (error) {
    process.exitCode = report(error);
    endBySignal(process.exitCode);
  }
}

function programOf(subcommands: readonly Register[]): Command {
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
  return program;
}
