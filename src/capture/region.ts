/** The part of a buffer that a reader or writer owns. */
import { CulvertError } from '../errors.js';
import { DEFAULT_REGION_LENGTH, MIN_REGION_LENGTH } from './format.js';

/** Where a reader or writer keeps its octets. */
export interface RegionOptions {
  /** Buffer to use, for example one shared by a reader and its writers; an own one of 4 MiB when absent. */
  readonly slab?: Buffer;
  /** First octet of the region in the slab; 0 when absent. */
  readonly from?: number;
  /** Just past the region's last octet; the end of the slab when absent. A packet must fit, with its headers. */
  readonly to?: number;
}

/** The octets `slab[from, to)`. */
export interface Region {
  readonly slab: Buffer;
  readonly from: number;
  readonly to: number;
}

/** @throws CulvertError CAPTURE_REGION when it does not lie in the slab or is shorter than 64 octets */
export function regionOf(options: RegionOptions): Region {
  const slab = options.slab ?? Buffer.allocUnsafeSlow(DEFAULT_REGION_LENGTH);
  const from = options.from ?? 0;
  const to = options.to ?? slab.length;
  if (
    !Number.isInteger(from) ||
    !Number.isInteger(to) ||
    from < 0 ||
    to > slab.length ||
    to - from < MIN_REGION_LENGTH
  ) {
    throw new CulvertError(
      'CAPTURE_REGION',
      `a capture needs at least ${String(MIN_REGION_LENGTH)} octets inside its slab of ${String(slab.length)}; ${String(from)} to ${String(to)} was given`,
    );
  }
  return { slab, from, to };
}
