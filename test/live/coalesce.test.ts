/**
 * Neighbours of one flow go into the kernel as one super-packet. What that comes to the kernel itself says: it forwards
 * the packets to a second interface, which has no offload, so that it has to cut them up and to complete their checksums.
 */
import assert from 'node:assert/strict';
import { MAX_BURST } from '../../src/device/device.js';
import { ip } from '../../src/device/tun/ip-command.js';
import { TunDevice } from '../../src/device/tun/tun-device.js';
import { Slots } from '../support/device-swap.js';
import { faults, segment } from '../support/dissect.js';
import { needsTunDevice } from '../support/machine.js';
import { Namespaces } from '../support/namespaces.js';
import {
  ACK,
  FIN,
  onesSum,
  PSH,
  pseudoSum,
  tcpPacket,
  type TcpFields,
  udpPacket,
  type UdpFields,
} from '../support/packets.js';
import { Random } from '../support/random.js';

const FROM = '10.210.1.9';
const TO = '10.210.2.9';
const BURSTS = 60;
const NOPS = Buffer.from([1, 1, 1, 0]);
const timestamps = (value: number): Buffer => Buffer.from([1, 1, 8, 10, 0, 0, 0, value, 0, 0, 0, 9]);

const udp = (fields: Partial<UdpFields> = {}): Buffer =>
  udpPacket({ src: FROM, dst: TO, sport: 5000, dport: 53, payload: Buffer.alloc(100, 7), ...fields });
const tcp = (fields: Partial<TcpFields> = {}): Buffer =>
  tcpPacket({ src: FROM, dst: TO, sport: 5000, dport: 80, ack: 5, payload: Buffer.alloc(100, 7), ...fields });

/** As a kernel gives it that leaves the checksum to us: the pseudo header's sum, and a virtio-net header that says so. */
function put(slots: Slots, i: number, packet: Buffer, partial = true): void {
  slots.put(i, packet);
  if (!partial) return;
  const at = slots.offsets[i]!;
  const header = (packet[0]! & 15) * 4;
  const offset = packet[9] === 6 ? 16 : 6;
  slots.slab.set([1, 0, 0, 0, 0, 0, header, 0, offset, 0], at - 10);
  slots.slab.writeUInt16BE(pseudoSum(packet, packet.length - header), at + header + offset);
}

/** What the kernel may change in forwarding, taken out: TTL, identification, the sums over them, and PSH. */
function plain(packet: Buffer, ttl: number): string {
  const copy = Buffer.from(packet);
  copy.writeUInt16BE(0, 4);
  copy.writeUInt8(ttl, 8);
  copy.writeUInt16BE(0, 10);
  if (copy[9] === 6) copy.writeUInt8(copy[33]! & ~PSH, 33);
  copy.writeUInt16BE(0, (copy[0]! & 15) * 4 + (copy[9] === 6 ? 16 : 6));
  return copy.toString('hex');
}

const first = { seq: 1000, options: timestamps(1) };
const next = { seq: 1100, options: timestamps(1) };

