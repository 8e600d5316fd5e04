// `npm run lab`: set-up, then `culvert lab run`: two consumers with the same address, a gateway, real servers, and a
// table of what each server saw. Needs root. Flags go to the command: `npm run lab -- --json`.
import path from 'node:path';
import process from 'node:process';
import { root, say } from './run.mjs';
import { setup, SetupError } from './setup.mjs';

try {
  setup();
  const main = path.join(root, 'dist', 'bin', 'culvert.cjs');
  // In this very process, so that Ctrl-C and SIGTERM reach the lab, which then removes what it made.
  process.argv = [process.execPath, main, 'lab', 'run', ...process.argv.slice(2)];
  await import(main);
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  say(`lab: ${error.message}`);
  process.exitCode = 1;
}
