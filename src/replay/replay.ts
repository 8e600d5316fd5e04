/**
 * Replay: a recording in, the translated recordings out.
 *
 * Theory of operation
 * - One slab holds the read regions, the write regions and the scratch, so that a packet goes from one to the other by
 *   `copyWithin`: a memmove, with no object made. A packet is copied once, to where the output file needs it, and
 *   translated there; only when other packets go before it (a header, released fragments) does it move again.
 * - Client packets go to the provider's file. Server packets are lifted in place there, copied once more to the
 *   consumer's region, and translated back by the ordinary path.
 * - From pcapng to pcapng, the translated and the returned packet keep the recorded one's comment; what culvert adds has
 *   none.
 * - The recording's own time stamps are the clock, so a replay is deterministic: same input, same octets.
 */
import { CaptureReader } from '../capture/index.js';
import type { CulvertError } from '../errors.js';
import { FORWARD, drop } from '../packet/verdict.js';
import { TO_CONSUMER, TO_PROVIDER } from '../packet/outbox.js';
import type { TranslatorOptions } from '../translate/options.js';
import { LIFTED, NOT_USUAL, Recording } from '../translate/recording.js';
import type { Topology } from '../translate/topology.js';
import { Translator } from '../translate/translator.js';
import { LINK_NOT_IPV4, LINK_TRUNCATED, locateIpv4 } from '../wire/link.js';
import { unlessAborted } from './abort.js';
import { type AdoptOptions, Adopter } from './adopt.js';
import { RecordingClock } from './clock.js';
import { complete, Completed, L4_PARTIAL } from './offload.js';
import { Output } from './output.js';
import { Returned } from './returned.js';
import { textsOf } from './texts.js';

export interface ReplayPlan {
  readonly input: string;
  /** Taken on the provider's side; in place of lifting. */
  readonly providerInput: string | null;
  /** Output paths; null: none is written. */
  readonly provider: string | null;
  readonly consumer: string | null;
  readonly topology: Topology;
  /** Adopt services that the topology does not have. */
  readonly adopt: AdoptOptions | null;
  readonly options: Partial<TranslatorOptions>;
  /** Consumer network of the input, or null: each interface's name tells. */
  readonly network: number | null;
  readonly fixChecksums: boolean;
}

/**
 * Told now and then how far the input has been read.
 * @param octets of the input's file, compressed ones where it is
 * @param size of the input, or -1 when it cannot be known
 */
export type OnProgress = (packets: number, octets: number, size: number) => void;

export interface ReplayResult {
  readonly translator: Translator;
  readonly returned: Returned;
  readonly completed: Completed;
  /** Packets read. */
  readonly packets: number;
  readonly octets: number;
  readonly toProvider: number;
  readonly toConsumer: number;
  /** The input's tail was truncated or corrupt: what came before it was translated. */
  readonly warnings: readonly CulvertError[];
}

const READ = 8 << 20;
const WRITE = (2 << 20) + 4096;
const ASIDE = 2 << 20;
const SCRATCH = 1 << 20;

const NOT_IPV4 = drop('not-ipv4');
const LINK_SHORT = drop('link-truncated');
const UNSUPPORTED = drop('link-unsupported');
const NO_NETWORK = drop('no-network');

/** Verdict of a recorded server packet that a capture of the provider's side stands in for. */
const SKIPPED = 4;

export class Replay {
  private readonly plan: ReplayPlan;
  /** The input's consumer network; -1: each interface's name tells. */
  private readonly network: number;
  /** Usual packets need neither completing nor the provider's own capture. */
  private readonly lifting: boolean;
  private readonly signal: AbortSignal | undefined;
  private readonly slab: Buffer;
  private readonly t: Translator;
  private readonly recording: Recording;
  private readonly clock = new RecordingClock();
  private readonly returned = new Returned();
  private readonly completed = new Completed();
  private readonly writeFrom: number;
  private readonly aside: number;
  private provider!: Output;
  private consumer!: Output;
  private packets = 0;
  private octets = 0;
  // Of the packet at work: its time stamp, what was completed, and where the recorded server packet is.
  private seconds = 0;
  private nanoseconds = 0;
  private done = 0;
  private original = -1;
  private originalEnd = -1;
  private comment = '';
  /** Comments can be read, and written. */
  private commented = false;

