/** Flags that `culvert capture` and `culvert tap` share. */
import { type Command, InvalidArgumentError } from 'commander';
import type { RotateFlags } from './capture-output.js';

export interface CaptureFlags extends RotateFlags {
  readonly write: string;
  readonly snaplen: number;
  readonly count?: number;
  /** Seconds. */
  readonly duration?: number;
}

/** Of a flow's packet at least this is kept, so that its headers are. */
const MIN_SNAPLEN = 96;
const MAX_SNAPLEN = 262_144;

export function withCaptureFlags(command: Command): Command {
  return command
    .requiredOption('-w, --write <file>', 'where to; - is standard output')
    .option(
      '-s, --snaplen <octets>',
      `kept of each packet, from ${MIN_SNAPLEN} on`,
      whole(MIN_SNAPLEN, MAX_SNAPLEN),
      MAX_SNAPLEN,
    )
    .option('-c, --count <packets>', 'end after so many', whole(1, Number.MAX_SAFE_INTEGER))
    .option('--duration <seconds>', 'end after so long', seconds)
    .option('--rotate-size <octets>', 'begin another file when one has so many; K, M and G are powers of 1024', size)
    .option('--rotate-time <seconds>', 'begin another file after so long', seconds)
    .option('--rotate-count <files>', 'keep the newest so many', whole(1, 99_999));
}

export function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const n = /^\d{1,16}$/.test(text) ? Number(text) : -1;
    if (n < least || n > most) throw new InvalidArgumentError(`It is a whole number, ${least} to ${most}.`);
    return n;
  };
}

function seconds(text: string): number {
  const n = /^\d{1,9}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (n === 0) throw new InvalidArgumentError('It is a number of seconds above 0, as 10 or 0.5.');
  return n;
}

export function size(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,12})([kmg]?)$/i.exec(text) ?? [];
  const n = digits === undefined ? 0 : Number(digits) * 1024 ** ['', 'k', 'm', 'g'].indexOf(unit.toLowerCase());
  if (n < 1024) throw new InvalidArgumentError('It is a number of octets from 1024 on, as 5000000, 500K or 10M.');
  return n;
}
