/** The IPv4 packets of capture files, in memory, for tests that change and replay them. */
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { CaptureReader } from '../../src/capture/index.js';
import { locateIpv4 } from '../../src/wire/link.js';

export interface RecordedPacket {
  readonly octets: Buffer;
  /** Octets that the capture cut off. */
  readonly missing: number;
}

/** @param most packets at the most, from the start */
export async function recordedPackets(file: string, most: number): Promise<RecordedPacket[]> {
  const out: RecordedPacket[] = [];
  const reader = await CaptureReader.open(file);
  const take = (): void => {
    const end = reader.offset + reader.capturedLength;
    const ip = locateIpv4(reader.linkType, reader.slab, reader.offset, end);
    if (ip < 0) return;
    const missing = Math.max(0, reader.originalLength - reader.capturedLength);
    out.push({ octets: Buffer.from(reader.slab.subarray(ip, end)), missing });
  };
  if (reader.frame > 0) take();
  do {
    while (out.length < most && reader.next()) take();
  } while (out.length < most && (await reader.fill()));
  await reader.close();
  return out;
}

/** Captures below a folder, no larger than `octets` each, in a fixed order. */
export function captureFiles(folder: string, octets: number): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /(^|\/)(in|[^/]*__[^/]*)\.pcap(ng)?$/.test(name))
    .map((name) => path.join(folder, name))
    .filter((file) => statSync(file).size <= octets)
    .sort();
}
