/** A TCP packet read into an object, after its checksums were found right. For tests. */
import assert from 'node:assert/strict';
import { onesSum, pseudoSum } from './packets.js';

export interface ParsedTcp {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** 0 to 2^32 - 1, as all numbers here. */
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  readonly window: number;
  /** First option of each kind; the value without kind and length. */
  readonly options: ReadonlyMap<number, Buffer>;
  readonly payload: Buffer;
  readonly octets: Buffer;
}

/** @throws AssertionError for a packet that no receiver would take */
export function parseTcp(octets: Buffer): ParsedTcp {
  const ipLength = (octets[0]! & 15) * 4;
  assert.equal(octets[0]! >>> 4, 4, 'version');
  assert.equal(octets.readUInt16BE(2), octets.length, 'total length');
  assert.equal(onesSum(octets.subarray(0, ipLength)), 0xffff, 'IPv4 checksum');
  const l4 = octets.subarray(ipLength);
  assert.equal(onesSum(l4, pseudoSum(octets, l4.length)), 0xffff, 'TCP checksum');
  const headerLength = (l4[12]! >>> 4) * 4;
  assert(headerLength >= 20 && headerLength <= l4.length, 'TCP header length');
  return {
    source: octets.subarray(12, 16).join('.'),
    destination: octets.subarray(16, 20).join('.'),
    sourcePort: l4.readUInt16BE(0),
    destinationPort: l4.readUInt16BE(2),
    seq: l4.readUInt32BE(4),
    ack: l4.readUInt32BE(8),
    flags: l4[13]!,
    window: l4.readUInt16BE(14),
    options: parseOptions(l4.subarray(20, headerLength)),
    payload: l4.subarray(headerLength),
    octets,
  };
}

function parseOptions(list: Buffer): Map<number, Buffer> {
  const options = new Map<number, Buffer>();
  for (let at = 0; at < list.length;) {
    const kind = list[at]!;
    if (kind === 0) break;
    if (kind === 1) {
      at++;
      continue;
    }
    const length = list[at + 1] ?? 0;
    assert(length >= 2 && at + length <= list.length, 'the option list is legal');
    if (!options.has(kind)) options.set(kind, list.subarray(at + 2, at + length));
    at += length;
  }
  return options;
}
