import assert from 'node:assert/strict';
import fc from 'fast-check';
import { fragments, icmpError, ipv4Packet, SYN, tcpPacket, udpPacket, URG } from '../../support/packets.js';
import { inspectJson, inspectPackets } from './run.js';

const ENDS = { src: '10.0.0.5', dst: '10.0.0.4', sport: 40000, dport: 80 };

async function lineOf(packet: Uint8Array, linkType?: number): Promise<string> {
  const { lines } = await inspectPackets([packet], {}, linkType);
  assert.equal(lines.length, 1);
  return lines[0]!;
}

describe('inspect: a line a packet', () => {
  it('shows ends, flags, numbers and options of a SYN', async () => {
    const options = Buffer.from('020405b4 0402 080a0000000100000000 01 03030a'.replaceAll(' ', ''), 'hex');
    const line = await lineOf(tcpPacket({ ...ENDS, seq: 1000, flags: SYN, window: 64240, options }));
    assert.equal(
      line,
      '     1     0.000000 #1 TCP 10.0.0.5:40000 > 10.0.0.4:80 [SYN] seq 0 win 64240 len 0 <mss 1460, sackOK, ts 1/0, ws 10>',
    );
  });

  const tcpOptions: [string, string, string][] = [
    ['a Fast Open request', '2202', 'tfo request'],
    ['a Fast Open cookie', '220a0102030405060708', 'tfo 0102030405060708'],
    ['the experimental Fast Open', 'fe08f98901020304', 'tfo 01020304 experimental'],
    ['MP_CAPABLE with its version', '1e040181', 'mptcp capable v1'],
    ['MP_JOIN', '1e0c10010000000000000000', 'mptcp join'],
    ['TCP-MD5', `1312${'00'.repeat(16)}`, 'md5'],
    ['TCP-AO', '1d040101', 'ao'],
    ['a user timeout in minutes', '1c048002', 'user timeout 120 s'],
    ['an option nobody knows', '4604beef', 'option 70 beef'],
    ['an option of length 0', '0300', 'malformed option 3'],
    ['an MSS of a wrong length', '0203050101', 'option 2 05'],
  ];
  for (const [what, hex, text] of tcpOptions) {
    it(`shows ${what}`, async () => {
      const line = await lineOf(tcpPacket({ ...ENDS, options: Buffer.from(hex, 'hex') }));
      assert.ok(line.includes(`<${text}`), line);
    });
  }

  it('shows the urgent pointer', async () => {
    assert.match(await lineOf(tcpPacket({ ...ENDS, flags: URG, urgent: 7 })), /\[URG\] seq 1 win 65535 urg 7 len 0/);
  });

  it('shows UDP with the octets of its payload', async () => {
    assert.match(
      await lineOf(udpPacket({ ...ENDS, payload: 'hello' })),
      /UDP 10\.0\.0\.5:40000 > 10\.0\.0\.4:80 len 5$/,
    );
  });

  it("shows what an ICMP error quotes, and the next hop's MTU", async () => {
    const about = tcpPacket({ ...ENDS, seq: 77 });
    const line = await lineOf(icmpError({ src: '10.0.0.1', dst: '10.0.0.5', code: 4, rest: 1200, about, quote: 28 }));
    assert.match(
      line,
      /ICMP 10\.0\.0\.1 > 10\.0\.0\.5 fragmentation needed mtu 1200, about \[TCP 10\.0\.0\.5:40000 > 10\.0\.0\.4:80 seq 77\]$/,
    );
  });

  it('says so when an ICMP error quotes too little', async () => {
    const about = tcpPacket(ENDS);
    const line = await lineOf(icmpError({ src: '10.0.0.1', dst: '10.0.0.5', about, quote: 19 }));
    assert.match(line, /network unreachable len 19 ! the quoted packet is cut off$/);
  });

  it('does not read ports behind the end of a quoted packet', async () => {
    const about = tcpPacket(ENDS);
    const line = await lineOf(icmpError({ src: '10.0.0.1', dst: '10.0.0.5', about, quote: 23 }));
    assert.match(line, /about \[TCP 10\.0\.0\.5 > 10\.0\.0\.4\]$/);
  });

  it('shows IPv4 options', async () => {
    const ipOptions = Buffer.from('94040000', 'hex');
    assert.match(await lineOf(udpPacket({ ...ENDS, ipOptions })), /\(router-alert 0000\)$/);
  });

  it('names other protocols', async () => {
    assert.match(await lineOf(ipv4Packet(132, ENDS, Buffer.alloc(12))), /SCTP 10\.0\.0\.5 > 10\.0\.0\.4 len 12$/);
  });

  const ether = (type: string, rest: Uint8Array): Buffer =>
    Buffer.concat([Buffer.from(`020000000001020000000002${type}`, 'hex'), rest]);

  it('shows VLAN tags, outermost first', async () => {
    const line = await lineOf(ether('88a80064810000c80800', tcpPacket(ENDS)), 1);
    assert.match(line, /\{vlan 100 vlan 200\} #1 TCP/);
  });

  it('shows MPLS labels and a PPPoE session', async () => {
    assert.match(await lineOf(ether('88470001404000012140', tcpPacket(ENDS)), 1), /\{mpls 20 mpls 18\}/);
    const pppoe = ether('886411000007002a0021', tcpPacket(ENDS));
    assert.match(await lineOf(pppoe, 1), /\{pppoe 7\} #1 TCP/);
  });

  it('says what carries no IPv4', async () => {
    const arp = Buffer.from('0001080006040001020000000002 0a000005 000000000000 0a000004'.replaceAll(' ', ''), 'hex');
    assert.match(await lineOf(ether('0806', arp), 1), /ARP who has 10\.0\.0\.4\? tell 10\.0\.0\.5$/);
    const ipv6 = Buffer.from(
      `60000000 0000 3a ff ${'00'.repeat(15)}01 fe80${'00'.repeat(13)}02`.replaceAll(' ', ''),
      'hex',
    );
    assert.match(await lineOf(ether('86dd', ipv6), 1), /IPv6 ::1 > fe80::2 ICMPv6 len 0$/);
    assert.match(await lineOf(ether('88cc', Buffer.alloc(4)), 1), /LLDP$/);
    assert.match(await lineOf(Buffer.alloc(4), 127), /IEEE 802\.11 with radiotap frames are not decoded$/);
  });

  it('does not let octets of a packet act on the terminal', async () => {
    const v1 = 'PROXY TCP4 10.0.0.5 10.0.0.4 1 2\u001b[2J\r\n';
    const { lines } = await inspectPackets([tcpPacket({ ...ENDS, payload: v1 })]);
    assert.match(lines[0]!, /malformed PROXY header/);
    // eslint-disable-next-line no-control-regex
    assert.doesNotMatch(lines.join(''), /[\u0000-\u001f\u007f]/);
  });
});

describe('inspect: what is wrong with a packet', () => {
  it('tells a wrong TCP checksum and the right one', async () => {
    const packet = tcpPacket({ ...ENDS, payload: 'x' });
    const right = packet.readUInt16BE(36);
    packet.writeUInt16BE(right ^ 0x0101, 36);
    const [json] = await inspectJson([packet]);
    assert.deepEqual(json!.tcp!.checksum, { field: right ^ 0x0101, verdict: 'bad', expected: right });
    assert.match(await lineOf(packet), /! bad TCP checksum 0x/);
  });

  it('tells an offload artefact from a wrong checksum', async () => {
    const packet = tcpPacket({ ...ENDS, payload: 'offloaded' });
    // The pseudo header alone: addresses, protocol, length, not complemented.
    const words = [0x0a00, 0x0005, 0x0a00, 0x0004, 6, packet.length - 20];
    packet.writeUInt16BE(
      words.reduce((a, z) => a + z),
      36,
    );
    assert.match(await lineOf(packet), /! partial TCP checksum \(offload\)$/);
  });

  it('accepts a UDP datagram without checksum', async () => {
    const line = await lineOf(udpPacket({ ...ENDS, checksum: false, payload: 'x' }));
    assert.match(line, /len 1$/);
  });

  it('tells a wrong IP checksum, and one left to offload', async () => {
    const packet = udpPacket(ENDS);
    packet.writeUInt16BE(0, 10);
    assert.match(await lineOf(packet), /! IP checksum 0 \(offload\)$/);
    packet.writeUInt16BE(0x1234, 10);
    assert.match(await lineOf(packet), /! bad IP checksum 0x1234, should be 0x[0-9a-f]{4}$/);
  });

  it('takes an IP length of 0 from the record', async () => {
    const packet = tcpPacket({ ...ENDS, payload: 'x'.repeat(3000) });
    packet.writeUInt16BE(0, 2);
    packet.writeUInt16BE(0, 10);
    const line = await lineOf(packet);
    assert.match(line, /len 3000 ! IP length 0 \(offload\): 3040 octets in the frame; IP checksum 0 \(offload\)$/);
  });

  it('says how much of a packet the capture kept', async () => {
    const packet = tcpPacket({ ...ENDS, payload: 'x'.repeat(100) });
    const { lines } = await inspectPackets([{ octets: packet.subarray(0, 60), originalLength: packet.length }]);
    assert.match(lines[0]!, /len 100 ! cut off: 60 of 140 octets captured$/);
  });

  it('says so when the IP length is more than the frame', async () => {
    const packet = udpPacket({ ...ENDS, payload: 'x' }).subarray(0, 28);
    assert.match(await lineOf(packet), /! IP length 29, but the frame has 28 octets/);
  });

  it('takes no more than the frame for the length of a packet', async () => {
    const packet = ipv4Packet(132, ENDS, Buffer.alloc(30)).subarray(0, 40);
    assert.match(await lineOf(packet), /SCTP 10\.0\.0\.5 > 10\.0\.0\.4 len 20 ! IP length 50/);
  });

  it('keeps the ports of a TCP header that makes no sense', async () => {
    const packet = tcpPacket(ENDS);
    packet.writeUInt8(0x10, 32);
    assert.match(
      await lineOf(packet),
      /TCP 10\.0\.0\.5:40000 > 10\.0\.0\.4:80 len 20 ! TCP header cut off or malformed/,
    );
  });

  it('accepts any octets on any link layer, as text and as JSON', async () => {
    const linkTypes = [0, 1, 9, 50, 101, 104, 105, 108, 113, 228, 229, 276, 9999];
    const anything = fc.array(fc.uint8Array({ maxLength: 120 }), { minLength: 1, maxLength: 5 });
    // A sound packet with some octets changed gets further than noise does.
    const nearly = fc
      .tuple(
        fc.constantFrom(
          tcpPacket({ ...ENDS, options: Buffer.from('0101080a0000000100000002', 'hex'), payload: 'PROXY TCP4 ' }),
          udpPacket({ ...ENDS, payload: 'hello' }),
          icmpError({ src: '10.0.0.1', dst: '10.0.0.5', about: tcpPacket(ENDS) }),
          ...fragments(udpPacket({ ...ENDS, payload: 'x'.repeat(100) }), 60),
        ),
        fc.array(fc.tuple(fc.nat(99), fc.nat(255)), { maxLength: 4 }),
        fc.nat(140),
      )
      .map(([packet, changes, length]) => {
        const changed = Buffer.from(packet);
        for (const [at, octet] of changes) if (at < changed.length) changed[at] = octet;
        return changed.subarray(0, length);
      });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...linkTypes),
        fc.oneof(anything, fc.array(nearly, { minLength: 1, maxLength: 8 })),
        async (linkType, packets) => {
          const text = await inspectPackets(packets, {}, linkType);
          assert.equal(text.lines.length, packets.length);
          const json = await inspectPackets(packets, { json: true }, linkType);
          for (const line of json.lines) JSON.parse(line);
          await inspectPackets(packets, { mode: { kind: 'stats' } }, linkType);
          await inspectPackets(packets, { mode: { kind: 'follow', stream: 1 } }, linkType);
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('inspect: fragments', () => {
  const whole = udpPacket({
    ...ENDS,
    id: 9,
    df: false,
    payload: Buffer.from(Array.from({ length: 3000 }, (_, i) => i & 255)),
  });

  it('puts a datagram together, whatever the order of its fragments', async () => {
    const parts = fragments(whole, 576);
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(parts, { minLength: parts.length }), async (order) => {
        const json = await inspectPackets(order, { json: true });
        const last = JSON.parse(json.lines.at(-1)!) as { udp: { payload: number; checksum: { verdict: string } } };
        assert.equal(last.udp.payload, 3000);
        assert.equal(last.udp.checksum.verdict, 'ok');
      }),
      { numRuns: 20 },
    );
  });

  it('names the frames that a datagram came in', async () => {
    const { lines } = await inspectPackets(fragments(whole, 1500));
    assert.match(lines[0]!, /len 1480 \(frag id 9 offset 0\+\)$/);
    assert.match(lines[1]!, /10\.0\.0\.5:40000 > 10\.0\.0\.4:80 len 1480 \(frag id 9 offset 1480\+\)$/);
    assert.match(lines[2]!, /len 3000 \(frag id 9 offset 2960 last\) ! reassembled from frames 1, 2, 3$/);
  });

  it('says so when fragments overlap, and keeps the octets that came first', async () => {
    const [first, second, third] = fragments(whole, 1500);
    const other = Buffer.from(first!);
    other[60] = other[60]! ^ 0xff;
    const { lines } = await inspectPackets([first!, other, second!, third!]);
    assert.match(lines[1]!, /fragments overlap/);
    assert.doesNotMatch(lines[3]!, /bad UDP checksum/);
  });

  it('does not take a fragment that came twice for an overlap', async () => {
    const [first, second, third] = fragments(whole, 1500);
    const { lines } = await inspectPackets([first!, first!, second!, third!]);
    assert.doesNotMatch(lines.join(), /overlap/);
    assert.match(lines[3]!, /reassembled/);
  });
});