  private constructor(plan: ReplayPlan, signal: AbortSignal | undefined) {
    this.plan = plan;
    this.network = plan.network ?? -1;
    this.lifting = plan.providerInput === null && !plan.fixChecksums;
    this.signal = signal;
    this.writeFrom = plan.providerInput === null ? READ : 2 * READ;
    this.aside = this.writeFrom + 2 * WRITE;
    const scratch = this.aside + ASIDE;
    this.slab = Buffer.allocUnsafeSlow(scratch + SCRATCH);
    this.t = new Translator(plan.topology, this.slab, scratch, scratch + SCRATCH, plan.options);
    this.recording = new Recording(this.t);
    if (plan.adopt !== null) {
      const adopter = new Adopter(this.t.tables, plan.adopt);
      this.t.core.adopt = (network, address) => adopter.adopt(network, address);
    }
  }

  /**
   * Runs a whole replay.
   * @param signal ends it when aborted, also while an input waits for its writer
   * @throws CulvertError when the input is no capture or an output cannot be written, and the signal's reason; nothing is
   *   left under the outputs' names then
   */
  static async run(plan: ReplayPlan, onProgress?: OnProgress, signal?: AbortSignal): Promise<ReplayResult> {
    return new Replay(plan, signal).run(onProgress);
  }

  private async run(onProgress?: OnProgress): Promise<ReplayResult> {
    const { plan } = this;
    const input = await this.open(plan.input, 0);
    let second: CaptureReader | null = null;
    let opened = false;
    try {
      if (plan.providerInput !== null) second = await this.open(plan.providerInput, READ);
      let more = await this.available(input);
      this.openOutputs(input, second);
      opened = true;
      if (second === null) await this.all(input, onProgress);
      else {
        let moreSecond = await this.available(second);
        while (more || moreSecond) {
          if (more && (!moreSecond || notLater(input, second))) {
            this.consumerRecord(input);
            more = await this.available(input);
          } else {
            this.providerRecord(second);
            moreSecond = await this.available(second);
          }
        }
      }
      // Only what is whole gets its name: neither, where one cannot be written to its end.
      this.provider.flush();
      this.consumer.flush();
      this.provider.close();
      this.consumer.close();
    } catch (error) {
      if (opened) {
        this.provider.abort();
        this.consumer.abort();
      }
      throw error;
    } finally {
      await input.close();
      await second?.close();
    }
    const warnings = [input.warning, second?.warning].filter((w) => w !== null && w !== undefined);
    return {
      translator: this.t,
      returned: this.returned,
      completed: this.completed,
      packets: this.packets,
      octets: this.octets,
      toProvider: this.provider.packets,
      toConsumer: this.consumer.packets,
      warnings,
    };
  }

  /** The outputs keep nanoseconds where the input has them, so they are opened when the input is known. */
  private openOutputs(input: CaptureReader, second: CaptureReader | null): void {
    const { plan, slab, writeFrom } = this;
    const fine = input.finerThanMicroseconds;
    const provider = [textsOf('provider', second?.interfaces ?? [])];
    const consumer = this.t.tables.networks.map((name, index) =>
      textsOf(
        name,
        input.interfaces.filter((face) => (plan.network === null ? face.name === name : index === plan.network)),
      ),
    );
    const comment = input.sectionComment;
    const back = (second ?? input).sectionComment;
    const isPcapng = (path: string | null): boolean => path?.endsWith('.pcapng') === true;
    this.commented =
      (isPcapng(plan.provider) || isPcapng(plan.consumer)) &&
      (input.format === 'pcapng' || second?.format === 'pcapng');
    this.provider = new Output(plan.provider, slab, writeFrom, writeFrom + WRITE, fine, provider, comment);
    try {
      const from = writeFrom + WRITE;
      this.consumer = new Output(plan.consumer, slab, from, from + WRITE, fine, consumer, back);
    } catch (error) {
      this.provider.abort();
      throw error;
    }
  }

  private async all(input: CaptureReader, onProgress?: OnProgress): Promise<void> {
    // `available` stands on the first packet already.
    if (input.frame > 0) this.consumerRecord(input);
    for (;;) {
      this.some(input);
      onProgress?.(this.packets, input.octetsRead, input.size);
      if (!(await unlessAborted(input.fill(), this.signal))) return;
    }
  }

