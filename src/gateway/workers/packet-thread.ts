/**
 * A worker of this process. The control side waits for an answer without its event loop: it moves no packets, and no
 * worker ever waits for it, so a question costs no more than the turn in which the worker is.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { CulvertError } from '../../errors.js';
import type { FlowQuery } from '../flow-report.js';
import type {
  Answer,
  AnswerOf,
  ArgumentsOf,
  Asked,
  Call,
  PacketThread,
  ThreadData,
  ThreadEvents,
  Told,
} from './plane-calls.js';

/** What a worker is given beside its data. */
export interface ThreadChannel {
  readonly data: ThreadData;
  readonly answers: MessagePort;
  /** 32-bit words: answers given so far, the worker's end included; the thread's number in the kernel. */
  readonly answered: SharedArrayBuffer;
}

export const ANSWERS = 0;
export const THREAD = 1;

/** A worker that says nothing for so long hangs. */
const ANSWER_MS = 10_000;
/** One that dies of memory says nothing either; so often is looked whether the thread is still there. */
const LOOK_MS = 200;

/** Beside this file, with its ending: the bundle's differs. */
const entry = (): URL => new URL(`packet-worker${path.extname(fileURLToPath(import.meta.url))}`, import.meta.url);

class WorkerThread implements PacketThread {
  private readonly name: string;
  private readonly worker: Worker;
  private readonly answers: MessagePort;
  private readonly answered: Int32Array;
  private readonly events: ThreadEvents;
  private dead: CulvertError | null = null;
  private ending = false;

  constructor(data: ThreadData, events: ThreadEvents) {
    this.name = `worker ${String(data.index)}`;
    this.events = events;
    const { port1, port2 } = new MessageChannel();
    this.answers = port1;
    const answered = new SharedArrayBuffer(8);
    this.answered = new Int32Array(answered);
    const workerData: ThreadChannel = { data, answers: port2, answered };
    this.worker = new Worker(entry(), {
      workerData,
      transferList: [port2, ...data.wakers.filter((waker) => waker !== null)],
    });
    this.worker.on('message', (what: Told) => {
      events.told(what);
    });
    this.worker.on('error', (error) => {
      this.die(`ended: ${error instanceof CulvertError ? error.message : String(error.stack)}`, error);
    });
    this.worker.on('exit', (code) => {
      this.die(`ended: exit code ${String(code)}`);
    });
  }

  ask<A extends Asked>(what: A, ...args: ArgumentsOf<A>): () => AnswerOf<A> {
    this.post({ ask: what, args });
    return () => this.answer() as AnswerOf<A>;
  }

  askFlows(query: FlowQuery): void {
    this.post({ flows: query });
  }

  async end(): Promise<void> {
    this.ending = true;
    await this.worker.terminate();
    this.answers.close();
  }

  private die(why: string, cause?: unknown): void {
    if (this.ending || this.dead !== null) return;
    this.dead = new CulvertError('WORKER_DIED', `${this.name} ${why}`, {}, { cause });
    this.events.died(this.dead);
  }

  private post(call: Call): void {
    this.worker.postMessage(call);
  }

  private answer(): unknown {
    const until = performance.now() + ANSWER_MS;
    let isThere = true;
    for (;;) {
      if (this.dead !== null) throw this.dead;
      const before = Atomics.load(this.answered, ANSWERS);
      const received = receiveMessageOnPort(this.answers) as { message: Answer } | undefined;
      if (received === undefined) {
        if (!isThere) this.die('ended without a word, perhaps for want of memory');
        else if (performance.now() > until) this.die('gives no answer');
        else if (Atomics.wait(this.answered, ANSWERS, before, LOOK_MS) === 'timed-out') {
          isThere = existsSync(`/proc/self/task/${String(this.answered[THREAD])}`);
        }
        continue;
      }
      const { message } = received;
      if ('died' in message) {
        this.die(`ended: ${message.died}`);
        continue;
      }
      if ('value' in message) return message.value;
      const { code, message: text } = message.error;
      throw code === null ? new Error(`${this.name}: ${text}`) : new CulvertError(code, text);
    }
  }
}

/** @throws CulvertError WORKER_DIED */
export async function startPacketThread(data: ThreadData, events: ThreadEvents): Promise<PacketThread> {
  return new Promise<PacketThread>((resolve, reject) => {
    const thread: PacketThread = new WorkerThread(data, {
      told: (what) => {
        if (what.told === 'ready') resolve(thread);
        else events.told(what);
      },
      died: (error) => {
        reject(error); // nothing where it had started
        events.died(error);
      },
    });
  });
}
