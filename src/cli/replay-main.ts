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
  // All is printed: nothing is left to do but to give memory back piece by piece.
  process.exit();
});
