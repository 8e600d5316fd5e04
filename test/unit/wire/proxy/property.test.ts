import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import fc from 'fast-check';
import { CulvertError } from '../../../../src/errors.js';
import { readIpv6, writeIpv4, writeIpv6 } from '../../../../src/wire/proxy/address.js';
import type { DecodeResult, ProxyHeader, ProxyHeaderInit, Tlv } from '../../../../src/wire/proxy/index.js';
import {
  decode,
  encode,
  encodeV1,
  PROXY_ERROR_CODES,
  ProxyHeaderReader,
  sslTlv,
  TLV,
} from '../../../../src/wire/proxy/index.js';
import { inet, INET_BLOCK, tlv, v2, whole } from './support.js';

// Decoded objects are plain ones.
const plain = { noNullPrototype: true } as const;
const octets = (maxLength: number): fc.Arbitrary<Buffer> => fc.uint8Array({ maxLength }).map((a) => Buffer.from(a));
const port = fc.nat(0xffff);
const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((a) => a.join('.'));
// Zero hextets are made frequent, so that every place and length of `::` comes up.
const ipv6 = fc
  .array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 })
  .map((hextets) => readIpv6(Buffer.from(hextets.flatMap((h) => [h >>> 8, h & 0xff])), 0));
const pathname = octets(108).filter((path) => !path.includes(0));
const abstract = octets(106).map((name) => Buffer.concat([Buffer.from([0]), name, Buffer.from([1])]));
const path = fc.oneof(pathname, abstract);
const transport = fc.constantFrom('stream' as const, 'dgram' as const);
const text = fc.option(fc.string({ maxLength: 20, unit: 'grapheme' }), { nil: undefined });

const anyTlv: fc.Arbitrary<Tlv> = fc.oneof(
  fc
    .record({ type: fc.nat(255), value: octets(60) }, plain)
    .filter(({ type }) => type !== TLV.CRC32C && type !== TLV.SSL),
  fc
    .record({ client: fc.nat(255), verify: fc.nat(0xffffffff), version: text, commonName: text, cipher: text }, plain)
    .map(({ client, verify, ...texts }) =>
      sslTlv({
        client,
        verify,
        ...Object.fromEntries(Object.entries(texts).filter(([, value]) => value !== undefined)),
      }),
    ),
);
const tlvs = fc.array(anyTlv, { maxLength: 6 });

const inetOf = (family: 'inet' | 'inet6', address: fc.Arbitrary<string>): fc.Arbitrary<ProxyHeaderInit> =>
  fc.record(
    {
      command: fc.constant('PROXY' as const),
      family: fc.constant(family),
      transport,
      source: fc.record({ address, port }, plain),
      destination: fc.record({ address, port }, plain),
      tlvs,
    },
    plain,
  );
const header: fc.Arbitrary<ProxyHeaderInit> = fc.oneof(
  inetOf('inet', ipv4),
  inetOf('inet6', ipv6),
  fc.record(
    {
      command: fc.constant('PROXY' as const),
      family: fc.constant('unix' as const),
      transport,
      source: fc.record({ path }, plain),
      destination: fc.record({ path }, plain),
      tlvs,
    },
    plain,
  ),
  fc.record(
    {
      command: fc.constantFrom('LOCAL' as const, 'PROXY' as const),
      family: fc.constant('unspec' as const),
      transport: fc.constant('unspec' as const),
      tlvs,
    },
    plain,
  ),
);
const options = fc.record({ crc32c: fc.boolean(), alignTo: fc.integer({ min: 1, max: 80 }) }, plain);

/** A header without its version and its TLVs' places: what encoding takes. */
function asInit(decoded: ProxyHeader): ProxyHeaderInit {
  const { version, tlvs, ...connection } = decoded;
  assert.ok([1, 2].includes(version));
  return { ...connection, tlvs: tlvs.map(({ type, value }) => ({ type, value })) };
}

/** Octets that look like headers up to some point. */
const hostile = fc.oneof(
  octets(60),
  fc.string({ maxLength: 110 }).map((line) => Buffer.from(`PROXY ${line}\r\n`, 'latin1')),
  fc
    .array(fc.constantFrom('TCP4', 'TCP6', 'UNKNOWN', '1.1.1.1', '::', '::1', '0', '65535', '', 'x', '\r', '\n'), {
      maxLength: 7,
    })
    .map((words) => Buffer.from(`PROXY ${words.join(' ')}\r\n`, 'latin1')),
  fc
    .tuple(fc.constantFrom(0x20, 0x21), fc.constantFrom(0, 0x11, 0x12, 0x21, 0x31), octets(300))
    .map(([command, family, block]) => v2(command, family, block)),
);

