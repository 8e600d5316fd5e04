/** What every output packet must be, whatever it carries: well-formed, with right checksums or those that it came with. */
import type { Frame, Visitor } from './frames.js';
import type { Packet } from './packet.js';
import { ICMP, TCP, UDP } from './packet.js';
import type { Problems } from './problems.js';
import type { ErrorCounts } from './sums.js';
import { quoteAt, quoteError, sumOf } from './sums.js';

export class Soundness implements Visitor {
  packets = 0;
  /** Datagrams whose checksum cannot be summed: the capture cut them. */
  cut = 0;
  private readonly problems: Problems;
  private readonly errors: ErrorCounts;
  private readonly file: string;

  /**
   * @param file how messages name the file
   * @param errors of the input's packets; each may come out once
   */
  constructor(file: string, problems: Problems, errors: ErrorCounts) {
    this.file = file;
    this.problems = problems;
    this.errors = errors.copy();
  }

  unsound(why: string, frame: Frame, isIpv4: boolean): void {
    this.packets++;
    this.problems.add(isIpv4 ? 'malformed' : 'not-translatable', `${this.at(frame)}: ${why}`);
  }

  packet(p: Packet, frame: Frame): void {
    this.packets++;
    if (p.ipError !== 0) this.problems.add('ip-checksum', `${this.at(frame)}: off by ${hex(p.ipError)}`);
    if (p.fault !== null) {
      this.problems.add('malformed', `${this.at(frame)}: ${p.fault}`);
    } else if (p.protocol !== TCP && p.protocol !== UDP && p.protocol !== ICMP) {
      this.problems.add('not-translatable', `${this.at(frame)}: IP protocol ${String(p.protocol)}`);
    }
  }

  datagram(p: Packet, frame: Frame): void {
    const t = p.transport!;
    if (t.error < 0) this.cut++;
    const sum = sumOf(t);
    if (t.error > 0 && !this.errors.take(sum, t.error)) {
      this.problems.add(`${sum}-checksum` as const, `${this.at(frame)}: off by ${hex(t.error)}`);
    }
    if (t.protocol !== ICMP) return;
    if (quoteAt(p, t) < 0) {
      this.problems.add('not-translatable', `${this.at(frame)}: ICMP that quotes no packet`);
      return;
    }
    const error = quoteError(p, t);
    if (error > 0 && !this.errors.take('quoted', error)) {
      this.problems.add('quoted-checksum', `${this.at(frame)}: off by ${hex(error)}`);
    }
  }

  private at(frame: Frame): string {
    return `${this.file} frame ${String(frame.number)}`;
  }
}

const hex = (n: number): string => `0x${n.toString(16).padStart(4, '0')}`;