describe('packets of a burst that go into the kernel together', () => {
  const spaces = new Namespaces();
  const slots = new Slots(MAX_BURST + 10);
  let input: TunDevice;
  let output: TunDevice;
  let space: string;

  before(function () {
    needsTunDevice(this);
    space = spaces.add();
    input = TunDevice.open({ name: 'together', netns: space, addresses: ['10.210.1.1/24'], offload: true });
    output = TunDevice.open({ name: 'apart', netns: space, addresses: ['10.210.2.1/24'] });
    if (!input.offload.uso4) this.skip();
    ip('netns', 'exec', space, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
  });
  after(() => {
    for (const device of [input, output]) (device as TunDevice | undefined)?.close();
    spaces.remove();
  });

  /** Packets that the kernel has received on the first interface. */
  function received(): number {
    interface Link {
      stats64: { rx: { packets: number } };
    }
    const links = JSON.parse(ip('-n', space, '-json', '-s', 'link', 'show', 'dev', input.name)) as Link[];
    return links[0]!.stats64.rx.packets;
  }

  /** What came out, and as how many packets it went in. */
  function through(packets: readonly Buffer[], partial: (i: number) => boolean = () => true): [Buffer[], number] {
    const before = received();
    packets.forEach((packet, i) => {
      put(slots, i, packet, partial(i));
    });
    const { writtenPackets, writtenOctets } = input.counters;
    assert.equal(slots.write(input, 0, packets.length), packets.length);
    assert.equal(input.counters.writtenPackets - writtenPackets, packets.length, 'each counts');
    assert.equal(input.counters.writtenOctets - writtenOctets, Buffer.concat(packets).length);
    const out = new Slots();
    const got: Buffer[] = [];
    for (let n; (n = out.read(output)) > 0;) for (let i = 0; i < n; i++) got.push(out.packet(i));
    return [got, received() - before];
  }

  function same(got: readonly Buffer[], sent: readonly Buffer[]): void {
    for (const packet of got) assert.deepEqual(faults(packet), []);
    const [one, other] = [
      got.map((packet) => plain(packet, packet[8]! + 1)),
      sent.map((packet) => plain(packet, packet[8]!)),
    ];
    assert.equal(one.length, other.length);
    assert.equal(
      one.findIndex((each, i) => each !== other[i]),
      -1,
      'the first that differs',
    ); // a diff would be long
  }

  /** What each flow says, whatever the boundaries of its segments are. */
  function flows(packets: readonly Buffer[]): Map<string, string[]> {
    const all = new Map<string, string[]>();
    const next = new Map<string, number>();
    for (const packet of packets) {
      const copy = Buffer.from(packet);
      const flow = copy.toString('hex', 9, 10) + copy.toString('hex', 20, 24);
      const said = all.get(flow) ?? [];
      all.set(flow, said);
      copy.writeUInt8(0, 8);
      if (copy[9] !== 6) {
        said.push(plain(copy, 0));
        continue;
      }
      const { seq, payload } = segment(copy);
      copy.writeUInt16BE(0, 2);
      copy.writeUInt32BE(0, 24);
      const head = plain(copy.subarray(0, copy.length - payload.length), 0);
      const goesOn = seq === next.get(flow) && said.at(-1)?.startsWith(head) === true;
      if (goesOn) said.push(said.pop()! + payload.toString('hex'));
      else said.push(`${head} ${seq} ${payload.toString('hex')}`);
      next.set(flow, (seq + payload.length) >>> 0);
    }
    return all;
  }

  it('datagrams of one size, and a shorter last one, come out as they were', () => {
    const sent = Array.from({ length: 30 }, (_, i) => udp({ payload: Buffer.alloc(i === 29 ? 33 : 100, i) }));
    const [got, packets] = through(sent);
    same(got, sent);
    assert.equal(packets, 1);
  });

  it('segments that follow one another come out as they were, with PSH on the last', () => {
    const sent = Array.from({ length: 64 }, (_, i) =>
      tcp({
        seq: 0xffffff00 + 101 * i,
        payload: Buffer.alloc(i === 63 ? 1 : 101, i),
        flags: i === 9 ? ACK | PSH : ACK,
      }),
    );
    const [got, packets] = through(sent);
    same(got, sent);
    assert.equal(packets, 1);
    const pushed = got.map((packet) => (segment(packet).flags & PSH) !== 0);
    assert.equal(pushed.indexOf(true), 63);
  });

  it('have the first one’s PSH on the last too', () => {
    const [got] = through([tcp({ ...first, flags: ACK | PSH }), tcp(next)]);
    assert.deepEqual(
      got.map((packet) => segment(packet).flags),
      [ACK, ACK | PSH],
    );
  });

  it('do not overtake a later fragment, which may be of any flow', () => {
    const fragment = udp({ dport: 99 });
    fragment.writeUInt16BE(0x2001, 6); // more of it follows
    fragment.writeUInt16BE(0, 10);
    fragment.writeUInt16BE(0xffff - onesSum(fragment.subarray(0, 20)), 10);
    for (const i of [0, 2]) put(slots, i, udp());
    put(slots, 1, fragment, false);
    const before = received();
    assert.equal(slots.write(input, 0, 3), 3);
    assert.equal(received() - before, 3);
    new Slots().read(output);
  });

  it('do not overtake one whose IPv4 header has options', () => {
    const sent = [udp({ id: 1 }), udp({ ipOptions: NOPS }), udp({ id: 2 })];
    same(through(sent)[0], sent);
  });

  it('never are more octets than a packet may have', () => {
    const sent = Array.from({ length: 64 }, (_, i) => udp({ payload: Buffer.alloc(1400, i) }));
    const [got, packets] = through(sent);
    same(got, sent);
    assert.equal(packets, 2);
  });

  it('never are more packets than a burst has', () => {
    const sent = Array.from({ length: MAX_BURST + 10 }, (_, i) => udp({ payload: Buffer.alloc(50, i) }));
    const [got, packets] = through(sent);
    same(got, sent);
    assert.equal(packets, 2);
  });

  it('stay apart where datagrams do not fill their packets', () => {
    const short = udp();
    short.writeUInt16BE(50, 24);
    assert.equal(through([short, short])[1], 2);
  });

  const apart: Record<string, [Buffer, Buffer]> = {
    'a larger datagram after a smaller': [udp(), udp({ payload: Buffer.alloc(101) })],
    'a smaller datagram after a larger, which may be a probe': [udp(), udp({ payload: Buffer.alloc(99) })],
    'a larger segment after a small, if no path must take both': [
      tcp(first),
      tcp({ ...next, payload: Buffer.alloc(576 - 52 - 100 + 1) }),
    ],
    'datagrams to another port': [udp(), udp({ dport: 54 })],
    'datagrams from another address': [udp(), udp({ src: '10.210.1.8' })],
    'another TTL': [udp(), udp({ ttl: 63 })],
    'another TOS': [udp(), udp({ tos: 1 })],
    'identifications that mean something': [udp({ df: false, id: 1 }), udp({ df: false, id: 2 })],
    // With ports that would do as a datagram's length.
    'IPv4 options': [udp({ ipOptions: NOPS, sport: 112 }), udp({ ipOptions: NOPS, sport: 112 })],
    'datagrams without payload': [udp({ payload: '' }), udp({ payload: '' })],
    'a datagram and a segment': [udp(), tcp()],
    'a gap in the stream': [tcp(first), tcp({ ...next, seq: 1101 })],
    'a segment again': [tcp(first), tcp(first)],
    'another acknowledgment': [tcp(first), tcp({ ...next, ack: 6 })],
    'another window': [tcp(first), tcp({ ...next, window: 9 })],
    'another time stamp': [tcp(first), tcp({ ...next, options: timestamps(2) })],
    'other options': [tcp(first), tcp({ seq: 1100 })],
    'the end of a stream': [tcp(first), tcp({ ...next, flags: ACK | FIN })],
    'an urgent pointer': [tcp(first), tcp({ ...next, flags: ACK | 32, urgent: 1 })],
    'bare acknowledgments': [tcp({ payload: '' }), tcp({ payload: '' })],
  };
  for (const [what, sent] of Object.entries(apart))
    it(`stay apart: ${what}`, () => {
      const [got, packets] = through(sent);
      same(got, sent);
      assert.equal(packets, 2);
    });

  it('of other flows may stand in between, and none overtakes its own', () => {
    const of = (i: number): Buffer[] => [
      udp({ sport: 1, payload: Buffer.alloc(100, i) }),
      tcp({ seq: 100 * i, payload: Buffer.alloc(100, i) }),
      udp({ sport: 2, payload: i === 5 ? '' : Buffer.alloc(100, i) }),
    ];
    const sent = Array.from({ length: 10 }, (_, i) => of(i)).flat();
    const [got, packets] = through(sent);
    assert.deepEqual(flows(got), flows(sent));
    assert.equal(packets, 5, 'two of ten, two of ten less one, and that one');
  });

  describe('and are a small segment and a larger behind it', () => {
    const header = tcp({ ...first, payload: Buffer.alloc(36, 1), flags: ACK | PSH });
    const request = (octets: number): Buffer =>
      tcp({ ...first, seq: 1036, payload: Buffer.alloc(octets, 2), flags: ACK | PSH });

    it('are one segment, though only one has its checksum left to us, as the PROXY header and the first data', () => {
      for (const octets of [37, 38, 576 - 52 - 36]) {
        const [got, packets] = through([header, udp(), request(octets)], (i) => i !== 0);
        assert.equal(packets, 2);
        assert.deepEqual(flows(got), flows([header, udp(), request(octets)]));
        assert.deepEqual(got.map(faults), [[], []]);
        assert.equal(segment(got[0]!).flags, ACK | PSH);
      }
    });

    it('stay apart where the small one is damaged: its checksum stays wrong', () => {
      const damaged = Buffer.from(header);
      damaged[60]! ^= 1;
      const [got, packets] = through([damaged, request(100)], (i) => i === 1);
      assert.equal(packets, 2);
      assert.deepEqual(got.map(faults), [['TCP checksum'], []]);
    });

    it('are no run of small ones before', () => {
      const small = [0, 1, 2].map((i) =>
        tcp({ ...first, seq: 1000 + 36 * i, payload: Buffer.alloc(36 + (i >> 1), i) }),
      );
      const [got, packets] = through(small);
      same(got, small);
      assert.equal(packets, 2);
    });

    it('take no third one along', () => {
      const third = tcp({ ...first, seq: 1136, payload: Buffer.alloc(100, 3) });
      const [got, packets] = through([header, request(100), third]);
      assert.equal(packets, 2);
      assert.deepEqual(flows(got), flows([header, request(100), third]));
    });
  });

  it('stay apart where an IPv4 header is damaged, which the kernel drops', () => {
    const damaged = udp();
    damaged[5]! ^= 1;
    assert.equal(through([udp(), damaged, udp()])[0].length, 2);
    assert.equal(through([damaged, udp()])[0].length, 1);
  });

  it('stay apart where they are super-packets, or their checksum is elsewhere', () => {
    const large = (seq: number): Buffer => tcp({ ...first, seq, payload: Buffer.alloc(3000, 5) });
    put(slots, 0, large(0));
    put(slots, 1, large(3000));
    for (const i of [0, 1]) slots.slab.set([1, 1, 52, 0, 0xe8, 3], slots.offsets[i]! - 10); // segments of 1000
    const before = received();
    assert.equal(slots.write(input, 0, 2), 2);
    assert.equal(received() - before, 2);
    const out = new Slots();
    assert.equal(out.read(output), 6);
    put(slots, 0, udp());
    put(slots, 1, udp());
    slots.slab[slots.offsets[1]! - 4] = 28;
    assert.equal(slots.write(input, 0, 2), 2);
    assert.equal(received() - before, 4);
    assert.equal(out.read(output), 2);
  });

  it('are read within the slab, at its very end too', () => {
    const tiny = Array.from({ length: 3 }, (_, i) => udp({ payload: Buffer.alloc(1, i) }));
    const slab = Buffer.alloc(3 * (10 + 29));
    const offsets = Int32Array.from(tiny, (_, i) => 10 + i * 39);
    tiny.forEach((packet, i) => {
      put(slots, i, packet);
      slots.slab.copy(slab, offsets[i]! - 10, slots.offsets[i]! - 10, slots.offsets[i]! + 29);
    });
    const before = received();
    const lengths = new Int32Array(3).fill(29);
    assert.equal(input.write(slab, offsets, lengths, 0, 3), 3);
    assert.equal(received() - before, 1);
    const out = new Slots();
    assert.equal(out.read(output), 3);
  });

  it('count as refused, each, where the interface is down', () => {
    ip('-n', space, 'link', 'set', input.name, 'down');
    const { writeErrors, writtenPackets } = input.counters;
    for (let i = 0; i < 10; i++) put(slots, i, udp());
    assert.equal(slots.write(input, 0, 10), 10);
    assert.deepEqual(
      [input.counters.writeErrors - writeErrors, input.counters.writtenPackets - writtenPackets],
      [10, 0],
    );
    ip('-n', space, 'link', 'set', input.name, 'up');
    assert.equal(through([udp(), udp()])[1], 1);
  });

  it('stay apart where the checksum is not left to us and cannot be told soon, or is wrong', () => {
    const damaged = tcp(next);
    damaged[100]! ^= 1;
    const [got, packets] = through([tcp(first), damaged], () => false);
    assert.equal(packets, 2);
    assert.deepEqual(got.map(faults), [[], ['TCP checksum']]);
    assert.equal(through([tcp(first), tcp(next)], () => false)[1], 1, 'both are right');
    const large = { ...first, payload: Buffer.alloc(525, 1) };
    assert.equal(through([tcp(large), tcp({ ...large, seq: 1525 })], (i) => i === 0)[1], 2);
    assert.equal(through([udp(), udp()], (i) => i === 0)[1], 2);
    assert.equal(through([udp(), udp()], (i) => i === 1)[1], 2);
  });

  it('come out as one by one, whatever the burst is', () => {
    const random = new Random(20_261_122);
    let sum = 0;
    let together = 0;
    for (let burst = 0; burst < BURSTS; burst++) {
      const seqs = [random.int(0, 2 ** 32 - 1), random.int(0, 2 ** 32 - 1)];
      let size = 100;
      let flow = 0;
      const sent = Array.from({ length: random.int(1, MAX_BURST) }, (_, i) => {
        if (random.chance(0.15)) size = random.int(1, 1400);
        if (random.chance(burst % 2 === 0 ? 0.15 : 0.8)) flow = random.int(0, 3);
        const payload = Buffer.alloc(random.chance(0.1) ? random.int(1, size) : size, i);
        const tos = random.chance(0.03) ? 4 : 0;
        const df = !random.chance(0.03);
        if (flow < 2) return udp({ sport: 5000 + flow, payload, tos, df, id: i });
        if (random.chance(0.03)) seqs[flow - 2]! += 1000;
        const seq = seqs[flow - 2]!;
        seqs[flow - 2] = seq + payload.length;
        const flags = ACK | (random.chance(0.2) ? PSH : 0) | (random.chance(0.02) ? FIN : 0);
        return tcp({ sport: 5000 + flow, seq, payload, tos, df, flags, options: timestamps(burst >> 3) });
      });
      const [got, packets] = through(sent, () => !random.chance(0.03));
      for (const packet of got) assert.deepEqual(faults(packet), []);
      const [one, other] = [flows(got), flows(sent)];
      assert.deepEqual([...one.keys()].sort(), [...other.keys()].sort());
      for (const [flow, said] of one) {
        const wanted = other.get(flow)!;
        assert.equal(said.length, wanted.length, `burst ${burst}, flow ${flow}`);
        const differs = said.findIndex((each, i) => each !== wanted[i]);
        assert.equal(differs, -1, `burst ${burst}, flow ${flow}: the first that differs`);
      }
      sum += sent.length;
      together += packets;
    }
    assert.ok(together < 0.6 * sum, `${together} of ${sum}`);
  });
});
