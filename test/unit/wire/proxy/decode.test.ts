import assert from 'node:assert/strict';
import { CulvertError } from '../../../../src/errors.js';
import { decode, encode, sslTlv, azureLinkIdTlv, MAX_LENGTH_V2 } from '../../../../src/wire/proxy/index.js';
import { inet, INET_BLOCK, tlv, v2, whole } from './support.js';

const line = (text: string): Buffer => Buffer.from(text, 'latin1');

describe('PROXY version 2 decoding', () => {
  it('reads TCP over IPv4', () => {
    assert.deepEqual(whole(inet()), {
      version: 2,
      command: 'PROXY',
      family: 'inet',
      transport: 'stream',
      source: { address: '10.0.0.5', port: 40000 },
      destination: { address: '10.9.0.4', port: 443 },
      tlvs: [],
    });
  });

  it('reads UDP over IPv6, addresses as RFC 5952 writes them', () => {
    const source = '20010db8000000000001000000000001';
    const destination = '00000000000000000000ffffc0000201';
    assert.deepEqual(whole(v2(0x21, 0x22, `${source} ${destination} 0035 ffff`)), {
      version: 2,
      command: 'PROXY',
      family: 'inet6',
      transport: 'dgram',
      source: { address: '2001:db8::1:0:0:1', port: 53 },
      destination: { address: '::ffff:192.0.2.1', port: 65535 },
      tlvs: [],
    });
  });

  it('reads UNIX paths, of pathnames and abstract names, without what fills the field', () => {
    const block = Buffer.alloc(216);
    block.write('/run/a.sock\0left over', 0, 'latin1');
    block.write('\0abs\0tract', 108, 'latin1');
    const header = whole(v2(0x21, 0x31, block));
    assert.ok(header.family === 'unix');
    assert.equal(header.transport, 'stream');
    assert.equal(header.source.path.toString('latin1'), '/run/a.sock');
    assert.equal(header.destination.path.toString('latin1'), '\0abs\0tract');
  });

  it('reads a UNIX path that fills its field', () => {
    const header = whole(v2(0x21, 0x32, Buffer.alloc(216, 0x2f)));
    assert.ok(header.family === 'unix');
    assert.equal(header.source.path.length, 108);
  });

  it('reads PROXY without a family, its TLVs right after the length', () => {
    const header = whole(v2(0x21, 0x00, 'ee 0005 01 01000000'));
    assert.equal(header.command, 'PROXY');
    assert.equal(header.family, 'unspec');
    assert.equal(header.tlvs[0]?.offset, 16);
  });

  it('keeps TLVs in order, NOOP, empty and unknown ones among them, with their places', () => {
    const header = whole(inet('04 0002 0000 f7 0000 99 0001 2a 04 0000'));
    const found = header.tlvs.map(({ type, value, offset }) => [type, value.toString('hex'), offset]);
    assert.deepEqual(found, [
      [0x04, '0000', 28],
      [0xf7, '', 33],
      [0x99, '2a', 36],
      [0x04, '', 40],
    ]);
  });

  it('skips a LOCAL block by its length and ignores its addresses and family', () => {
    const expected = { version: 2, command: 'LOCAL', family: 'unspec', transport: 'unspec', tlvs: [] };
    assert.deepEqual(whole(v2(0x20, 0x00)), expected);
    assert.deepEqual(whole(v2(0x20, 0x11, INET_BLOCK)), expected);
    assert.deepEqual(whole(v2(0x20, 0xff, '01')), expected);
    assert.deepEqual(whole(v2(0x20, 0x21, INET_BLOCK)), expected);
  });

  it('gives the TLVs of a LOCAL header that can be read, and tolerates the rest', () => {
    const header = whole(v2(0x20, 0x11, `${INET_BLOCK} ${tlv(0x05, '2a')} 03 0004 00000000 ee 00`));
    assert.equal(header.command, 'LOCAL');
    assert.deepEqual(
      header.tlvs.map(({ type }) => type),
      [0x05, 0x03],
    );
  });

  it('accepts a right CRC32C, and tells every single changed bit', () => {
    const good = encode({ ...whole(inet(tlv(0xee, '01 1d570020'))) }, { crc32c: true });
    assert.equal(whole(good).tlvs.length, 2);
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bad = Buffer.from(good);
      bad[bit >>> 3]! ^= 1 << (bit & 7);
      // Not told: the command's lowest bit, which makes it LOCAL with a block to discard, and the CRC32C's own type.
      if (bit === 12 * 8 || bit >>> 3 === 36) continue;
      let kind: string;
      try {
        kind = decode(bad).kind;
      } catch (error) {
        assert.ok(error instanceof CulvertError);
        kind = 'error';
      }
      assert.notEqual(kind, 'header', `bit ${bit}`);
    }
  });

  it('accepts a UNIQUE_ID of 128 octets', () => {
    assert.equal(whole(inet(tlv(0x05, Buffer.alloc(128)))).tlvs[0]?.value.length, 128);
  });

  it('reads the longest header there can be', () => {
    const header = whole(inet(tlv(0x04, Buffer.alloc(65535 - 12 - 3))));
    assert.equal(header.tlvs[0]?.value.length, 65520);
    assert.equal(MAX_LENGTH_V2, 65551);
  });

  it('reads at an offset, stops at its end and leaves the buffer as it is', () => {
    const header = inet(tlv(0xee, '01 1d570020'));
    const b = Buffer.concat([Buffer.alloc(7, 0x0d), header, Buffer.from('GET /')]);
    const before = Buffer.from(b);
    const result = decode(b, 7);
    assert.ok(result.kind === 'header');
    assert.equal(result.length, 36);
    assert.equal(result.header.tlvs[0]?.offset, 28);
    assert.deepEqual(b, before);
    // The rest of the header is in the buffer, but past the caller's end.
    assert.deepEqual(decode(b, 7, 7 + 35), { kind: 'need', octets: 1 });
  });

  it('gives TLV values as views, not copies', () => {
    const b = inet(tlv(0x05, '2a'));
    const value = whole(b).tlvs[0]!.value;
    b[31] = 0x2b;
    assert.equal(value[0], 0x2b);
  });
});

