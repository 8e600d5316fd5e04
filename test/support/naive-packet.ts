/**
 * IPv4 packets as objects, read and written slowly and plainly, for the naive translator. A checksum is never updated
 * here: it is made from nothing, and where the packet came with a wrong one it stays wrong by the same difference.
 */

/** An IPv4 packet; `body` is what is at hand of its payload, `wire` how long that is on the wire. */
export interface Packet {
  readonly tos: number;
  readonly id: number;
  /** Flags and fragment offset, the 16-bit field. */
  readonly fragment: number;
  readonly ttl: number;
  readonly protocol: number;
  readonly source: number;
  readonly destination: number;
  readonly options: Buffer;
  readonly body: Buffer;
  readonly wire: number;
  /** The total length field was 0 and stays so. */
  readonly unsized: boolean;
}

/** Sum of 16-bit words modulo 65535, which is what one's-complement sums are. */
export function words(b: Buffer): number {
  let s = 0;
  for (let i = 0; i < b.length; i++) s += b[i]! * (i % 2 === 0 ? 256 : 1);
  return s % 0xffff;
}

export const addressWords = (address: number): number => (address >>> 16) + (address & 0xffff);

const mod = (n: number): number => ((n % 0xffff) + 0xffff) % 0xffff;

export function pseudo(p: Packet): number {
  return mod(addressWords(p.source) + addressWords(p.destination) + p.protocol + (p.wire & 0xffff) + (p.wire >>> 16));
}

/**
 * The packet, or the reason to drop it.
 * @param missing octets of the frame behind `octets`
 */
export function readPacket(octets: Buffer, missing: number): Packet | string {
  if (octets.length < 20) return 'ip-truncated';
  if (octets[0]! >>> 4 !== 4) return 'ip-bad-version';
  const header = (octets[0]! & 15) * 4;
  if (header < 20) return 'ip-bad-header-length';
  if (octets.length < header) return 'ip-truncated';
  const field = octets.readUInt16BE(2);
  const frame = octets.length + missing;
  if (field > frame) return 'ip-bad-length';
  if (field < header && !(field === 0 && frame > 0xffff)) return 'ip-bad-length';
  // No header sums up to nothing, so 0 and 65535 are the same here.
  if (words(octets.subarray(0, header)) !== 0) return 'ip-bad-checksum';
  const total = field === 0 ? frame : field;
  return {
    tos: octets[1]!,
    id: octets.readUInt16BE(4),
    fragment: octets.readUInt16BE(6),
    ttl: octets[8]!,
    protocol: octets[9]!,
    source: octets.readUInt32BE(12),
    destination: octets.readUInt32BE(16),
    options: Buffer.from(octets.subarray(20, header)),
    body: Buffer.from(octets.subarray(header, Math.min(octets.length, total))),
    wire: total - header,
    unsized: field === 0,
  };
}

export function writePacket(p: Packet): Buffer {
  const header = Buffer.alloc(20 + p.options.length);
  header[0] = 0x40 | (header.length / 4);
  header[1] = p.tos;
  header.writeUInt16BE(p.unsized ? 0 : header.length + p.wire, 2);
  header.writeUInt16BE(p.id, 4);
  header.writeUInt16BE(p.fragment, 6);
  header[8] = p.ttl;
  header[9] = p.protocol;
  header.writeUInt32BE(p.source, 12);
  header.writeUInt32BE(p.destination, 16);
  header.set(p.options, 20);
  header.writeUInt16BE(mod(-words(header)), 10);
  return Buffer.concat([header, p.body]);
}

/**
 * Sets the TCP or UDP checksum of `after`, so that it is as right or as wrong as that of `before`.
 * @param field offset of the checksum in the body
 * @param partial the field holds the pseudo header's sum only
 */
export function keepChecksum(before: Packet, after: Packet, field: number, partial: boolean): void {
  const old = before.body.readUInt16BE(field);
  if (partial) {
    after.body.writeUInt16BE(mod(old - pseudo(before) + pseudo(after)) || 0xffff, field);
    return;
  }
  const isUdp = before.protocol === 17;
  if (isUdp && old === 0) return;
  const was = mod(pseudo(before) + words(before.body));
  after.body.writeUInt16BE(0, field);
  const now = mod(pseudo(after) + words(after.body));
  const sum = mod(was - now);
  after.body.writeUInt16BE(isUdp && sum === 0 ? 0xffff : sum, field);
}

/** Sets a checksum that covers just these octets, so that their sum is what it was. */
export function keepSum(before: Buffer, after: Buffer, field: number): void {
  after.writeUInt16BE(0, field);
  after.writeUInt16BE(mod(words(before) - words(after)), field);
}

/** Sets the right TCP checksum. */
export function rightChecksum(p: Packet): void {
  p.body.writeUInt16BE(0, 16);
  p.body.writeUInt16BE(mod(-(pseudo(p) + words(p.body))), 16);
}

/** A TCP option in its list. */
export interface Option {
  /** Offset in the segment. */
  readonly at: number;
  readonly kind: number;
  /** Octets of the whole option. */
  readonly length: number;
}

/** The legal options, NOPs left out; what stands behind an illegal one cannot be told apart. */
export function optionsOf(segment: Buffer): Option[] {
  const end = (segment[12]! >>> 4) * 4;
  const out: Option[] = [];
  for (let at = 20; at < end;) {
    const kind = segment[at]!;
    if (kind === 0) break;
    if (kind === 1) {
      at++;
      continue;
    }
    const length = at + 1 < end ? segment[at + 1]! : 0;
    if (length < 2 || at + length > end) break;
    out.push({ at, kind, length });
    at += length;
  }
  return out;
}
