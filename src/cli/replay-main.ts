/**
 * The command as far as `culvert replay` needs it: a bundle of its own (scripts/bundle.mjs; scripts/launcher.cjs chooses),
 * since a replay may take no longer than a start: it reads half the code. What it does is imported here and not when it is
 * called, so that the bundler makes one scope of it: wrapped as modules, the same functions take V8 longer to warm up.
 */
import { replay } from './replay-action.js';
import { registerReplayWith } from './replay-command.js';
import { start } from './start.js';

void start([
  (program) => {
    registerReplayWith(program, () => Promise.resolve(replay));
  },
]).then(() => {
  const { stdout, stderr } = process;
  // Nothing is left to do but to give memory back piece by piece, unless what reads our output is slow, or could not be
  // written to: a file's stream knows that before it says so.
  if (stdout.writableLength === 0 && stderr.writableLength === 0 && stdout.errored === null) process.exit();
});
