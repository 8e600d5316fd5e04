import assert from 'node:assert/strict';
import { CulvertError } from '../../../../src/errors.js';
import type { DecodeResult, ProxyErrorCode, ProxyHeader } from '../../../../src/wire/proxy/index.js';
import { decode } from '../../../../src/wire/proxy/index.js';

/** Octets from hexadecimal with spaces. */
export const hex = (text: string): Buffer => Buffer.from(text.replace(/\s+/g, ''), 'hex');

const SIGNATURE = '0d0a0d0a000d0a515549540a';

/** A version 2 header of these version-and-command and family octets and this block, its length computed. */
export function v2(versionCommand: number, family: number, block: Buffer | string = ''): Buffer {
  const octets = typeof block === 'string' ? hex(block) : block;
  const length = Buffer.from([versionCommand, family, octets.length >>> 8, octets.length & 0xff]);
  return Buffer.concat([hex(SIGNATURE), length, octets]);
}

/** 10.0.0.5:40000 to 10.9.0.4:443. */
export const INET_BLOCK = '0a000005 0a090004 9c40 01bb';

/** A PROXY header of TCP over IPv4 with these TLVs in hexadecimal. */
export const inet = (tlvs = ''): Buffer => v2(0x21, 0x11, `${INET_BLOCK} ${tlvs}`);

/** A TLV in hexadecimal. */
export function tlv(type: number, value: Buffer | string): string {
  const octets = typeof value === 'string' ? hex(value) : value;
  const head = Buffer.from([type, octets.length >>> 8, octets.length & 0xff]);
  return Buffer.concat([head, octets]).toString('hex');
}

export function throwsCode(run: () => unknown, code: ProxyErrorCode, offset?: number): void {
  assert.throws(run, (error: unknown) => {
    assert.ok(error instanceof CulvertError, String(error));
    assert.equal(error.code, code, error.message);
    if (offset !== undefined) assert.equal(error.place.offset, offset, error.message);
    return true;
  });
}

/** The header of a whole buffer; the buffer must hold nothing else. */
export function whole(b: Buffer): ProxyHeader {
  const result: DecodeResult = decode(b);
  assert.ok(result.kind === 'header');
  assert.equal(result.length, b.length);
  return result.header;
}