describe('PROXY version 1 decoding', () => {
  it('reads TCP4', () => {
    assert.deepEqual(whole(line('PROXY TCP4 192.0.2.1 198.51.100.255 65535 0\r\n')), {
      version: 1,
      command: 'PROXY',
      family: 'inet',
      transport: 'stream',
      source: { address: '192.0.2.1', port: 65535 },
      destination: { address: '198.51.100.255', port: 0 },
      tlvs: [],
    });
  });

  it('reads TCP6 in the longest form, 107 octets less the four of longer ports', () => {
    const full = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff';
    const text = `PROXY TCP6 ${full} ${full} 65535 65535\r\n`;
    assert.equal(text.length, 104);
    const header = whole(line(text));
    assert.ok(header.family === 'inet6');
    assert.deepEqual(header.source, { address: full, port: 65535 });
  });

  it('writes TCP6 addresses as version 2 would', () => {
    const header = whole(line('PROXY TCP6 2001:DB8:0:0:0:0:0:0001 ::FFFF:c000:201 1 2\r\n'));
    assert.ok(header.family === 'inet6');
    assert.equal(header.source.address, '2001:db8::1');
    assert.equal(header.destination.address, '::ffff:192.0.2.1');
  });

  it('reads UNKNOWN and skips what follows it, up to 107 octets', () => {
    const texts = ['PROXY UNKNOWN\r\n', 'PROXY UNKNOWN any\rthing\n at all\r\n', `PROXY UNKNOWN ${'x'.repeat(91)}\r\n`];
    for (const text of texts) {
      const header = whole(line(text));
      assert.deepEqual(header, { version: 1, command: 'PROXY', family: 'unspec', transport: 'unspec', tlvs: [] });
    }
  });

  it('leaves the stream that follows the line', () => {
    const result = decode(line('PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n\r\nGET /'));
    assert.ok(result.kind === 'header');
    assert.equal(result.length, 32);
  });
});

