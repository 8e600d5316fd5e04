/** Real clients in a consumer's namespace. */
import assert from 'node:assert/strict';
import type { Consumer } from '../topology.js';
import type { Stage } from './check.js';

/** Runs one, which must end well. @returns what it printed */
export async function client(
  { lab }: Stage,
  who: Consumer,
  command: readonly string[],
  options: { readonly input?: string; readonly timeoutMs?: number } = {},
): Promise<string> {
  const { code, output, errors } = await lab.processes.run(lab.names.namespace[who], command, options);
  assert.equal(
    code,
    0,
    `${command.join(' ')}: ${code === null ? 'time is over' : `exit code ${code}`}\n${output}${errors}`,
  );
  return output;
}

export const curl = (stage: Stage, who: Consumer, url: string, ...more: readonly string[]): Promise<string> =>
  client(stage, who, ['curl', '--silent', '--show-error', '--max-time', '30', ...more, url]);