type Outcome = DecodeResult | { readonly kind: 'error'; readonly code: string; readonly message: string };

/** Decodes octets that may be anything: only a result or a coded error comes of it. */
function decodeAny(b: Buffer, start = 0, end = b.length): Outcome {
  const before = Buffer.from(b);
  try {
    const result = decode(b, start, end);
    if (result.kind === 'need') {
      assert.ok(result.octets >= 1);
    } else {
      assert.ok(result.length <= end - start);
      for (const { value, offset } of result.header.tlvs) assert.ok(offset + 3 + value.length <= result.length);
    }
    return result;
  } catch (error) {
    assert.ok(error instanceof CulvertError, String(error));
    const { code, message, place } = error;
    assert.ok((PROXY_ERROR_CODES as readonly string[]).includes(code));
    assert.ok(place.offset !== undefined && place.offset >= 0 && place.offset <= end - start);
    assert.ok(message.endsWith(`(octet ${place.offset} of the PROXY header)`));
    return { kind: 'error', code, message };
  } finally {
    assert.deepEqual(b, before);
  }
}

describe('PROXY properties', () => {
  it('decoding what was encoded gives it back, in any surroundings', () => {
    fc.assert(
      fc.property(header, options, octets(20), octets(20), (init, opts, before, after) => {
        const encoded = encode(init, opts);
        assert.equal(encoded.length % opts.alignTo, 0);
        const result = decode(Buffer.concat([before, encoded, after]), before.length);
        assert.ok(result.kind === 'header');
        assert.equal(result.length, encoded.length);
        const decoded = asInit(result.header);
        const given = init.tlvs ?? [];
        assert.deepEqual({ ...decoded, tlvs: decoded.tlvs?.slice(0, given.length) }, init);
        const added = decoded.tlvs?.slice(given.length).map(({ type }) => type) ?? [];
        assert.deepEqual(added.includes(TLV.CRC32C), opts.crc32c);
        assert.ok(added.every((type) => type === TLV.CRC32C || type === TLV.NOOP));
        assert.deepEqual(encode(decoded), encoded);
      }),
      { numRuns: 400 },
    );
  });

  it('version 1 gives back what version 2 would', () => {
    fc.assert(
      fc.property(fc.oneof(inetOf('inet', ipv4), inetOf('inet6', ipv6)), (init) => {
        const bare = { ...init, transport: 'stream', tlvs: [] } as unknown as ProxyHeaderInit;
        const line = encodeV1(bare);
        assert.ok(line.length <= 107);
        assert.deepEqual(asInit(whole(line)), asInit(whole(encode(bare))));
      }),
    );
  });

  it('no cut of a header is a header, and none is refused', () => {
    fc.assert(
      fc.property(header, options, (init, opts) => {
        const encoded = encode(init, opts);
        for (let cut = 0; cut < encoded.length; cut++) {
          const result = decode(encoded, 0, cut);
          assert.ok(result.kind === 'need' && cut + result.octets <= encoded.length);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('octets of any kind give a result or a coded error', () => {
    fc.assert(
      fc.property(hostile, fc.nat(400), fc.nat(400), (b, x, y) => {
        const start = Math.min(x, y, b.length);
        const end = Math.min(Math.max(x, y), b.length);
        decodeAny(b);
        decodeAny(b, start, end);
      }),
      { numRuns: 2000 },
    );
  });

  it('a header with octets changed, put in or taken out gives a result or a coded error', () => {
    const change = fc.tuple(fc.constantFrom('set', 'insert', 'remove'), fc.nat(400), fc.nat(255));
    fc.assert(
      fc.property(header, options, fc.array(change, { minLength: 1, maxLength: 4 }), (init, opts, changes) => {
        const mutated = [...encode(init, opts)];
        for (const [kind, at, octet] of changes) {
          const i = at % (mutated.length + 1);
          if (kind === 'set') mutated[i] = octet;
          else if (kind === 'insert') mutated.splice(i, 0, octet);
          else mutated.splice(i, 1);
        }
        decodeAny(Buffer.from(mutated));
      }),
      { numRuns: 1500 },
    );
  });

  it('what lies outside the range changes nothing, the line ends of a version 1 header among it', () => {
    const around = fc.oneof(
      octets(12),
      fc.constantFrom('\n', '\r\n', '\r').map((text) => Buffer.from(text)),
    );
    const any = fc.oneof(
      hostile,
      header.map((init) => encode(init)),
    );
    fc.assert(
      fc.property(any, fc.nat(400), around, around, (whole, cut, before, after) => {
        const part = whole.subarray(0, cut);
        const b = Buffer.concat([before, part, after]);
        assert.deepEqual(decodeAny(b, before.length, before.length + part.length), decodeAny(part));
      }),
      { numRuns: 2000 },
    );
  });

  it('the reader gives the same for any chunks', () => {
    fc.assert(
      fc.property(
        header,
        options,
        octets(30),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
        (init, opts, after, sizes) => {
          const encoded = encode(init, opts);
          const stream = Buffer.concat([encoded, after]);
          const reader = new ProxyHeaderReader();
          for (let at = 0, turn = 0; ; turn++) {
            assert.ok(at < stream.length);
            const size = sizes[turn % sizes.length]!;
            const read = reader.push(stream.subarray(at, at + size));
            at += size;
            if (read === undefined) continue;
            assert.deepEqual(read.header, whole(encoded));
            assert.deepEqual(Buffer.concat([read.rest, stream.subarray(at)]), after);
            break;
          }
        },
      ),
    );
  });
});

describe('addresses in PROXY headers', () => {
  it('IPv6 text comes back the same, and is text that Node accepts', () => {
    fc.assert(
      fc.property(ipv6, (address) => {
        assert.ok(isIPv6(address), address);
        const b = Buffer.alloc(16);
        assert.ok(writeIpv6(address, b, 0));
        assert.equal(readIpv6(b, 0), address);
      }),
      { numRuns: 1000 },
    );
  });

  it('IPv6 text is taken exactly where Node takes it', () => {
    // Lists of about the right length, with gaps and IPv4 tails at right and wrong places.
    const hextet = fc.constantFrom('0', '1', 'abcd');
    const list = fc
      .tuple(fc.array(hextet, { maxLength: 9 }), fc.array(hextet, { maxLength: 9 }), fc.constantFrom('', '1.2.3.4'))
      .map(([head, tail, end]) => [head, end === '' ? tail : [...tail, end]])
      .chain(([head, tail]) => fc.constantFrom('::', ':').map((gap) => [`${head!.join(':')}${gap}${tail!.join(':')}`]));
    const part = fc.constantFrom(
      ':',
      ':',
      '::',
      '0',
      '1',
      'abcd',
      'ABCDE',
      '00001',
      '1.2.3.4',
      '1.2.3',
      '256.1.1.1',
      'g',
    );
    fc.assert(
      fc.property(fc.oneof(list, fc.array(part, { maxLength: 18 })), (parts) => {
        const address = parts.join('');
        assert.equal(writeIpv6(address, Buffer.alloc(16), 0), isIPv6(address), address);
      }),
      { numRuns: 5000 },
    );
  });

  it('IPv4 text is dotted decimal and nothing else', () => {
    const b = Buffer.alloc(4);
    for (const address of [
      '',
      '1',
      '1.2.3',
      '1.2.3.4.5',
      '1.2.3.256',
      '01.2.3.4',
      '1.2.3.-4',
      '1.2.3.4 ',
      '0x1.2.3.4',
      '1..3.4',
      '٣.1.1.1',
    ]) {
      assert.equal(writeIpv4(address, b, 0), false, address);
    }
    assert.ok(writeIpv4('255.0.10.1', b, 0));
    assert.equal(b.toString('hex'), 'ff000a01');
  });

  it('RFC 5952 text: the first longest run, never a single zero, lower case', () => {
    const cases = [
      ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
      ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
      ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
      ['0:0:0:0:0:0:0:0', '::'],
      ['1:0:0:0:0:0:0:0', '1::'],
      ['::1.2.3.4', '::102:304'],
      ['::ffff:0:0', '::ffff:0.0.0.0'],
    ] as const;
    for (const [given, expected] of cases) {
      const b = Buffer.alloc(16);
      assert.ok(writeIpv6(given, b, 0), given);
      assert.equal(readIpv6(b, 0), expected);
    }
  });
});

describe('PROXY header support of these tests', () => {
  it('builds what the codec builds', () => {
    const init: ProxyHeaderInit = {
      command: 'PROXY',
      family: 'inet',
      transport: 'stream',
      source: { address: '10.0.0.5', port: 40000 },
      destination: { address: '10.9.0.4', port: 443 },
      tlvs: [{ type: 9, value: Buffer.from('a') }],
    };
    assert.deepEqual(inet(tlv(9, Buffer.from('a'))), encode(init));
    assert.deepEqual(inet(), v2(0x21, 0x11, INET_BLOCK));
  });
});
