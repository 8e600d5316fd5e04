/**
 * Inspects a capture: decodes each frame, follows TCP streams, and writes lines, one stream's content, or counts.
 *
 * Memory is bounded whatever the capture holds: tables of flows, fragments, unfinished headers, waiting octets and
 * counted addresses each have a limit, and output goes out as it comes.
 */
import type { CaptureReader } from '../capture/index.js';
import { locateIpv4 } from '../wire/link.js';
import type { Palette } from './colour.js';
import { decodeDatagram, decodeFrame } from './decode.js';
import type { Filter } from './filter.js';
import { matches } from './filter.js';
import { Follower } from './follow.js';
import { Reassembler } from './fragments.js';
import { jsonLine } from './json.js';
import { isPart } from './packet.js';
import type { DecodedFrame, FrameInfo, StreamPosition } from './packet.js';
import { Stats, statsText } from './stats.js';
import { StreamTable } from './streams.js';
import { LineWriter } from './text.js';
import type { TimeStyle } from './time.js';

/** What is written: a line a packet, counts at the end, or one stream's content. */
export type InspectMode =
  { readonly kind: 'packets' } | { readonly kind: 'stats' } | { readonly kind: 'follow'; readonly stream: number };

export interface InspectOptions {
  readonly mode: InspectMode;
  readonly json: boolean;
  readonly time: TimeStyle;
  readonly absoluteSequence: boolean;
  readonly filter: Filter;
  /** Packets shown or counted before the reading ends; Infinity for all. */
  readonly limit: number;
  readonly palette: Palette;
}

/** Where output goes. */
export interface InspectSink {
  /** Takes whole lines. */
  write(text: string): void;
  /** Whether `settle` has something to do that should not wait. */
  readonly isFull: boolean;
  /** Lets the output go out. */
  settle(): void;
}

/** What there is to say when it is over. */
export interface InspectResult {
  /** Packets shown or counted. */
  readonly packets: number;
  /** TCP streams met, whether shown or not. */
  readonly streams: number;
  /** The stream to follow was not among those that the filter lets through. */
  readonly isStreamMissing: boolean;
  /** Too many flows at a time: some streams were numbered twice. */
  readonly hasForgottenFlows: boolean;
}

/**
 * Runs over a capture, which stays the caller's to close; see its `warning` afterwards. The caller settles the sink.
 */
export async function inspect(
  reader: CaptureReader,
  options: InspectOptions,
  sink: InspectSink,
): Promise<InspectResult> {
  const run = new Inspection(reader, options, sink);
  while (run.wantsMore()) {
    while (run.wantsMore() && reader.next()) {
      run.take();
      if (sink.isFull) sink.settle();
    }
    if (!run.wantsMore()) break;
    // The reader of a slow pipe would otherwise wait for lines that are ready.
    sink.settle();
    if (!(await reader.fill())) break;
  }
  return run.end();
}

class Inspection {
  readonly #reader: CaptureReader;
  readonly #options: InspectOptions;
  readonly #sink: InspectSink;
  readonly #streams = new StreamTable();
  readonly #reassembler = new Reassembler();
  readonly #lines: LineWriter;
  readonly #stats: Stats | null;
  readonly #follower: Follower | null;
  #shown = 0;

  constructor(reader: CaptureReader, options: InspectOptions, sink: InspectSink) {
    const { mode, json, palette } = options;
    this.#reader = reader;
    this.#options = options;
    this.#sink = sink;
    this.#lines = new LineWriter(options, reader.interfaces);
    this.#stats = mode.kind === 'stats' ? new Stats() : null;
    this.#follower =
      mode.kind === 'follow'
        ? new Follower({ stream: mode.stream, json, palette }, (text) => {
            sink.write(text);
          })
        : null;
  }

  /** Whether another packet is of use. */
  wantsMore(): boolean {
    return this.#shown < this.#options.limit;
  }

  /** Takes the reader's packet. */
  take(): void {
    const reader = this.#reader;
    const { slab, offset } = reader;
    const end = offset + reader.capturedLength;
    let frame = decodeFrame(infoOf(reader), slab, offset, end);
    if (frame.ip?.isFragment === true) frame = this.#reassemble(frame, slab, offset, end);
    const position = this.#place(frame);
    const isNewFlow = position === null ? this.#isNewUdpFlow(frame) : position.isFirst;
    this.#lines.see(frame);
    if (!matches(this.#options.filter, frame)) return;
    if (this.#follower !== null) {
      if (position === null || !this.#follower.add(frame, position)) return;
    } else if (this.#stats !== null) this.#stats.add(frame, position, isNewFlow);
    else this.#writeLine(frame, position);
    this.#shown++;
  }

  end(): InspectResult {
    const { json } = this.#options;
    const { streams, hasForgotten } = this.#streams;
    if (this.#stats !== null) {
      const report = this.#stats.report(this.#reader.interfaces, hasForgotten);
      this.#sink.write(json ? `${JSON.stringify(report)}\n` : statsText(report));
    }
    this.#follower?.end();
    return {
      packets: this.#shown,
      streams,
      isStreamMissing: this.#follower?.hasMet === false,
      hasForgottenFlows: hasForgotten,
    };
  }

  #writeLine(frame: DecodedFrame, position: StreamPosition | null): void {
    const reader = this.#reader;
    const digits = reader.finerThanMicroseconds ? 9 : 6;
    this.#sink.write(
      this.#options.json
        ? jsonLine(frame, position, reader.interfaces[reader.interfaceIndex])
        : this.#lines.line(frame, position, digits),
    );
  }

  /** The frame with the datagram that it completes, or with the ports that an earlier fragment told. */
  #reassemble(frame: DecodedFrame, slab: Buffer, offset: number, end: number): DecodedFrame {
    const { ip } = frame;
    const at = locateIpv4(frame.info.linkType, slab, offset, end);
    if (ip === null || at < 0 || at + ip.length > end) return frame;
    const { datagram, frames, overlapped, ports } = this.#reassembler.add(frame, ip, slab, at);
    if (overlapped) frame.notes.push('fragments overlap');
    if (datagram === null) return frame.transport === null ? { ...frame, ports } : frame;
    frame.notes.push(`reassembled from frames ${frames.join(', ')}`);
    return decodeDatagram(frame, datagram);
  }

  #place(frame: DecodedFrame): StreamPosition | null {
    const { ip, transport } = frame;
    if (ip === null || transport?.kind !== 'tcp' || isPart(frame)) return null;
    return this.#streams.follow(frame, ip, transport);
  }

  #isNewUdpFlow(frame: DecodedFrame): boolean {
    const { ip, transport } = frame;
    if (ip === null || transport?.kind !== 'udp' || isPart(frame)) return false;
    return this.#streams.isNewUdpFlow(frame, ip, transport);
  }
}

function infoOf(reader: CaptureReader): FrameInfo {
  return {
    frame: reader.frame,
    seconds: reader.seconds,
    nanoseconds: reader.nanoseconds,
    linkType: reader.linkType,
    interfaceIndex: reader.interfaceIndex,
    originalLength: Math.max(reader.originalLength, reader.capturedLength),
    capturedLength: reader.capturedLength,
    comment: reader.format === 'pcapng' ? reader.comment() : '',
  };
}
