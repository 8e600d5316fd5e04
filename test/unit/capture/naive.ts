/**
 * A plain builder and a plain reader of capture files, for tests: whole files in memory, BigInt and DataView
 * throughout, nothing shared with the code under test.
 */
import { gunzipSync } from 'node:zlib';
import { CaptureReader, StreamSource } from '../../../src/capture/index.js';
import type { RegionOptions } from '../../../src/capture/index.js';
import { Readable } from 'node:stream';

export interface NaivePacket {
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly original: number;
  readonly data: Buffer;
  readonly link: number;
}

class Octets {
  private readonly parts: Buffer[] = [];
  private readonly little: boolean;
  constructor(little: boolean) {
    this.little = little;
  }
  num(value: number | bigint, width: 1 | 2 | 4 | 8): this {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, BigInt.asUintN(64, BigInt(value)));
    const octets = Buffer.from(view.buffer).subarray(8 - width);
    this.parts.push(this.little ? Buffer.from(octets).reverse() : octets);
    return this;
  }
  raw(octets: Uint8Array): this {
    this.parts.push(Buffer.from(octets));
    return this;
  }
  padded(octets: Uint8Array): this {
    this.raw(octets);
    while (octets.length % 4 !== 0 && this.size() % 4 !== 0) this.parts.push(Buffer.from([0]));
    return this;
  }
  size(): number {
    return this.parts.reduce((n, part) => n + part.length, 0);
  }
  done(): Buffer {
    return Buffer.concat(this.parts);
  }
}

export interface PcapShape {
  readonly little: boolean;
  readonly magic: number;
  readonly link?: number;
  readonly snap?: number;
}

/** @param packets their fraction is in the file's own unit */
export function buildPcap(
  shape: PcapShape,
  packets: readonly { seconds: number; fraction: number; original?: number; data: Buffer }[],
): Buffer {
  const o = new Octets(shape.little);
  o.num(shape.magic, 4).num(2, 2).num(4, 2).num(0, 4).num(0, 4);
  o.num(shape.snap ?? 65535, 4).num(shape.link ?? 1, 4);
  for (const p of packets) {
    o.num(p.seconds, 4)
      .num(p.fraction, 4)
      .num(p.data.length, 4)
      .num(p.original ?? p.data.length, 4);
    if (shape.magic === 0xa1b2cd34) o.num(7, 4).num(0x0800, 2).num(4, 1).num(0, 1);
    o.raw(p.data);
  }
  return o.done();
}

export type NaiveOption = readonly [code: number, value: Uint8Array];

/** pcapng blocks of one byte order. */
export class PcapngBuilder {
  private readonly little: boolean;
  constructor(little: boolean) {
    this.little = little;
  }

  block(type: number, body: Uint8Array): Buffer {
    const length = 12 + body.length;
    return new Octets(this.little).num(type, 4).num(length, 4).raw(body).num(length, 4).done();
  }

  options(list: readonly NaiveOption[]): Buffer {
    if (list.length === 0) return Buffer.alloc(0);
    const o = new Octets(this.little);
    for (const [code, value] of list) o.num(code, 2).num(value.length, 2).padded(value);
    return o.num(0, 4).done();
  }

  num(value: number | bigint, width: 1 | 2 | 4 | 8): Buffer {
    return new Octets(this.little).num(value, width).done();
  }

  section(options: readonly NaiveOption[] = [], major = 1): Buffer {
    const o = new Octets(this.little).num(0x1a2b3c4d, 4).num(major, 2).num(0, 2).num(-1n, 8);
    return this.block(0x0a0d0d0a, o.raw(this.options(options)).done());
  }

  face(link: number, snap = 0, options: readonly NaiveOption[] = []): Buffer {
    const o = new Octets(this.little).num(link, 2).num(0, 2).num(snap, 4);
    return this.block(1, o.raw(this.options(options)).done());
  }

  enhanced(
    face: number,
    time: bigint,
    data: Buffer,
    original = data.length,
    options: readonly NaiveOption[] = [],
  ): Buffer {
    const o = new Octets(this.little)
      .num(face, 4)
      .num(time >> 32n, 4)
      .num(time & 0xffffffffn, 4);
    o.num(data.length, 4).num(original, 4).padded(data).raw(this.options(options));
    return this.block(6, o.done());
  }

  old(face: number, time: bigint, data: Buffer, options: readonly NaiveOption[] = []): Buffer {
    const o = new Octets(this.little).num(face, 2).num(0xffff, 2);
    o.num(time >> 32n, 4).num(time & 0xffffffffn, 4);
    o.num(data.length, 4).num(data.length, 4).padded(data).raw(this.options(options));
    return this.block(2, o.done());
  }

  simple(original: number, data: Buffer): Buffer {
    return this.block(3, new Octets(this.little).num(original, 4).padded(data).done());
  }
}

/** Reads a whole capture; stops silently where it is broken. */
export function naiveRead(input: Buffer): NaivePacket[] {
  const file = input[0] === 0x1f && input[1] === 0x8b ? gunzipSync(input) : input;
  return file.readUInt32BE(0) === 0x0a0d0d0a ? naivePcapng(file) : naivePcap(file);
}

