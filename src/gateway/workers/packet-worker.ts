/** Where a worker's thread begins: a data plane of its own, that the control side asks by messages. */
import { readlinkSync } from 'node:fs';
import path from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { CulvertError } from '../../errors.js';
import { openQueue, thisMachine } from '../machine.js';
import { hostedPlane } from './hosted-plane.js';
import { ANSWERS, THREAD, type ThreadChannel } from './packet-thread.js';
import type { Answer, Asked, Call, Told } from './plane-calls.js';

const { data, answers, answered } = workerData as ThreadChannel;
const given = new Int32Array(answered);
given[THREAD] = Number(path.basename(readlinkSync('/proc/thread-self')));
const tell = (what: Told): void => parentPort!.postMessage(what);
const textOf = (error: unknown): string =>
  error instanceof CulvertError ? error.message : String((error as Error).stack);

function give(what: Answer): void {
  answers.postMessage(what);
  Atomics.add(given, ANSWERS, 1);
  Atomics.notify(given, ANSWERS);
}

// While the control side waits for an answer it hears no event, also none of this thread's end.
process.once('uncaughtExceptionMonitor', (error) => {
  give({ died: textOf(error) });
});

const wake = (worker: number): void => data.wakers[worker]!.postMessage(0);
const hosted = hostedPlane(data, { openQueue, wake, clock: thisMachine.clock(), tell });
for (const waker of data.wakers) {
  waker?.on('message', () => {
    hosted.pump.wake();
  });
}

function answer(what: Asked, args: readonly unknown[]): Answer {
  try {
    return { value: hosted.ask(what, args) };
  } catch (error) {
    const code = error instanceof CulvertError ? error.code : null;
    return { error: { code, message: textOf(error) } };
  }
}

parentPort!.on('message', (call: Call) => {
  if ('flows' in call) {
    void hosted.plane.flows(call.flows).then((report) => {
      tell({ told: 'flows', report });
    });
    return;
  }
  give(answer(call.ask, call.args));
});
tell({ told: 'ready' });
