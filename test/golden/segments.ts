/** The TCP segments of a capture, read by plain code. */
import { readFileSync } from 'node:fs';
import { locateIpv4 } from '../../src/wire/link.js';
import { naiveRead } from '../unit/capture/naive.js';

/** Where the TCP segment of a raw IPv4 packet is, or null where the packet has no TCP header. */
export function tcpOf(octets: Buffer): { readonly at: number; readonly end: number } | null {
  const at = (octets.readUInt8(0) & 15) * 4;
  const unfragmented = (octets.readUInt16BE(6) & 0x1fff) === 0;
  if (octets.readUInt8(9) !== 6 || !unfragmented || at + 20 > octets.length) return null;
  return { at, end: Math.min(octets.length, octets.readUInt16BE(2) || octets.length) };
}

const endpoint = (octets: Buffer, address: number, port: number): string =>
  `${octets.subarray(address, address + 4).join('.')}:${String(octets.readUInt16BE(port))}`;

/** `source:port > destination:port` and flags of every TCP segment of the capture. */
export function* segmentsOf(file: string): Generator<{ readonly tuple: string; readonly flags: number }> {
  for (const { link, data } of naiveRead(readFileSync(file))) {
    const ip = locateIpv4(link, data, 0, data.length);
    if (ip < 0 || data.length < ip + 20) continue;
    const packet = data.subarray(ip);
    const tcp = tcpOf(packet);
    if (tcp === null) continue;
    const tuple = `${endpoint(packet, 12, tcp.at)} > ${endpoint(packet, 16, tcp.at + 2)}`;
    yield { tuple, flags: packet.readUInt8(tcp.at + 13) };
  }
}
