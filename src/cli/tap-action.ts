/** What `culvert tap` does. */
import { CulvertError } from '../errors.js';
import { findSocket, openTap } from '../gateway/control-client.js';
import { LINK_RAW } from '../wire/link.js';
import { atTheEnd } from './capture-end.js';
import type { CaptureFlags } from './capture-flags.js';
import { CaptureOutput } from './capture-output.js';
import { tell } from './print.js';
import { copyCapture } from './copy-capture.js';
import { EXIT } from './exit-codes.js';

export interface TapFlags extends CaptureFlags {
  readonly network?: string;
  readonly link?: string;
  readonly address?: number;
  readonly port?: number;
  readonly runDir?: string;
}

const LOST = /^(\d+) packets before this one were lost/;

/** @returns the exit code */
export async function tap(lab: string | undefined, flags: TapFlags): Promise<number> {
  const { network, link, address, port, snaplen, write: file, count = Infinity, duration } = flags;
  const request = { network, link, address, port, snaplen };
  const { octets, stop } = await openTap(findSocket(lab, flags.runDir), request);
  const ending = new AbortController();
  ending.signal.addEventListener('abort', stop);
  const end = atTheEnd(duration, () => ending.abort());
  let output: CaptureOutput | null = null;
  let lost = 0;
  try {
    output = new CaptureOutput({ ...flags, file, format: 'pcapng', linkType: LINK_RAW, snapLength: snaplen });
    end.begin();
    tell('tapping; Ctrl-C ends it\n');
    await copyCapture(octets, 'tap', output, count, (comment) => (lost += Number(LOST.exec(comment)?.[1] ?? 0)));
    output.close();
  } catch (error) {
    output?.abort();
    throw error;
  } finally {
    end.callOff();
    octets.destroy();
  }
  tell(`${output.packets} packets${lost > 0 ? `, ${lost} lost` : ''}\n`);
  if (ending.signal.aborted || output.packets >= count) return EXIT.ok;
  throw new CulvertError('CONTROL_NOT_RUNNING', 'the gateway has ended; what it gave is written');
}
