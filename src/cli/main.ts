/** The command. Each subcommand's module tells its flags; its work is loaded when it is called. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';
import { packageRoot } from '../package-root.js';
import { registerCapture } from './capture.js';
import { registerApply } from './apply.js';
import { EXIT } from './exit-codes.js';
import { report } from './failure.js';
import { registerEvents } from './events.js';
import { registerFlows } from './flows.js';
import { registerInspect } from './inspect.js';
import { registerLab } from './lab.js';
import { registerPlan } from './plan.js';
import { registerReplay } from './replay.js';
import { registerResources } from './resources.js';
import { registerServe } from './serve.js';
import { endBySignal } from './signals.js';
import { registerStatus } from './status.js';
import { registerTap } from './tap.js';
import { registerUp } from './up.js';

const manifest = JSON.parse(readFileSync(path.join(packageRoot(), 'package.json'), 'utf8')) as {
  version: string;
};

const program = new Command('culvert')
  .description('a private link service on one machine that moves real packets')
  .version(manifest.version)
  .exitOverride()
  .showHelpAfterError('(culvert --help tells the flags)');
registerReplay(program);
registerInspect(program);
registerUp(program);
registerServe(program);
registerResources(program);
registerApply(program);
registerEvents(program);
registerStatus(program);
registerFlows(program);
registerPlan(program);
registerTap(program);
registerCapture(program);
registerLab(program);

// Whoever reads our output may leave before its end, as head does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  process.stderr.write(`culvert: CAPTURE_WRITE_FAILED: standard output: ${error.message}\n`);
  process.exit(EXIT.badOutput);
});

program.parseAsync().catch((error: unknown) => {
  process.exitCode = report(error);
  endBySignal(process.exitCode);
});
