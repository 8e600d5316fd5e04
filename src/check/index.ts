/**
 * The independent pass behind `culvert replay --check`: reads what was given to a replay and what came of it, and
 * verifies the one by the other. It shares no code with the translator; packets are parsed, summed and compared by the
 * plain code of this folder.
 *
 * In order: the input is indexed (`input.ts`), the provider's side is verified and with it the mapping found
 * (`provider.ts`, `header.ts`, `mapping.ts`), then the consumer's side against the input's server packets
 * (`recorded.ts`) or, where the provider's side was captured too, against those (`returned.ts`). Every output packet is
 * checked for soundness on the way (`soundness.ts`).
 *
 * Memory is bounded but for an entry per flow: 8 MiB of octets a stream and 256 MiB of all, a million datagrams, and a
 * window of packets; what lies beyond is counted as unchecked, not as right.
 */
import { statSync } from 'node:fs';
import type { ReturnRule } from './difference.js';
import type { Frame } from './frames.js';
import { Frames } from './frames.js';
import { InputIndex } from './input.js';
import { Mapping } from './mapping.js';
import type { Packet } from './packet.js';
import type { Problem } from './problems.js';
import { Problems } from './problems.js';
import { ProviderCheck } from './provider.js';
import { RecordedCheck } from './recorded.js';
import { ReturnFlows } from './return-flows.js';
import { ReturnedCheck } from './returned.js';
import { Soundness } from './soundness.js';

export type { ReturnRule } from './difference.js';
export type { Problem } from './problems.js';
export { PROBLEMS } from './problems.js';

export interface CheckOptions {
  /** Paths of capture files, each read from its beginning, the input twice: no standard input or output. */
  readonly input: string;
  readonly provider: string;
  /** Null when none was written. */
  readonly consumer: string | null;
  /** The capture of the provider's side that stood in for the input's server packets, or null. */
  readonly providerInput: string | null;
  /** uint32 blocks. */
  readonly natPool: readonly { readonly base: number; readonly prefix: number }[];
  /** Whether client streams begin with a header, by endpoint where that differs. */
  readonly proxy: boolean | ((endpointAddress: number, port: number, network: number) => boolean);
  /** Azure LINKID of an endpoint (uint32 address, and its consumer network); null is not checked. */
  readonly linkIdOf?: (endpointAddress: number, port: number, network: number) => number | null;
  /** From a capture interface's name to the consumer network, -1 for none; all are one network when absent. */
  readonly networkOf?: (interfaceName: string) => number;
  /** Every client flow that could be forwarded must have been; so it is where services are adopted. */
  readonly everyFlow?: boolean;
  /** @param done share of all octets to be read, 0 to 1 */
  readonly onProgress?: (done: number) => void;
}

export interface CheckReport {
  readonly ok: boolean;
  readonly packets: { readonly provider: number; readonly consumer: number };
  /** Client streams: those whose octets were compared, those proved complete and equal, those that cannot be judged. */
  readonly streams: { readonly checked: number; readonly exact: number; readonly unchecked: number };
  /** Streams whose header was found and read. */
  readonly headers: number;
  readonly returned: {
    /** Equal to the recorded packet but for the time to live and the checksum that covers it. */
    readonly identical: number;
    /** Different by a rule; a packet may count under several. */
    readonly rules: Partial<Record<ReturnRule | 'idle-reset', number>>;
  };
  /** Packets and datagrams that could not be judged whole: cut by the capture, or past the memory's bounds. */
  readonly unchecked: number;
  readonly problems: readonly Problem[];
}

/**
 * Verifies a replay.
 * @throws CulvertError as `CaptureReader.open` does when a file cannot be read at all
 */
export async function checkReplay(o: CheckOptions): Promise<CheckReport> {
  const progress = new Progress(o);
  const problems = new Problems();
  const { networkOf } = o;

  const input = new InputIndex(false);
  await Frames.visitAll(o.input, input, { networkOf, onProgress: progress.pass(o.input) });

  const mapping = new Mapping(problems);
  const sound = new Soundness('OUT', problems, input.errors);
  const provider = new ProviderCheck('OUT', input, o, problems, mapping);
  const both = {
    unsound: sound.unsound.bind(sound),
    packet(p: Packet, frame: Frame): void {
      sound.packet(p, frame);
      provider.packet(p, frame);
    },
    datagram(p: Packet, frame: Frame): void {
      sound.datagram(p, frame);
      provider.datagram(p, frame);
    },
  };
  const damage = await Frames.visitAll(o.provider, both, { onProgress: progress.pass(o.provider) });
  if (damage !== null) problems.add('file-damaged', damage.message);
  const streams = provider.finish();

  const back = o.consumer === null ? NOTHING : await checkConsumer(o, o.consumer, input, problems, progress);
  o.onProgress?.(1);
  const list = problems.list();
  return {
    ok: list.length === 0,
    packets: { provider: sound.packets, consumer: back.packets },
    streams,
    headers: provider.headers,
    returned: { identical: back.identical, rules: back.rules },
    unchecked: sound.cut + provider.unchecked + back.unchecked,
    problems: list,
  };
}

