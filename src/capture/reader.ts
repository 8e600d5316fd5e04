/** The door to capture files for reading. */
import { CulvertError } from '../errors.js';
import { PcapReader } from './pcap-reader.js';
import { PcapngReader } from './pcapng-reader.js';
import { RECOGNISE_LENGTH, isGzip, notACapture, recognise } from './recognise.js';
import type { RecordReader } from './record-reader.js';
import { regionOf } from './region.js';
import type { Region, RegionOptions } from './region.js';
import { GunzipSource, openSource } from './source.js';
import type { CaptureSource } from './source.js';

/** A cursor over the packets of a capture: see `RecordReader` for how to use it. */
export type CaptureReader = RecordReader;

/**
 * Opens a capture: pcap or pcapng, gzip-compressed or not, told by content.
 * @param path a path, or `-` for standard input
 * @throws CulvertError CAPTURE_NOT_FOUND, CAPTURE_IS_DIRECTORY, CAPTURE_UNREADABLE, CAPTURE_EMPTY,
 * CAPTURE_NOT_A_CAPTURE; CAPTURE_TRUNCATED or CAPTURE_CORRUPT for a gzip file that yields nothing; CAPTURE_REGION
 */
async function open(path: string, options: RegionOptions = {}): Promise<CaptureReader> {
  const region = regionOf(options);
  return read(await openSource(path), path, region);
}

/**
 * Reads a capture from any source of octets, which is closed if that fails.
 * @param name told in errors and warnings
 * @throws CulvertError as `open` does
 */
async function fromSource(source: CaptureSource, name: string, options: RegionOptions = {}): Promise<CaptureReader> {
  return read(source, name, regionOf(options));
}

export const CaptureReader = { open, fromSource };

async function read(source: CaptureSource, name: string, region: Region): Promise<CaptureReader> {
  const { slab, from } = region;
  let input = source;
  let opened: RecordReader | null = null;
  try {
    let filled = await readHead(input, region);
    if (filled === from)
      throw new CulvertError('CAPTURE_EMPTY', `${name}: the file is empty: record it again, or name another`, {
        file: name,
      });
    if (isGzip(slab, from, filled)) {
      input = new GunzipSource(input, Buffer.from(slab.subarray(from, filled)), name);
      filled = await readHead(input, region);
      if (filled === from) {
        throw new CulvertError(
          'CAPTURE_EMPTY',
          `${name}: the gzip file has nothing in it: record it again, or name another`,
          { file: name },
        );
      }
    }
    const format = recognise(slab, from, filled);
    if (format === null) throw notACapture(slab, from, filled, name);
    const reader =
      format === 'pcap' ? new PcapReader(input, name, region, filled) : new PcapngReader(input, name, region, filled);
    opened = reader;
    await reader.start();
    return reader;
  } catch (error) {
    await (opened ?? input).close();
    throw error;
  }
}

/** Reads enough to tell what the file is, or all of it. */
async function readHead(source: CaptureSource, { slab, from, to }: Region): Promise<number> {
  let filled = from;
  while (filled - from < RECOGNISE_LENGTH) {
    const count = await source.read(slab, filled, to - filled);
    if (count === 0) break;
    filled += count;
  }
  return filled;
}
