/** Runs the inspector over packets or a file, and gives its lines. */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { CaptureReader } from '../../../src/capture/index.js';
import { PLAIN } from '../../../src/inspect/colour.js';
import type { Filter } from '../../../src/inspect/filter.js';
import { inspect, type InspectOptions, type InspectResult } from '../../../src/inspect/inspect.js';
import { writePcap, type CapturedPacket } from '../../support/packets.js';

export const NO_FILTER: Filter = { addresses: [], ports: [], flows: [], protocols: [] };

const DEFAULTS: InspectOptions = {
  mode: { kind: 'packets' },
  json: false,
  time: 'relative',
  absoluteSequence: false,
  filter: NO_FILTER,
  limit: Infinity,
  palette: PLAIN,
};

export interface Output {
  readonly lines: readonly string[];
  readonly result: InspectResult;
}

/** A sink that keeps everything. */
export class Kept {
  text = '';
  readonly isFull = false;

  write(text: string): void {
    this.text += text;
  }

  async settle(): Promise<void> {
    // Nothing is ever on its way.
  }
}

export async function inspectFile(file: string, options: Partial<InspectOptions> = {}): Promise<Output> {
  const reader = await CaptureReader.open(file);
  try {
    const kept = new Kept();
    const result = await inspect(reader, { ...DEFAULTS, ...options }, kept);
    return { lines: kept.text.split('\n').slice(0, -1), result };
  } finally {
    await reader.close();
  }
}

export async function inspectPackets(
  packets: readonly (Uint8Array | CapturedPacket)[],
  options: Partial<InspectOptions> = {},
  linkType = 101,
): Promise<Output> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-inspect-'));
  try {
    const file = path.join(folder, 'in.pcap');
    writePcap(file, packets, linkType);
    return await inspectFile(file, options);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A packet's JSON line, as far as tests look into it. */
export interface PacketJson {
  readonly frame: number;
  readonly protocol: string;
  readonly interfaceName?: string;
  readonly stream?: number;
  readonly direction?: 'client' | 'server';
  readonly retransmission?: boolean;
  readonly vlan?: readonly number[];
  readonly ip?: {
    readonly source: string;
    readonly destination: string;
    readonly checksum: { readonly verdict: string };
  };
  readonly tcp?: {
    readonly sourcePort: number;
    readonly sequence: number;
    readonly relativeSequence: number;
    readonly relativeAcknowledgment?: number;
    readonly flags: readonly string[];
    readonly window: number;
    readonly payload: number;
    readonly options?: readonly { readonly name: string; readonly blocks?: readonly number[][] }[];
    readonly checksum: { readonly verdict: string; readonly expected?: number };
  };
  readonly proxy?: { readonly version: number; readonly length: number; readonly linkId?: number };
  readonly notes?: readonly string[];
}

export async function inspectJson(packets: readonly (Uint8Array | CapturedPacket)[]): Promise<PacketJson[]> {
  const { lines } = await inspectPackets(packets, { json: true });
  return lines.map((line) => JSON.parse(line) as PacketJson);
}
