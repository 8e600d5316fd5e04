/** The command. Each subcommand's module tells its flags; its work is loaded when it is called. */
import { registerCapture } from './capture.js';
import { registerApply } from './apply.js';
import { registerEvents } from './events.js';
import { registerFlows } from './flows.js';
import { registerInspect } from './inspect.js';
import { registerLab } from './lab.js';
import { registerPlan } from './plan.js';
import { registerReplay } from './replay.js';
import { registerResources } from './resources.js';
import { registerServe } from './serve.js';
import { registerStatus } from './status.js';
import { registerTap } from './tap.js';
import { registerUp } from './up.js';
import { start } from './start.js';

void start([
  registerReplay,
  registerInspect,
  registerUp,
  registerServe,
  registerResources,
  registerApply,
  registerEvents,
  registerStatus,
  registerFlows,
  registerPlan,
  registerTap,
  registerCapture,
  registerLab,
]);
