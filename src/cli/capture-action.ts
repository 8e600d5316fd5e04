/**
 * What `culvert capture` does.
 *
 * The package `cap` ends the whole process (an assertion of its) when the interface is removed. So libpcap is in a process
 * of its own, this command again with `--direct`, which gives pcapng to this one: the file is whole whatever happens there.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openLiveCapture } from '../device/live-capture.js';
import { CulvertError } from '../errors.js';
import { atTheEnd } from './capture-end.js';
import type { CaptureFlags } from './capture-flags.js';
import { CaptureOutput } from './capture-output.js';
import { copyCapture } from './copy-capture.js';
import { EXIT } from './exit-codes.js';
import { tell } from './print.js';

export interface LiveFlags extends CaptureFlags {
  /** Octets. */
  readonly buffer: number;
  readonly direct?: true;
}

/** So long at most a packet waits until whoever reads a pipe sees it. */
const FLUSH_MS = 100;

/** @returns the exit code */
export function capture(device: string, filter: string, flags: LiveFlags): Promise<number> {
  return flags.direct === true ? captureHere(device, filter, flags) : captureBeside(device, filter, flags);
}

async function captureBeside(device: string, filter: string, flags: LiveFlags): Promise<number> {
  const { write: file, snaplen, buffer, count = Infinity, duration } = flags;
  const own = [
    'capture',
    device,
    filter,
    '--direct',
    '-w',
    '-',
    '--snaplen',
    String(snaplen),
    '--buffer',
    String(buffer),
  ];
  const child = spawn(process.execPath, [process.argv[1]!, ...own], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let said = '';
  child.stderr!.on('data', (part: Buffer) => (said += part.toString()));
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const end = atTheEnd(duration, () => child.kill('SIGTERM'));
  let output: CaptureOutput | null = null;
  try {
    const linkType = await Promise.race([
      once(child, 'message').then(([type]) => type as number),
      closed.then(() => -1),
    ]);
    if (linkType >= 0) {
      const format = file.endsWith('.pcap') ? 'pcap' : 'pcapng';
      output = new CaptureOutput({ ...flags, file, format, linkType, snapLength: snaplen });
      end.begin();
      tell(`capturing ${device}; Ctrl-C ends it\n`);
      await copyCapture(child.stdout!, device, output, count);
      output.close();
      tell(`${output.packets} packets\n`);
    }
  } catch (error) {
    output?.abort();
    throw error;
  } finally {
    end.callOff();
    child.stdout!.destroy();
    child.kill('SIGTERM');
  }
  const [code] = await closed;
  const refusal = /^culvert: (\w+): (.*)$/m.exec(said);
  if (refusal !== null) throw new CulvertError(refusal[1]!, refusal[2]!);
  // After a refusal it may end by a signal too: cap takes down what it never put up.
  if (code === EXIT.ok || (output !== null && output.packets >= count)) return EXIT.ok;
  throw new CulvertError('LIVE_CAPTURE_ENDED', `${device}: was removed; what was captured until then is written`);
}

async function captureHere(
  device: string,
  filter: string,
  { snaplen, buffer, write: file }: LiveFlags,
): Promise<number> {
  let output: CaptureOutput | null = null;
  let end: (error: Error | null) => void = () => undefined;
  const ended = new Promise<Error | null>((resolve) => {
    end = resolve;
  });
  const guarded = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      end(error as Error);
    }
  };
  const live = openLiveCapture(device, filter, buffer, (b, octets) => {
    guarded(() => {
      // The clock at delivery: libpcap's own is not told.
      const ms = performance.timeOrigin + performance.now();
      const seconds = Math.floor(ms / 1000);
      const nanoseconds = Math.floor((ms - seconds * 1000) * 1e6);
      output?.write(b, 0, Math.min(octets, snaplen), octets, seconds, nanoseconds);
    });
  });
  const { linkType } = live;
  output = new CaptureOutput({ file, format: 'pcapng', linkType, snapLength: snaplen });
  output.addInterface({ linkType, name: device });
  const flushing = setInterval(() => guarded(() => output.flush()), FLUSH_MS);
  const signals = atTheEnd(undefined, () => end(null));
  process.once('disconnect', () => end(null)); // whoever reads us has gone
  process.send?.(linkType);
  const failure = await ended;
  signals.callOff();
  clearInterval(flushing);
  live.close();
  if (process.connected) process.disconnect();
  if (failure !== null) throw failure;
  output.close();
  return EXIT.ok;
}
