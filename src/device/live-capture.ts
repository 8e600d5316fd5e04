/**
 * Packets of an interface, through libpcap by the optional package `cap`. It tells no times, no lengths of packets beyond
 * 65,535 octets, and no losses: whoever needs those uses dumpcap and reads its output.
 */
import { createRequire } from 'node:module';
import { CulvertError } from '../errors.js';
import { LINK_ETHERNET, LINK_LINUX_SLL, LINK_NULL, LINK_RAW } from '../wire/link.js';

/** What is used of the package `cap`, which has no types. */
interface Cap {
  open(device: string, filter: string, bufferOctets: number, packet: Buffer): string;
  on(event: 'packet', listener: (octets: number, truncated: boolean) => void): void;
  close(): void;
}

interface CapModule {
  readonly Cap: new () => Cap;
  readonly deviceList: () => readonly { readonly name: string }[];
}

/** As `cap` names them. */
const LINK_TYPES: Readonly<Record<string, number>> = {
  ETHERNET: LINK_ETHERNET,
  RAW: LINK_RAW,
  NULL: LINK_NULL,
  LINKTYPE_LINUX_SLL: LINK_LINUX_SLL,
};

export const MAX_LIVE_PACKET = 65_535;

export interface LiveCapture {
  readonly linkType: number;
  close(): void;
}

/** @throws CulvertError LIVE_CAPTURE_MISSING */
function load(): CapModule {
  try {
    return createRequire(import.meta.url)('cap') as CapModule;
  } catch (error) {
    throw new CulvertError(
      'LIVE_CAPTURE_MISSING',
      `live capture needs the npm package cap, which could not be loaded (${(error as Error).message.split('\n')[0]!}). ` +
        'It is built when it is installed: apt-get install libpcap-dev g++ make python3, then npm install cap@0.2.1',
      {},
      { cause: error },
    );
  }
}

/**
 * Captures what an interface sends and receives, in promiscuous mode.
 * @param filter as pcap-filter(7) has it; empty: all
 * @param bufferOctets that the kernel may keep for us
 * @param onPacket told of each packet, in `b[0, octets)`, which is good until it returns; it must not throw
 * @throws CulvertError LIVE_CAPTURE_MISSING, LIVE_CAPTURE_REFUSED
 */
export function openLiveCapture(
  device: string,
  filter: string,
  bufferOctets: number,
  onPacket: (b: Buffer, octets: number) => void,
): LiveCapture {
  const { Cap } = load();
  const cap = new Cap();
  const packet = Buffer.allocUnsafeSlow(MAX_LIVE_PACKET);
  let type: string;
  try {
    type = cap.open(device, filter, bufferOctets, packet);
  } catch (error) {
    const why = (error as Error).message;
    throw new CulvertError('LIVE_CAPTURE_REFUSED', `${device}: ${why}`, {}, { cause: error });
  }
  const linkType = LINK_TYPES[type];
  if (linkType === undefined) {
    cap.close();
    throw new CulvertError('LIVE_CAPTURE_REFUSED', `${device}: its link type cannot be captured: ${type}`);
  }
  cap.on('packet', (octets) => onPacket(packet, octets));
  return { linkType, close: () => cap.close() };
}
