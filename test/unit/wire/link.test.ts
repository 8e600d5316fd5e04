import assert from 'node:assert/strict';
import fc from 'fast-check';
import * as link from '../../../src/wire/link.js';

const { locateIpv4, LINK_NOT_IPV4, LINK_TRUNCATED, LINK_UNSUPPORTED } = link;

const IP = '45000014';
const MACS = '020000000001' + '020000000002';

/** The offset found in the frame, which is placed amid octets that must not be looked at. */
function locate(linkType: number, hex: string): number {
  const frame = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  const b = Buffer.concat([Buffer.alloc(5, 0x08), frame, Buffer.alloc(24, 0x45)]);
  const found = locateIpv4(linkType, b, 5, 5 + frame.length);
  return found < 0 ? found : found - 5;
}

describe('locating the IPv4 header behind a link layer', () => {
  const found: readonly (readonly [what: string, linkType: number, hex: string, offset: number])[] = [
    ['Ethernet', 1, `${MACS} 0800 ${IP}`, 14],
    ['Ethernet with a VLAN tag', 1, `${MACS} 8100 0064 0800 ${IP}`, 18],
    ['Ethernet with 802.1ad and 802.1Q tags', 1, `${MACS} 88a8 0001 8100 0064 0800 ${IP}`, 22],
    ['Ethernet with 0x9100, 0x9200 and 0x8100 tags', 1, `${MACS} 9100 0001 9200 0001 8100 0064 0800 ${IP}`, 26],
    ['PPPoE', 1, `${MACS} 8864 1100 0001 0006 0021 ${IP}`, 22],
    ['PPPoE in a VLAN', 1, `${MACS} 8100 0064 8864 1100 0001 0006 0021 ${IP}`, 26],
    ['MPLS, one label', 1, `${MACS} 8847 00010140 ${IP}`, 18],
    ['MPLS, upstream-assigned', 1, `${MACS} 8848 00010140 ${IP}`, 18],
    ['MPLS, three labels', 1, `${MACS} 8847 00010040 00020040 00030140 ${IP}`, 26],
    ['802.3 with LLC SNAP', 1, `${MACS} 001c aaaa03 000000 0800 ${IP}`, 22],
    ['RAW 101', 101, IP, 0],
    ['RAW 12', 12, IP, 0],
    ['RAW 14', 14, IP, 0],
    ['RAW 228', 228, IP, 0],
    ['RAW 229 that holds IPv4 all the same', 229, IP, 0],
    ['RAW with a version that is none', 101, '75000014', 0],
    ['Linux cooked v1', 113, `0000 0001 0006 020000000001 0000 0800 ${IP}`, 16],
    ['Linux cooked v1 with a VLAN tag', 113, `0000 0001 0006 020000000001 0000 8100 0064 0800 ${IP}`, 20],
    ['Linux cooked v2', 276, `0800 0000 00000002 0001 00 06 020000000001 0000 ${IP}`, 20],
    ['NULL, little-endian', 0, `02000000 ${IP}`, 4],
    ['NULL, big-endian', 0, `00000002 ${IP}`, 4],
    ['LOOP', 108, `00000002 ${IP}`, 4],
    ['PPP', 9, `0021 ${IP}`, 2],
    ['PPP with address and control', 9, `ff03 0021 ${IP}`, 4],
    ['PPP in HDLC framing', 50, `ff03 0021 ${IP}`, 4],
    ['Cisco HDLC', 104, `0f00 0800 ${IP}`, 4],
  ];
  for (const [what, linkType, hex, offset] of found) {
    it(`finds it in ${what}`, () => {
      assert.equal(locate(linkType, hex), offset);
    });
  }

  const other: readonly (readonly [what: string, linkType: number, hex: string])[] = [
    ['ARP', 1, `${MACS} 0806 0001080006040001`],
    ['IPv6', 1, `${MACS} 86dd 60000000`],
    ['IPv6 in a VLAN', 1, `${MACS} 8100 0064 86dd 60000000`],
    ['PPPoE discovery', 1, `${MACS} 8863 1109 0000 0000`],
    ['PPPoE that carries LCP', 1, `${MACS} 8864 1100 0001 0006 c021 01010004`],
    ['MPLS over IPv6', 1, `${MACS} 8847 00010140 60000000`],
    ['MPLS over a pseudowire', 1, `${MACS} 8847 00010140 00000000`],
    ['spanning tree in LLC', 1, `${MACS} 0026 424203 0000000000`],
    ['SNAP with the OUI of a vendor', 1, `${MACS} 0026 aaaa03 00000c 0800 ${IP}`],
    ['an 802.3 frame too short for SNAP', 1, `${MACS} 0003 424203`],
    ['IPv6 in RAW', 101, '60000000'],
    ['IPv6 in SLL', 113, `0000 0001 0006 020000000001 0000 86dd 60000000`],
    ['ARP in SLL2', 276, `0806 0000 00000002 0001 00 06 020000000001 0000 0001`],
    ['IPv6 in NULL', 0, `1e000000 60000000`],
    ['family 2 in neither byte order', 0, `00020000 ${IP}`],
    ['little-endian family in LOOP', 108, `02000000 ${IP}`],
    ['LCP in PPP', 9, `ff03 c021 01010004`],
    ['SLARP in Cisco HDLC', 104, `8f00 8035 00000002`],
  ];
  for (const [what, linkType, hex] of other) {
    it(`says that ${what} is not IPv4`, () => {
      assert.equal(locate(linkType, hex), LINK_NOT_IPV4);
    });
  }

  it('says which frames end inside their link layer, at every length', () => {
    for (const [what, linkType, hex, offset] of found) {
      const frame = Buffer.from(hex.replaceAll(' ', ''), 'hex');
      if (what.startsWith('802.3')) continue;
      // Where the payload alone names the protocol, one octet of it belongs to the decision.
      const needed = offset + (what.startsWith('MPLS') || what.startsWith('RAW') ? 1 : 0);
      for (let length = 0; length <= frame.length; length++) {
        const expected = length < needed ? LINK_TRUNCATED : offset;
        assert.equal(locate(linkType, frame.toString('hex', 0, length)), expected, `${what} cut to ${String(length)}`);
      }
    }
  });

  it('says that an 802.3 frame is not IPv4 until its SNAP header is whole', () => {
    const frame = `${MACS}001caaaa030000000800${IP}`;
    for (let length = 0; length <= frame.length / 2; length++) {
      const expected = length < 14 ? LINK_TRUNCATED : length < 22 ? LINK_NOT_IPV4 : 22;
      // Followed by the octet that the cut header lacks.
      const b = Buffer.concat([Buffer.from(frame, 'hex').subarray(0, length), Buffer.from('00', 'hex')]);
      assert.equal(locateIpv4(1, b, 0, length), expected, `cut to ${String(length)}`);
    }
  });

  it('says that it does not understand other link types', () => {
    for (const linkType of [2, 105, 127, 147, 65535]) assert.equal(locate(linkType, IP), LINK_UNSUPPORTED);
  });

  it('gives an offset inside the frame or a reason, whatever the octets, and looks at none outside', () => {
    const types = [0, 1, 9, 12, 14, 50, 101, 104, 108, 113, 228, 229, 276];
    const likely = fc.oneof(
      fc.uint8Array({ maxLength: 6 }),
      fc
        .constantFrom('8100', '88a8', '8847', '8864', '0800', 'ff03', '0021', 'aaaa03000000', '00000002')
        .map((hex) => Buffer.from(hex, 'hex')),
    );
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.array(likely, { maxLength: 12 }), (linkType, parts) => {
        const frame = Buffer.concat(parts);
        const alone = locateIpv4(linkType, frame, 0, frame.length);
        assert.ok(alone <= frame.length && alone >= LINK_TRUNCATED, `offset ${String(alone)}`);
        for (const filler of [0x00, 0x21, 0x45, 0xff]) {
          const amid = Buffer.concat([Buffer.alloc(9, filler), frame, Buffer.alloc(9, filler)]);
          const found = locateIpv4(linkType, amid, 9, 9 + frame.length);
          assert.equal(found < 0 ? found : found - 9, alone);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('naming link types', () => {
  it('names the ones it knows and numbers the others', () => {
    assert.equal(link.linkTypeName(1), 'Ethernet');
    assert.equal(link.linkTypeName(4242), 'link type 4242');
  });
});
