/**
 * How the packets given back to the consumer differ from those that were recorded. Lifting and translating back is the
 * identity but for the TTL; every other difference has a rule, and is counted by it.
 */
import * as ipv4 from '../wire/ipv4.js';
import { get16 } from '../wire/octets.js';
import * as tcp from '../wire/tcp.js';

export class Returned {
  /** Server packets that were translated back. */
  packets = 0;
  /** Equal but for the TTL, which is one less, and the IPv4 checksum that covers it. */
  identical = 0;
  /** Offload artefacts were completed, or checksums repaired as asked for. */
  completed = 0;
  /** The window is smaller: the inserted header would have taken that room (stream-insertion case 8). */
  windowClamped = 0;
  /** TCP options were blanked: MPTCP (case 15). */
  optionsBlanked = 0;
  /** The identification changed: fragments of another datagram had it. */
  identificationChanged = 0;
  /** Differences without a rule; not 0 is a fault of the translator. */
  unexplained = 0;

  /**
   * Compares the headers; the payload is never touched.
   * @param a recorded packet's offset and end
   * @param r returned packet's offset
   * @param completed the recorded packet was completed or repaired first
   */
  compare(b: Buffer, a: number, aEnd: number, r: number, completed: boolean): void {
    this.packets++;
    if (completed) {
      this.completed++;
      return;
    }
    const header = ipv4.headerLength(b, a);
    const l4 = a + header;
    const first = ipv4.fragmentOffset(b, a) === 0;
    const isTcp = first && ipv4.protocol(b, a) === ipv4.PROTOCOL_TCP && aEnd - l4 >= tcp.MIN_HEADER;
    const end = Math.min(aEnd, l4 + (isTcp ? tcp.headerLength(b, l4) : 8));
    const shift = r - a;
    const identification = get16(b, a + 4) !== get16(b, r + 4);
    let window = false;
    let options = false;
    let other = b[r + 8] !== b[a + 8]! - 1;
    for (let i = a; i < end; i++) {
      if (b[i] === b[i + shift]) continue;
      const at = i - a;
      if (at === 4 || at === 5 || at === 8 || at === 10 || at === 11) continue;
      const inTcp = isTcp ? i - l4 : -1;
      if (inTcp === 14 || inTcp === 15) window = true;
      else if (inTcp >= 20 && b[i + shift] === tcp.OPTION_NOP) options = true;
      else if (inTcp !== 16 && inTcp !== 17) other = true;
    }
    if (window && get16(b, l4 + shift + 14) > get16(b, l4 + 14)) other = true;
    if (isTcp && !window && !options && get16(b, l4 + 16) !== get16(b, l4 + shift + 16)) other = true;
    if (other) this.unexplained++;
    else if (options) this.optionsBlanked++;
    else if (window) this.windowClamped++;
    else if (identification) this.identificationChanged++;
    else this.identical++;
  }
}
