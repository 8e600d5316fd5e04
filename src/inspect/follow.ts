/** One TCP stream, both directions, in order: as text, as a hex dump where it is not text, or as JSON lines. */
import { formatAddress } from '../wire/address.js';
import type { Palette } from './colour.js';
import type { DecodedFrame, StreamPosition } from './packet.js';
import { printable } from './printable.js';
import { headerAt } from './proxy-finder.js';
import { proxyJson, proxyText } from './proxy-view.js';
import { StreamContent } from './stream-content.js';
import type { Content } from './stream-content.js';
import { decimal } from './time.js';

export interface FollowOptions {
  /** Number of the stream, from 1. */
  readonly stream: number;
  readonly json: boolean;
  readonly palette: Palette;
}

type Side = 'client' | 'server';

/**
 * Follows a stream. Its JSON lines have `stream`, `direction`, `frame` (in which the octets became the next in order),
 * `time`, `offset` in the direction from 0, and either `octets` (how many) with `data` in base64, or `missing` octets,
 * or `proxy`, the decoded header with its length.
 */
export class Follower {
  /** Whether any packet of the stream was seen. */
  hasMet = false;
  readonly #options: FollowOptions;
  readonly #write: (text: string) => void;
  readonly #sides: Record<Side, FollowedSide>;
  #lastSide: Side | null = null;
  #frame: DecodedFrame | null = null;

  /** @param write takes the output, whole lines at a time */
  constructor(options: FollowOptions, write: (text: string) => void) {
    this.#options = options;
    this.#write = write;
    this.#sides = { client: this.#side('client'), server: this.#side('server') };
  }

  /** @returns whether the segment is the stream's */
  add(frame: DecodedFrame, position: StreamPosition): boolean {
    if (position.stream !== this.#options.stream || frame.ip === null || frame.transport?.kind !== 'tcp') return false;
    const { header, payload } = frame.transport;
    this.#frame = frame;
    if (!this.hasMet) {
      this.hasMet = true;
      const source = `${formatAddress(frame.ip.header.source)}:${header.sourcePort}`;
      const destination = `${formatAddress(frame.ip.header.destination)}:${header.destinationPort}`;
      const [client, server] = position.isFromClient ? [source, destination] : [destination, source];
      if (!this.#options.json) {
        const { palette } = this.#options;
        const ends = `${palette.client(`> client ${client}`)}, ${palette.server(`< server ${server}`)}`;
        this.#write(`stream ${position.stream}: ${ends}\n`);
      }
    }
    const [sender, receiver]: [Side, Side] = position.isFromClient ? ['client', 'server'] : ['server', 'client'];
    const isSyn = (header.flags & 0x02) !== 0;
    const first = position.sequence + (isSyn ? 1 : 0);
    // A keep-alive's octet stands before the first that is new: it is none of the stream's.
    if (payload.end > payload.at) this.#sides[sender].add(first, payload.buffer, payload.at, payload.end);
    if ((header.flags & 0x10) !== 0) this.#sides[receiver].acknowledge(position.acknowledgment);
    return true;
  }

  /** Gives out what waits for octets that never came. */
  end(): void {
    this.#sides.client.end();
    this.#sides.server.end();
  }

  #side(side: Side): FollowedSide {
    return new FollowedSide((content) => {
      this.#show(side, content);
    });
  }

  #show(side: Side, content: FollowedContent): void {
    if (this.#frame === null) return;
    const { info } = this.#frame;
    if (this.#options.json) {
      this.#write(jsonOf(this.#options.stream, side, info.frame, decimal(info, 9), content));
      return;
    }
    const { palette } = this.#options;
    const paint = side === 'client' ? palette.client : palette.server;
    const mark = side === 'client' ? '>' : '<';
    const lines: string[] = [];
    if (side !== this.#lastSide) lines.push('');
    this.#lastSide = side;
    switch (content.kind) {
      case 'octets':
        lines.push(...dump(content.octets, content.offset).map((line) => paint(`${mark} ${line}`)));
        break;
      case 'gap':
        lines.push(palette.note(`${mark} [${content.length} octets are not in the capture]`));
        break;
      case 'proxy':
        lines.push(palette.proxy(`${mark} [${content.text} (${content.length} octets)]`));
        break;
    }
    this.#write(`${lines.join('\n')}\n`);
  }
}

/** A PROXY header stands apart from the stream's own octets. `offset` counts from the start of the direction. */
type FollowedContent =
  | Content
  | {
      readonly kind: 'proxy';
      readonly offset: number;
      readonly length: number;
      readonly text: string;
      readonly json: Record<string, unknown>;
    };

/** One direction: puts it in order, and takes a PROXY header off its start. */
class FollowedSide {
  readonly #emit: (content: FollowedContent) => void;
  readonly #content: StreamContent;
  /** The stream's first octets while they may become a header; null once that is settled. */
  #start: Buffer | null = Buffer.alloc(0);