describe('PROXY incremental decoding', () => {
  const headers: [string, Buffer][] = [
    ['version 1 TCP4', line('PROXY TCP4 10.0.0.5 10.9.0.4 40000 443\r\n')],
    ['version 1 TCP6', line('PROXY TCP6 2001:db8::1 ::1 40000 443\r\n')],
    ['version 1 UNKNOWN', line('PROXY UNKNOWN\r\n')],
    ['version 1 UNKNOWN with more', line('PROXY UNKNOWN more\r\n')],
    ['Azure', inet(tlv(0xee, '01 1d570020'))],
    ['LOCAL', v2(0x20, 0)],
    ['LOCAL with a block', v2(0x20, 0x11, INET_BLOCK)],
    ['IPv6', v2(0x21, 0x21, Buffer.alloc(36, 1))],
    ['UNIX', v2(0x21, 0x32, Buffer.alloc(216, 1))],
    [
      'all TLVs',
      encode(
        {
          command: 'PROXY',
          family: 'unspec',
          transport: 'unspec',
          tlvs: [azureLinkIdTlv(1), sslTlv({ client: 7, verify: 0, cipher: 'x' })],
        },
        { crc32c: true, alignTo: 64 },
      ),
    ],
  ];
  for (const [name, octets] of headers) {
    it(`asks for more, and never for too much, at every cut of ${name}`, () => {
      for (let cut = 0; cut < octets.length; cut++) {
        const result = decode(octets.subarray(0, cut));
        assert.ok(result.kind === 'need', `cut ${cut}`);
        assert.ok(result.octets >= 1 && cut + result.octets <= octets.length, `cut ${cut}`);
      }
    });
  }

  it('knows exactly what version 2 needs once its length is there', () => {
    const octets = inet(tlv(0xee, '01 1d570020'));
    assert.deepEqual(decode(octets.subarray(0, 1)), { kind: 'need', octets: 15 });
    for (let cut = 16; cut < 36; cut++) {
      assert.deepEqual(decode(octets.subarray(0, cut)), { kind: 'need', octets: 36 - cut });
    }
  });

  it('knows the least that version 1 needs', () => {
    assert.deepEqual(decode(Buffer.alloc(0)), { kind: 'need', octets: 15 });
    assert.deepEqual(decode(line('PROXY ')), { kind: 'need', octets: 9 });
    assert.deepEqual(decode(line('PROXY TCP')), { kind: 'need', octets: 13 });
    assert.deepEqual(decode(line('PROXY TCP4 ')), { kind: 'need', octets: 21 });
    assert.deepEqual(decode(line('PROXY UNKNOWN\r')), { kind: 'need', octets: 1 });
    assert.deepEqual(decode(line('PROXY TCP4 1.1.1.1 2.2.2.2 1 2')), { kind: 'need', octets: 2 });
  });

  it('accepts the shortest line of each protocol, which the least need is reckoned from', () => {
    for (const text of ['PROXY UNKNOWN\r\n', 'PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n', 'PROXY TCP6 :: :: 0 0\r\n']) {
      whole(line(text));
    }
  });

  it('accepts a header of exactly maxLength', () => {
    assert.equal(decode(v2(0x20, 0), 0, 16, { maxLength: 16 }).kind, 'header');
    assert.equal(decode(v2(0x20, 0), 0, 16, { maxLength: 65551 }).kind, 'header');
    assert.equal(decode(inet(), 0, 28, { maxLength: 28 }).kind, 'header');
    assert.equal(decode(line('PROXY UNKNOWN 1\r\n'), 0, 17, { maxLength: 17 }).kind, 'header');
  });
});
