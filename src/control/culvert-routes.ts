/** Routes of our own beside Azure's: several changes as one, and what happens. */
import { z } from 'zod';
import type { RefusalDetail } from '../service/arm/refusal.js';
import { runSteps, stepSchema } from '../service/arm/steps.js';
import type { Effect } from '../service/arm/steps.js';
import { HttpError } from './answer.js';
import { machineDraw, objectBody } from './call.js';
import type { Handler } from './call.js';
import type { Route } from './router.js';

/** Enough for every resource that the limits allow. */
const MAX_STEPS = 20_000;

const request = z.strictObject({
  steps: z.array(stepSchema).max(MAX_STEPS),
  /** Only tells what would become of them. */
  dryRun: z.boolean().optional(),
});

export interface ChangesAnswer {
  readonly effects: readonly Effect[];
  readonly warnings: readonly RefusalDetail[];
}

const changes: Handler = async (call) => {
  const asked = request.safeParse(objectBody(call));
  if (!asked.success) {
    const { path, message } = asked.error.issues[0]!;
    throw new HttpError(400, 'InvalidRequestContent', `The request content is invalid: ${path.join('.')}: ${message}`);
  }
  let effects: readonly Effect[] = [];
  const plan: Parameters<typeof call.manager.change>[0] = (documents) => {
    const run = runSteps(asked.data.steps, documents, machineDraw);
    effects = run.effects;
    return run.change;
  };
  const { warnings } = await (asked.data.dryRun === true ? call.manager.preview(plan) : call.manager.change(plan));
  return { status: 200, body: { effects, warnings } satisfies ChangesAnswer };
};

const events: Handler = (call) => ({
  status: 200,
  stream: {
    place: call.lastEventId === undefined ? call.events.place : undefined,
    listen: (send) => call.events.listen(call.lastEventId, send),
  },
});

export const culvertRoutes: readonly Route<Handler>[] = [
  { method: 'POST', path: '/culvert/changes', handler: changes },
  { method: 'GET', path: '/culvert/events', handler: events },
];
