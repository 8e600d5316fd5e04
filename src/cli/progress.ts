/** A progress bar on a terminal for inputs that take a while; its package is loaded for no one else. */
import type { SingleBar } from 'cli-progress';
import { isTerminal } from './print.js';

/** Shown for inputs from this size on: a smaller one is done before a bar could be read. */
const LONG_OCTETS = 64 << 20;

export interface Progress {
  update(packets: number, octets: number, size: number): void;
  stop(): void;
}

export async function progressBar(silent: boolean): Promise<Progress> {
  if (silent || !isTerminal('stderr')) return { update: () => undefined, stop: () => undefined };
  const { SingleBar: Bar } = await import('cli-progress');
  let bar: SingleBar | null = null;
  return {
    update: (packets, octets, size) => {
      if (size < LONG_OCTETS) return;
      if (bar === null) {
        bar = new Bar({
          format: '{bar} {percentage} % | {packets} packets | {eta_formatted} to go',
          stream: process.stderr,
          clearOnComplete: true,
          hideCursor: true,
        });
        bar.start(size, 0, { packets: 0 });
      }
      bar.update(octets, { packets });
    },
    stop: () => {
      bar?.stop();
    },
  };
}
