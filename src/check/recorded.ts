/**
 * The consumer's side where the server packets of the input are the reference: each packet given back equals one of
 * them, octet for octet, save for what a rule says.
 *
 * Both files are read in step: the input runs ahead only as far as is needed to find the packet, within a window, since
 * what is given back is in the input's order but for fragments that had to wait.
 */
import { formatAddress } from '../wire/address.js';
import type { Difference, ReturnRule } from './difference.js';
import { differenceOf } from './difference.js';
import type { Frame, Visitor } from './frames.js';
import { Frames } from './frames.js';
import type { FramesOptions } from './frames.js';
import type { Packet } from './packet.js';
import { RST, TCP, isForwardable, isFragment, missingOctets, parsePacket } from './packet.js';
import type { Problems } from './problems.js';
import type { ReturnFlows } from './return-flows.js';

/** Packets and octets of the input that wait for their likes. */
const MAX_WAITING = 16384;
const MAX_OCTETS = 64 * 1024 * 1024;

interface Waiting {
  readonly octets: Buffer;
  readonly missing: number;
  readonly frame: number;
  readonly key: string;
  taken: boolean;
}

export class RecordedCheck {
  identical = 0;
  readonly rules: Partial<Record<ReturnRule | 'idle-reset', number>> = {};
  private readonly waiting = new Map<string, Waiting[]>();
  private queue: Waiting[] = [];
  private head = 0;
  private octets = 0;
  private ended = false;
  private lastMatched = 0;
  private readonly input: Frames;
  private readonly problems: Problems;
  private readonly file: string;

  private constructor(input: Frames, file: string, problems: Problems) {
    this.input = input;
    this.file = file;
    this.problems = problems;
  }

  /** @param path the input, read once more */
  static async open(
    path: string,
    options: FramesOptions,
    flows: ReturnFlows,
    file: string,
    problems: Problems,
  ): Promise<RecordedCheck> {
    const visitor: Visitor = {
      packet(p, frame) {
        // Only what may come back takes room.
        if (p.fault === null && flows.mayReturn(p) && (isForwardable(p) || p.ipUncomputed)) check.wait(p, frame);
      },
    };
    const check: RecordedCheck = new RecordedCheck(await Frames.open(path, visitor, options), file, problems);
    return check;
  }

  async close(): Promise<void> {
    await this.input.close();
  }

  /** Finds the input's packet that this one is. The input is read on, so the packet must be a copy. */
  async compare(p: Packet, frame: Frame, flows: ReturnFlows): Promise<void> {
    const key = keyOf(p);
    let tried = 0;
    let nearest: { readonly waiting: Waiting; readonly difference: Difference } | null = null;
    for (;;) {
      const list = this.waiting.get(key) ?? [];
      for (; tried < list.length; tried++) {
        const waiting = list[tried]!;
        const difference = this.difference(waiting, p, false);
        if (difference.fault === null) {
          this.take(waiting, difference);
          return;
        }
        nearest ??= { waiting, difference };
      }
      if (!(await this.readOn())) break;
    }
    if (isFragment(p)) {
      for (let i = this.head; i < this.queue.length; i++) {
        const waiting = this.queue[i]!;
        if (waiting.taken) continue;
        const difference = this.difference(waiting, p, true);
        if (difference.fault !== null) continue;
        this.take(waiting, difference);
        return;
      }
    }
    const where = `${this.file} frame ${String(frame.number)}`;
    if (nearest !== null) {
      const { waiting, difference } = nearest;
      this.problems.add('return-altered', `${where}, IN frame ${String(waiting.frame)}: ${difference.fault ?? ''}`);
      this.remove(waiting);
    } else if (isBareReset(p) && flows.mayReturn(p)) {
      this.rules['idle-reset'] = (this.rules['idle-reset'] ?? 0) + 1;
    } else {
      const ends = `${formatAddress(p.source)} to ${formatAddress(p.destination)}`;
      this.problems.add('return-unexplained', `${where}: ${ends}, ${String(p.length)} octets`);
    }
  }

  private difference(waiting: Waiting, p: Packet, anyIdentification: boolean): Difference {
    const was = parsePacket(waiting.octets, 0, waiting.octets.length, waiting.missing);
    if (typeof was === 'string') throw new Error(`a packet that could be read cannot be read: ${was}`);
    return differenceOf(was, p, anyIdentification);
  }

  private take(waiting: Waiting, difference: Difference): void {
    this.remove(waiting);
    this.lastMatched = Math.max(this.lastMatched, waiting.frame);
    const told = difference.rules.filter((rule) => rule !== 'ttl' && rule !== 'ip-checksum');
    if (told.length === 0) this.identical++;
    for (const rule of told) this.rules[rule] = (this.rules[rule] ?? 0) + 1;
  }

  /** @returns false when there is no more, or no room for more */
  private async readOn(): Promise<boolean> {
    while (this.head < this.queue.length) {
      const oldest = this.queue[this.head]!;
      const full = this.queue.length - this.head >= MAX_WAITING || this.octets > MAX_OCTETS;
      if (!oldest.taken && !full) break;
      // What the output has passed does not come any more.
      if (!oldest.taken && oldest.frame > this.lastMatched) return false;
      if (!oldest.taken) this.remove(oldest);
      this.head++;
    }
    if (this.head > MAX_WAITING) {
      this.queue = this.queue.slice(this.head);
      this.head = 0;
    }
    if (this.ended) return false;
    this.ended = !(await this.input.step());
    return !this.ended;
  }

  private wait(p: Packet, frame: Frame): void {
    const key = keyOf(p);
    const octets = Buffer.from(p.b.subarray(p.at, p.end));
    const waiting = { octets, missing: missingOctets(p), frame: frame.number, key, taken: false };
    const list = this.waiting.get(key);
    if (list === undefined) this.waiting.set(key, [waiting]);
    else list.push(waiting);
    this.queue.push(waiting);
    this.octets += octets.length;
  }

  private remove(waiting: Waiting): void {
    waiting.taken = true;
    this.octets -= waiting.octets.length;
    const list = this.waiting.get(waiting.key)!;
    list.splice(list.indexOf(waiting), 1);
    if (list.length === 0) this.waiting.delete(waiting.key);
  }
}

/** What never changes: addresses, protocol, identification, place in the datagram. */
const keyOf = (p: Packet): string =>
  `${String(p.source)} ${String(p.destination)} ${String(p.protocol)} ${String(p.id)} ${String(p.fragmentOffset)}`;

/** What a gateway sends of its own when an idle flow ends. */
const isBareReset = (p: Packet): boolean =>
  p.protocol === TCP && p.length === 40 && p.transport !== null && (p.transport.flags & RST) !== 0;
