/**
 * Offload artefacts. A capture taken on a sending host sees packets before its network card has finished them: the IPv4
 * checksum may be 0, the total length may be 0 (TSO, BIG TCP), and the TCP or UDP checksum may be no more than the sum
 * of the pseudo header, to which the card would have added the rest. Such packets are completed here, before
 * translation; any other wrong checksum stays as it is.
 */
import { apply, delta16, fold, pseudoHeader, sum } from '../wire/checksum.js';
import * as ipv4 from '../wire/ipv4.js';
import { get16, set16 } from '../wire/octets.js';
import * as tcp from '../wire/tcp.js';
import * as udp from '../wire/udp.js';

/** What was completed, bits. */
export const TOTAL_LENGTH = 1;
export const IP_CHECKSUM = 2;
export const L4_CHECKSUM = 4;
/** The L4 checksum is partial and stays so: the capture cut the packet off. */
export const L4_PARTIAL = 8;
/** The L4 checksum was wrong and has been repaired, as asked for. */
export const L4_REPAIRED = 16;

/** Offload artefacts and other repairs, counted. */
export class Completed {
  totalLengths = 0;
  ipChecksums = 0;
  l4Checksums = 0;
  partialLeft = 0;
  repaired = 0;

  add(done: number): void {
    if ((done & TOTAL_LENGTH) !== 0) this.totalLengths++;
    if ((done & IP_CHECKSUM) !== 0) this.ipChecksums++;
    if ((done & L4_CHECKSUM) !== 0) this.l4Checksums++;
    if ((done & L4_PARTIAL) !== 0) this.partialLeft++;
    if ((done & L4_REPAIRED) !== 0) this.repaired++;
  }
}

/**
 * Completes the packet at `ip` in place.
 * @param end end of the octets at hand
 * @param missing octets that were on the wire behind `end`
 * @param repair set every wrong TCP or UDP checksum right
 * @returns what was done
 */
export function complete(b: Buffer, ip: number, end: number, missing: number, repair: boolean): number {
  if (end - ip < ipv4.MIN_HEADER || b[ip]! >>> 4 !== 4) return 0;
  const header = ipv4.headerLength(b, ip);
  if (header < ipv4.MIN_HEADER || end - ip < header) return 0;
  let done = 0;
  const available = end - ip + missing;
  const lengthUnknown = ipv4.totalLength(b, ip) === 0;
  if (lengthUnknown && available <= 0xffff) {
    // The checksum may cover the 0, or what the card would have put there.
    const held = ipv4.checksumHolds(b, ip, header);
    ipv4.setTotalLength(b, ip, available);
    if (held) ipv4.setChecksum(b, ip, apply(ipv4.checksum(b, ip), delta16(0, available)));
    done |= TOTAL_LENGTH;
  }
  if (ipv4.checksum(b, ip) === 0 && !ipv4.checksumHolds(b, ip, header)) {
    ipv4.setChecksum(b, ip, ipv4.computeChecksum(b, ip));
    done |= IP_CHECKSUM;
  }
  const total = ipv4.packetLength(b, ip, available);
  if (total > available || total < header || (ipv4.flagsAndOffset(b, ip) & ipv4.FRAGMENT_MASK) !== 0) return done;
  return done | completeL4(b, ip, ip + header, Math.min(end, ip + total), total - header, lengthUnknown, repair);
}

function completeL4(
  b: Buffer,
  ip: number,
  l4: number,
  end: number,
  octets: number,
  lengthUnknown: boolean,
  repair: boolean,
): number {
  const protocol = ipv4.protocol(b, ip);
  let covered = octets;
  let field: number;
  if (protocol === ipv4.PROTOCOL_TCP) {
    if (end - l4 < tcp.MIN_HEADER) return 0;
    field = l4 + tcp.CHECKSUM;
  } else if (protocol === ipv4.PROTOCOL_UDP) {
    if (end - l4 < udp.HEADER) return 0;
    field = l4 + udp.CHECKSUM;
    covered = udp.length(b, l4);
    if (covered < udp.HEADER || covered > octets || get16(b, field) === 0) return 0;
  } else {
    return 0;
  }
  const found = get16(b, field);
  const source = ipv4.source(b, ip);
  const destination = ipv4.destination(b, ip);
  const pseudo = pseudoHeader(source, destination, protocol, covered);
  // Where the card cuts the packet into segments, it adds each segment's length itself: the sum is without one.
  const partial = found === pseudo || (lengthUnknown && found === pseudoHeader(source, destination, protocol, 0));
  if (!partial && !repair) return 0;
  if (end - l4 < covered) return partial ? L4_PARTIAL : 0;
  const rest = fold(sum(b, l4, l4 + covered) + (found ^ 0xffff));
  const right = fold(pseudo + rest) ^ 0xffff || (protocol === ipv4.PROTOCOL_UDP ? 0xffff : 0);
  if (right === found) return 0;
  set16(b, field, right);
  return partial ? L4_CHECKSUM : L4_REPAIRED;
}
