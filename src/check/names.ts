/** Flows in words. */
import { formatAddress } from '../wire/address.js';
import { TCP } from './packet.js';

/** How the mapping names a NAT tuple: as the client's packets have it on the provider's side. */
export const carrierKey = (
  protocol: number,
  source: number,
  sourcePort: number,
  destination: number,
  destinationPort: number,
): string =>
  `${protocol === TCP ? 'TCP' : 'UDP'} ${formatAddress(source)}:${String(sourcePort)} to ${formatAddress(destination)}:${String(destinationPort)}`;

interface Ends {
  readonly network: number;
  readonly source: number;
  readonly sourcePort: number;
  readonly destination: number;
  readonly destinationPort: number;
}

/** A flow of the input in words; one name a tuple, whatever its connections. */
export const nameOf = (e: Ends): string =>
  `${formatAddress(e.source)}:${String(e.sourcePort)} to ${formatAddress(e.destination)}:${String(e.destinationPort)}${e.network === 0 ? '' : ` (network ${String(e.network)})`}`;

export const rangesText = (ranges: readonly (readonly [number, number])[]): string =>
  ranges
    .slice(0, 3)
    .map(([from, to]) => `${String(from)} to ${String(to)}`)
    .join(', ') + (ranges.length > 3 ? ', …' : '');