function instant(nanoseconds: bigint): { seconds: number; nanoseconds: number } {
  const rest = ((nanoseconds % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return { seconds: Number((nanoseconds - rest) / 1_000_000_000n), nanoseconds: Number(rest) };
}

function naivePcap(file: Buffer): NaivePacket[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const magics = [0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34];
  const little = magics.includes(view.getUint32(0, true));
  const magic = view.getUint32(0, little);
  const header = magic === 0xa1b2cd34 ? 24 : 16;
  const packets: NaivePacket[] = [];
  if (file.length < 24) return packets;
  let at = 24;
  while (at + header <= file.length) {
    const length = view.getUint32(at + 8, little);
    if (at + header + length > file.length) break;
    const fraction = BigInt(view.getUint32(at + 4, little)) * (magic === 0xa1b23c4d ? 1n : 1000n);
    packets.push({
      ...instant(BigInt(view.getUint32(at, little)) * 1_000_000_000n + fraction),
      original: view.getUint32(at + 12, little),
      data: file.subarray(at + header, at + header + length),
      link: view.getUint32(20, little) & 0xffff,
    });
    at += header + length;
  }
  return packets;
}

function naivePcapng(file: Buffer): NaivePacket[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const packets: NaivePacket[] = [];
  let faces: { link: number; snap: number; resolution: number; offset: bigint }[] = [];
  let little = true;
  let at = 0;
  while (at + 12 <= file.length) {
    if (view.getUint32(at) === 0x0a0d0d0a) {
      little = view.getUint32(at + 8, true) === 0x1a2b3c4d;
      faces = [];
    }
    const type = view.getUint32(at, little);
    const length = view.getUint32(at + 4, little);
    if (length < 12 || length % 4 !== 0 || at + length > file.length) break;
    const end = at + length - 4;
    if (type === 1) {
      const face = {
        link: view.getUint16(at + 8, little),
        snap: view.getUint32(at + 12, little),
        resolution: 6,
        offset: 0n,
      };
      for (let o = at + 16; o + 4 <= end;) {
        const code = view.getUint16(o, little);
        const size = view.getUint16(o + 2, little);
        if (code === 0) break;
        if (code === 9) face.resolution = view.getUint8(o + 4);
        if (code === 14) face.offset = view.getBigInt64(o + 4, little);
        o += 4 + Math.ceil(size / 4) * 4;
      }
      faces.push(face);
    } else if (type === 6 || type === 2) {
      const face = faces[type === 6 ? view.getUint32(at + 8, little) : view.getUint16(at + 8, little)];
      const kept = view.getUint32(at + 20, little);
      if (face !== undefined && at + 28 + kept <= end) {
        const units = (BigInt(view.getUint32(at + 12, little)) << 32n) | BigInt(view.getUint32(at + 16, little));
        const { resolution } = face;
        const perSecond = resolution < 128 ? 10n ** BigInt(resolution) : 2n ** BigInt(resolution - 128);
        packets.push({
          ...instant((units * 1_000_000_000n) / perSecond + face.offset * 1_000_000_000n),
          original: view.getUint32(at + 24, little),
          data: file.subarray(at + 28, at + 28 + kept),
          link: face.link,
        });
      }
    } else if (type === 3) {
      const face = faces[0];
      if (face !== undefined) {
        const original = view.getUint32(at + 8, little);
        const kept = Math.min(original, face.snap === 0 ? original : face.snap, end - at - 12);
        packets.push({
          seconds: 0,
          nanoseconds: 0,
          original,
          data: file.subarray(at + 12, at + 12 + kept),
          link: face.link,
        });
      }
    }
    at += length;
  }
  return packets;
}

/** What a reader delivered, copied out. */
export interface Delivered {
  readonly packets: NaivePacket[];
  readonly comments: string[];
  readonly faces: number[];
  readonly reader: CaptureReader;
}

export async function drain(reader: CaptureReader): Promise<Delivered> {
  const packets: NaivePacket[] = [];
  const comments: string[] = [];
  const faces: number[] = [];
  for (;;) {
    while (reader.next()) {
      if (reader.frame !== packets.length + 1) throw new Error(`frame ${String(reader.frame)} out of order`);
      packets.push({
        seconds: reader.seconds,
        nanoseconds: reader.nanoseconds,
        original: reader.originalLength,
        data: Buffer.from(reader.slab.subarray(reader.offset, reader.offset + reader.capturedLength)),
        link: reader.linkType,
      });
      comments.push(reader.comment());
      faces.push(reader.interfaceIndex);
    }
    if (!(await reader.fill())) break;
  }
  await reader.close();
  return { packets, comments, faces, reader };
}

/** Cuts octets into chunks of the given sizes, in turn. */
export function chunked(octets: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, i = 0; at < octets.length; i++) {
    const size = sizes[i % sizes.length] ?? octets.length;
    chunks.push(octets.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

export async function readOctets(
  octets: Buffer,
  options: RegionOptions = {},
  sizes: readonly number[] = [Math.max(1, octets.length)],
): Promise<Delivered> {
  const source = new StreamSource(Readable.from(chunked(octets, sizes)), 'memory');
  return drain(await CaptureReader.fromSource(source, 'memory', options));
}
