/** What the lab needs to know of a server. Each gets a folder of its own, which is removed with the lab. */
import type { Processes } from '../processes.js';

export interface Socket {
  readonly address: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
}

export interface Preparation {
  /** The server's own, empty; servers without root's rights may go through the folders above it. */
  readonly folder: string;
  readonly namespace: string;
  readonly processes: Processes;
  /** Of a self-signed certificate for `lab.test`; root alone may read the key. */
  readonly certificate: string;
  readonly key: string;
}

export interface Server {
  readonly name: string;
  /** It serves once these wait for somebody. */
  readonly listens: readonly Socket[];
  /** Writes its configuration. @returns the command that runs it in the foreground */
  prepare(preparation: Preparation): Promise<readonly string[]> | readonly string[];
}

/** What the server prints, in its folder. */
export const OUTPUT_LOG = 'output.log';

export const tcp = (address: string, port: number): Socket => ({ address, port, protocol: 'tcp' });