interface Back {
  readonly packets: number;
  readonly unchecked: number;
  readonly identical: number;
  readonly rules: CheckReport['returned']['rules'];
}

const NOTHING: Back = { packets: 0, unchecked: 0, identical: 0, rules: {} };

async function checkConsumer(
  o: CheckOptions,
  consumer: string,
  input: InputIndex,
  problems: Problems,
  progress: Progress,
): Promise<Back> {
  const flows = new ReturnFlows(input);
  if (o.providerInput === null) return checkRecorded(o, consumer, input, flows, problems, progress);

  const captured = new InputIndex(true);
  await Frames.visitAll(o.providerInput, captured, { onProgress: progress.pass(o.providerInput) });
  const sound = new Soundness('RET', problems, captured.errors);
  const returned = new ReturnedCheck(captured, flows, 'RET', problems);
  const both = {
    unsound: sound.unsound.bind(sound),
    packet: sound.packet.bind(sound),
    datagram(p: Packet, frame: Frame): void {
      sound.datagram(p, frame);
      returned.datagram(p, frame);
    },
  };
  const options = { networkOf: o.networkOf, onProgress: progress.pass(consumer) };
  const damage = await Frames.visitAll(consumer, both, options);
  if (damage !== null) problems.add('file-damaged', damage.message);
  returned.finish();
  return { packets: sound.packets, unchecked: sound.cut + returned.unchecked, identical: 0, rules: {} };
}

async function checkRecorded(
  o: CheckOptions,
  consumer: string,
  input: InputIndex,
  flows: ReturnFlows,
  problems: Problems,
  progress: Progress,
): Promise<Back> {
  const { networkOf } = o;
  const sound = new Soundness('RET', problems, input.errors);
  const at: { p: Packet | null; frame: Frame | null } = { p: null, frame: null };
  const visitor = {
    unsound: sound.unsound.bind(sound),
    packet(p: Packet, frame: Frame): void {
      sound.packet(p, frame);
      at.p = p.fault === null ? p : null;
      at.frame = frame;
    },
    datagram(p: Packet, frame: Frame): void {
      sound.datagram(p, frame);
      flows.count(p, p.transport!, frame);
    },
  };
  const recorded = await RecordedCheck.open(
    o.input,
    { networkOf, onProgress: progress.pass(o.input) },
    flows,
    'RET',
    problems,
  );
  try {
    const frames = await Frames.open(consumer, visitor, { networkOf, onProgress: progress.pass(consumer) });
    try {
      while (await frames.step()) {
        const { p, frame } = at;
        at.p = null;
        if (p !== null && frame !== null) await recorded.compare(p, frame, flows);
      }
      if (frames.warning !== null) problems.add('file-damaged', frames.warning.message);
    } finally {
      await frames.close();
    }
  } finally {
    await recorded.close();
  }
  flows.finish(problems, 'RET');
  return { packets: sound.packets, unchecked: sound.cut, identical: recorded.identical, rules: recorded.rules };
}

/** Octets read of all that are to be read. */
class Progress {
  private readonly onProgress: ((done: number) => void) | undefined;
  private readonly total: number;
  private readonly passes: number[] = [];

  constructor(o: CheckOptions) {
    this.onProgress = o.onProgress;
    const again = o.consumer !== null && o.providerInput === null ? o.input : null;
    this.total = [o.input, o.provider, o.consumer, o.providerInput, again].reduce(
      (sum, path) => sum + (path === null ? 0 : (statSync(path, { throwIfNoEntry: false })?.size ?? 0)),
      0,
    );
  }

  /** To be told how far one reading of a file is. */
  pass(path: string): ((octets: number) => void) | undefined {
    const { onProgress, passes, total } = this;
    if (onProgress === undefined || path === '-' || total === 0) return undefined;
    const index = passes.push(0) - 1;
    return (octets) => {
      passes[index] = octets;
      onProgress(Math.min(1, passes.reduce((sum, n) => sum + n, 0) / total));
    };
  }
}
