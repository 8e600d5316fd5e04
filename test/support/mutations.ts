/** Damage to packets: octets changed, cut, put in, headers that lie, with or without checksums made right again. */
import type { Random } from './random.js';
import { fixedHeader } from './traffic.js';
import { withChecksum } from './packets.js';

const BOUNDARIES = [0, 1, 2, 4, 5, 7, 8, 19, 20, 0x0f, 0x40, 0x45, 0x4f, 0x7f, 0x80, 0xfe, 0xff];

/** A damaged copy. */
export function mutated(random: Random, packet: Buffer): Buffer {
  let b: Buffer = Buffer.from(packet);
  for (let n = random.int(1, 4); n > 0 && b.length > 0; n--) {
    // Headers are where damage matters.
    const at = random.chance(0.85) ? random.int(0, Math.min(b.length, 80) - 1) : random.int(0, b.length - 1);
    switch (random.int(0, 6)) {
      case 0:
        b[at] = random.int(0, 255);
        break;
      case 1:
        b[at] = random.pick(BOUNDARIES);
        break;
      case 2:
        b[at] = b[at]! ^ (1 << random.int(0, 7));
        break;
      case 3:
        b = b.subarray(0, at);
        break;
      case 4:
        b = Buffer.concat([b.subarray(0, at), random.octets(random.int(1, 8)), b.subarray(at)]);
        break;
      case 5:
        if (b.length > 3) b.writeUInt16BE(random.pick([0, b.length, b.length - 1, b.length + 1, 0xffff]) & 0xffff, 2);
        break;
      default:
        if (b.length > 7) b.writeUInt16BE(random.pick([0x2000, 0x2001, 1, 0x1fff, 0x3fff, 0x4000, 0x8000, 0]), 6);
    }
  }
  if (random.chance(0.85)) b = fixedHeader(b);
  const header = b.length > 0 ? (b[0]! & 15) * 4 : 0;
  const whole = b.length >= 40 && header >= 20 && b.readUInt16BE(2) <= b.length && b.readUInt16BE(2) >= header + 20;
  return whole && random.chance(0.3) ? withChecksum(b) : b;
}