  /** All packets that are at hand: a loop of its own, so that the JIT's code for it outlives a fill. */
  private some(input: CaptureReader): void {
    while (input.next()) this.consumerRecord(input);
  }

  private async open(path: string, from: number): Promise<CaptureReader> {
    const opening = CaptureReader.open(path, { slab: this.slab, from, to: from + READ });
    try {
      return await unlessAborted(opening, this.signal);
    } catch (error) {
      // It may be open yet, when its writer comes.
      void opening.then(
        (late) => late.close(),
        () => undefined,
      );
      throw error;
    }
  }

  /** Stands on the next packet. @returns false at the end */
  private async available(r: CaptureReader): Promise<boolean> {
    for (;;) {
      if (r.next()) return true;
      if (!(await unlessAborted(r.fill(), this.signal))) return false;
    }
  }

  /** One packet of the consumer's side. */
  private consumerRecord(r: CaptureReader): void {
    const { t, slab, provider } = this;
    const length = r.capturedLength;
    this.packets++;
    this.octets += length;
    const ip = locateIpv4(r.linkType, slab, r.offset, r.offset + length);
    if (ip < 0) {
      t.drops.add(ip === LINK_NOT_IPV4 ? NOT_IPV4 : ip === LINK_TRUNCATED ? LINK_SHORT : UNSUPPORTED);
      return;
    }
    const end = r.offset + length;
    this.begin(r);
    const at = provider.reserve(end - ip);
    slab.copyWithin(at, ip, end);
    const here = at + (end - ip);
    const missing = Math.max(0, r.originalLength - length);
    this.original = ip;
    this.originalEnd = end;
    const network = this.network >= 0 ? this.network : this.networkOf(r);
    if (this.lifting && network >= 0) {
      this.done = 0;
      const usual = this.recording.usual(at, here, network, missing);
      if (usual !== NOT_USUAL) {
        const n = t.outbox.length[0]!;
        provider.commit(n, t.outbox.missing[0]!, this.seconds, this.nanoseconds, 0, this.comment);
        if (usual === LIFTED) this.giveBack(at, n, t.outbox.missing[0]!, false, this.comment);
        return;
      }
    }
    this.done = complete(slab, at, here, missing, this.plan.fixChecksums);
    if (this.done !== 0) this.completed.add(this.done);
    if (network < 0) {
      t.drops.add(NO_NETWORK);
      return;
    }
    const partial = (this.done & L4_PARTIAL) !== 0;
    const verdict =
      this.plan.providerInput === null
        ? this.recording.packet(at, here, network, missing, partial)
        : this.clientOnly(at, here, network, missing, partial);
    this.drain(verdict, at, partial);
  }

  /** With a capture of the provider's side there is nothing to lift: the consumer side's server packets are left out. */
  private clientOnly(at: number, end: number, network: number, missing: number, partial: boolean): number {
    if (this.recording.isServers(at, end, network, missing)) return SKIPPED;
    return this.t.fromConsumer(at, end, network, missing, partial);
  }

  /** One packet of the provider's side. */
  private providerRecord(r: CaptureReader): void {
    const { t, slab, consumer } = this;
    const length = r.capturedLength;
    this.packets++;
    this.octets += length;
    const ip = locateIpv4(r.linkType, slab, r.offset, r.offset + length);
    if (ip < 0) {
      t.drops.add(ip === LINK_NOT_IPV4 ? NOT_IPV4 : ip === LINK_TRUNCATED ? LINK_SHORT : UNSUPPORTED);
      return;
    }
    const end = r.offset + length;
    this.begin(r);
    const at = consumer.reserve(end - ip);
    slab.copyWithin(at, ip, end);
    const here = at + (end - ip);
    const missing = Math.max(0, r.originalLength - length);
    this.done = complete(slab, at, here, missing, this.plan.fixChecksums);
    if (this.done !== 0) this.completed.add(this.done);
    this.original = -1;
    const partial = (this.done & L4_PARTIAL) !== 0;
    this.drain(t.fromProvider(at, here, missing, partial), at, partial);
  }

