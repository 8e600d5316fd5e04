/** `culvert replay`: what it does is loaded when it is called. */
import type { Command } from 'commander';
import { registerReplayWith } from './replay-command.js';

export function registerReplay(program: Command): void {
  registerReplayWith(program, async () => (await import('./replay-action.js')).replay);
}