  constructor(emit: (content: FollowedContent) => void) {
    this.#emit = emit;
    this.#content = new StreamContent((content) => {
      this.#take(content);
    });
  }

  add(first: number, b: Buffer, at: number, end: number): void {
    this.#content.add(first, b, at, end);
  }

  acknowledge(relative: number): void {
    this.#content.acknowledge(relative);
  }

  end(): void {
    this.#content.end();
    this.#settle();
  }

  #take(content: Content): void {
    if (this.#start === null) {
      this.#emit(content);
      return;
    }
    if (content.kind === 'gap') {
      this.#settle();
      this.#emit(content);
      return;
    }
    this.#start = this.#start.length === 0 ? content.octets : Buffer.concat([this.#start, content.octets]);
    const result = headerAt(this.#start, 0, this.#start.length);
    if (result.kind === 'need') {
      this.#start = Buffer.from(this.#start);
      return;
    }
    if (result.kind === 'found' && result.finding.header !== null) {
      const { header, length } = result.finding;
      this.#emit({ kind: 'proxy', offset: 0, length, text: proxyText(header), json: proxyJson(header, length) });
      const rest = this.#start.subarray(length);
      this.#start = null;
      if (rest.length > 0) this.#emit({ kind: 'octets', offset: length, octets: rest });
      return;
    }
    this.#settle();
  }

  /** There is no header, or not a whole one. */
  #settle(): void {
    const octets = this.#start;
    this.#start = null;
    if (octets !== null && octets.length > 0) this.#emit({ kind: 'octets', offset: 0, octets });
  }
}

function jsonOf(stream: number, direction: Side, frame: number, time: string, content: FollowedContent): string {
  const rest =
    content.kind === 'octets'
      ? { octets: content.octets.length, data: content.octets.toString('base64') }
      : content.kind === 'gap'
        ? { missing: content.length }
        : { proxy: content.json };
  const body = JSON.stringify({ stream, direction, frame, offset: content.offset, ...rest });
  return `{"time":${time},${body.slice(1)}\n`;
}

/** Lines of text where the octets are text, else of hex. */
function dump(octets: Buffer, offset: number): string[] {
  const text = textOf(octets);
  if (text === null) return hexDump(octets, offset);
  const lines = text.split(/\r?\n/);
  // What ends with a line feed ends its last line.
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line) => printable(line.replaceAll('\t', '    ')));
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** The octets as text; null where they are not UTF-8 or have control characters that text has not. */
function textOf(octets: Buffer): string | null {
  let text: string;
  try {
    text = decoder.decode(octets);
  } catch {
    return null;
  }
  for (let i = 0; i < octets.length; i++) {
    const octet = octets[i]!;
    if ((octet < 0x20 && octet !== 0x09 && octet !== 0x0a && octet !== 0x0d) || octet === 0x7f) return null;
  }
  return text;
}

/** Sixteen octets a line: offset, hex, and the printable ones. */
function hexDump(octets: Buffer, offset: number): string[] {
  const lines: string[] = [];
  for (let at = 0; at < octets.length; at += 16) {
    const row = octets.subarray(at, at + 16);
    const hex = row.toString('hex').replace(/../g, '$& ');
    const characters = row.toString('latin1').replace(/[^ -~]/g, '.');
    const place = (offset + at).toString(16).padStart(8, '0');
    lines.push(`${place}  ${hex.slice(0, 24).padEnd(24)} ${hex.slice(24).padEnd(24)} |${characters}|`);
  }
  return lines;
}