  private begin(r: CaptureReader): void {
    const { t } = this;
    const before = this.clock.now;
    this.seconds = r.seconds;
    this.nanoseconds = r.nanoseconds;
    this.comment = this.commented ? r.comment() : '';
    const now = this.clock.update(r.seconds, r.nanoseconds);
    t.begin();
    if (now === before) return;
    if (this.clock.confirmed) t.touch(now);
    // What timers give goes out before the packet, with its time stamp.
    while (!t.advance(now)) this.drainTimers();
    this.drainTimers();
  }

  private drainTimers(): void {
    if (this.t.outbox.count === 0) return;
    this.drain(FORWARD, -1, false);
    this.t.begin();
  }

  /**
   * Writes what the outbox holds, in its order.
   * @param at where the packet at work was put; -1: nowhere
   */
  private drain(verdict: number, at: number, partial: boolean): void {
    const { t, slab, provider, consumer } = this;
    const { outbox } = t;
    if (outbox.count === 0) return;
    if (outbox.count === 1 && outbox.offset[0] === at) {
      // The usual case: the packet stands where its file needs it.
      const length = outbox.length[0]!;
      const missing = outbox.missing[0]!;
      const network = outbox.network[0]!;
      if (verdict !== LIFTED) {
        const output = outbox.side[0] === TO_PROVIDER ? provider : consumer;
        output.commit(length, missing, this.seconds, this.nanoseconds, output === provider ? 0 : network, this.comment);
        return;
      }
      provider.commit(length, missing, this.seconds, this.nanoseconds, 0, this.comment);
      this.giveBack(at, length, missing, partial, this.comment);
      return;
    }
    // Where others go before it, the packet at work makes room for them.
    let own = at < 0 ? -1 : 0;
    while (own >= 0 && outbox.offset[own] !== at) own = own + 1 < outbox.count ? own + 1 : -1;
    // A packet that was built anew, such as a SYN that carries the header, goes last.
    const commented = own < 0 && at >= 0 && verdict === FORWARD ? outbox.count - 1 : own;
    if (own > 0) slab.copyWithin(this.aside, at, at + outbox.length[own]!);
    for (let i = 0; i < outbox.count; i++) {
      const from = i === own && own > 0 ? this.aside : outbox.offset[i]!;
      const length = outbox.length[i]!;
      const missing = outbox.missing[i]!;
      const side = outbox.side[i]!;
      const output = side === TO_CONSUMER ? consumer : provider;
      const to = output.reserve(length);
      slab.copyWithin(to, from, from + length);
      const comment = i === commented ? this.comment : '';
      const network = side === TO_CONSUMER ? outbox.network[i]! : 0;
      output.commit(length, missing, this.seconds, this.nanoseconds, network, comment);
      if (side !== TO_CONSUMER && side !== TO_PROVIDER) {
        if (i !== own) this.original = -1; // a fragment that had waited: what it was is gone
        this.giveBack(to, length, missing, partial, comment);
      }
    }
  }

  /** A lifted packet, now as the backend sent it, goes back to the consumer the ordinary way. */
  private giveBack(at: number, length: number, missing: number, partial: boolean, comment: string): void {
    const { t, slab, consumer } = this;
    const { outbox } = t;
    const first = outbox.count;
    const to = consumer.reserve(length);
    slab.copyWithin(to, at, at + length);
    t.fromProvider(to, to + length, missing, partial);
    for (let i = first; i < outbox.count; i++) {
      const from = outbox.offset[i]!;
      const n = outbox.length[i]!;
      if (from !== to) {
        const place = consumer.reserve(n);
        slab.copyWithin(place, from, from + n);
      } else if (this.original >= 0) {
        this.returned.compare(slab, this.original, this.originalEnd, to, this.done !== 0);
      }
      const said = from === to ? comment : '';
      consumer.commit(n, outbox.missing[i]!, this.seconds, this.nanoseconds, outbox.network[i]!, said);
    }
    outbox.count = first;
  }

  private networkOf(r: CaptureReader): number {
    const name = r.interfaces[r.interfaceIndex]?.name ?? '';
    return this.t.tables.networks.indexOf(name);
  }
}

const notLater = (a: CaptureReader, b: CaptureReader): boolean =>
  a.seconds < b.seconds || (a.seconds === b.seconds && a.nanoseconds <= b.nanoseconds);
