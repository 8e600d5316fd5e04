/**
 * CRC32C (Castagnoli), the checksum of RFC 9260 appendix A and of the PROXY protocol's CRC32C TLV: reflected
 * polynomial 0x82f63b78, initial value and final exclusive-or all ones. One table look-up per octet: headers are
 * tens of octets long, where a wider table costs more in cache than it saves.
 */

const REFLECTED_POLYNOMIAL = 0x82f63b78;

const table = new Int32Array(256);
for (let octet = 0; octet < 256; octet++) {
  let remainder = octet;
  for (let bit = 0; bit < 8; bit++) {
    remainder = (remainder & 1) === 1 ? (remainder >>> 1) ^ REFLECTED_POLYNOMIAL : remainder >>> 1;
  }
  table[octet] = remainder;
}

/**
 * CRC32C of the octets [start, end) as a signed 32-bit number. The signed form never leaves the small integers of
 * the engine, so that a caller on the packet path allocates nothing.
 *
 * @param hole offset of four octets that count as zero, as the CRC32C TLV's own value does; -1 for none. It lies
 *   wholly inside [start, end).
 */
export function crc32cSigned(b: Buffer, start: number, end: number, hole = -1): number {
  let crc = -1;
  const stop = hole < 0 ? end : hole;
  for (let i = start; i < stop; i++) crc = table[(crc ^ b[i]!) & 0xff]! ^ (crc >>> 8);
  if (hole < 0) return ~crc;
  for (let i = 0; i < 4; i++) crc = table[crc & 0xff]! ^ (crc >>> 8);
  for (let i = hole + 4; i < end; i++) crc = table[(crc ^ b[i]!) & 0xff]! ^ (crc >>> 8);
  return ~crc;
}

/** CRC32C of the octets [start, end), 0 to 4294967295. See {@link crc32cSigned} for `hole`. */
export function crc32c(b: Buffer, start = 0, end = b.length, hole = -1): number {
  return crc32cSigned(b, start, end, hole) >>> 0;
}
