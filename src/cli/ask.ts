/** Asks a running gateway, once or every second, and prints the answer. */
import { setTimeout } from 'node:timers/promises';
import { ControlClient, findSocket } from '../gateway/control-client.js';

export interface AskFlags {
  readonly json?: true;
  readonly watch?: true;
  readonly runDir?: string;
}

const PERIOD_MS = 1000;
/** Clears the screen and goes to its top (ECMA-48 ED, CUP). */
const CLEAR = '\u001b[2J\u001b[H';

/**
 * @param text of an answer, for people
 * @throws CulvertError CONTROL_*
 */
export async function ask(
  lab: string | undefined,
  flags: AskFlags,
  request: object,
  text: (answer: unknown) => string,
): Promise<void> {
  const client = await ControlClient.connect(findSocket(lab, flags.runDir));
  try {
    for (;;) {
      const answer = await client.ask(request);
      if (flags.watch !== true) {
        process.stdout.write(flags.json === true ? `${JSON.stringify(answer, null, 2)}\n` : text(answer));
        return;
      }
      const clear = process.stdout.isTTY ? CLEAR : '';
      process.stdout.write(flags.json === true ? `${JSON.stringify(answer)}\n` : clear + text(answer));
      await setTimeout(PERIOD_MS);
    }
  } finally {
    client.close();
  }
}
