/** Asks a running gateway, once or every second, and prints the answer. */
import { setTimeout } from 'node:timers/promises';
import { ControlClient, findSocket } from '../gateway/control-client.js';
import { LiveView } from './live-view.js';
import { isTerminal, print } from './print.js';

export interface AskFlags {
  readonly json?: true;
  readonly watch?: true;
  readonly runDir?: string;
}

const PERIOD_MS = 1000;

/** What was answered the time before; its numbers and the newer ones give rates. */
export interface Before<T> {
  readonly answer: T;
  /** Between the two. */
  readonly seconds: number;
}

/**
 * @param text of an answer, for people; with what was answered before while it is watched
 * @throws CulvertError CONTROL_*
 */
export async function ask<T>(
  lab: string | undefined,
  flags: AskFlags,
  request: object,
  text: (answer: T, before?: Before<T>) => string,
): Promise<void> {
  const client = await ControlClient.connect(findSocket(lab, flags.runDir));
  const view =
    flags.watch === true && flags.json !== true && isTerminal('stdout') ? new LiveView(process.stdout) : null;
  try {
    let before: { readonly answer: T; readonly at: number } | undefined;
    for (;;) {
      const answer = (await client.ask(request)) as T;
      const at = performance.now();
      if (flags.watch !== true) {
        print(flags.json === true ? `${JSON.stringify(answer, null, 2)}\n` : text(answer));
        return;
      }
      if (flags.json === true) print(`${JSON.stringify(answer)}\n`);
      else {
        const shown = text(answer, {
          answer: before?.answer ?? answer,
          seconds: before === undefined ? 1 : (at - before.at) / 1000,
        });
        if (view === null) print(`${shown}\n`);
        else view.draw(shown);
      }
      before = { answer, at };
      await setTimeout(PERIOD_MS);
    }
  } finally {
    view?.close();
    client.close();
  }
}
