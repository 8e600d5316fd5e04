import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { GONE, MAX_BURST } from '../../src/device/device.js';
import { ImpairedDevice } from '../../src/device/impair.js';
import { ip } from '../../src/device/tun/ip-command.js';
import type { TunOptions } from '../../src/device/tun/options.js';
import { TunDevice } from '../../src/device/tun/tun-device.js';
import { Slots, Swap } from '../support/device-swap.js';
import { needsTunDevice } from '../support/machine.js';
import { Namespaces } from '../support/namespaces.js';
import { udpPacket, withChecksum } from '../support/packets.js';
import { until } from '../support/until.js';

const A = '10.210.1.1';
const B = '10.210.2.1';
const PORT = '7007';

const WINDOW_MS = 200;
const IDLE_US = WINDOW_MS * 10; // 1 %

/**
 * Processor time in µs, all threads of this process, of the quietest of ten windows; of up to fifty where none was idle yet. Whatever
 * polls does so in every window; the collector and the compiler do not.
 */
async function quietestWindow(): Promise<number> {
  let least = Infinity;
  for (let i = 0; i < 10 || (i < 50 && least >= IDLE_US); i++) {
    const started = process.cpuUsage();
    await sleep(WINDOW_MS);
    const used = process.cpuUsage(started);
    least = Math.min(least, used.user + used.system);
  }
  return least;
}

function echoRequest(src: string, dst: string): Buffer {
  const packet = udpPacket({ src, dst, sport: 0x0800, dport: 0, payload: 'are you there?' });
  packet.writeUInt8(1, 9); // ICMP
  packet.writeUInt32BE(0x08000000, 20);
  packet.writeUInt32BE(0x00070001, 24);
  return withChecksum(packet);
}

describe('TUN device', () => {
  const spaces = new Namespaces();
  const devices: TunDevice[] = [];
  const swaps: Swap[] = [];

  before(function () {
    needsTunDevice(this);
  });

  afterEach(() => {
    for (const swap of swaps.splice(0)) swap.stop();
    for (const device of devices.splice(0)) device.close();
    spaces.remove();
  });

  function open(options: TunOptions = {}): TunDevice {
    const device = TunDevice.open(options);
    devices.push(device);
    return device;
  }

  /** Two kernels with nothing but our loop between them. */
  function pair(options: TunOptions): { a: string; b: string; deviceA: TunDevice; deviceB: TunDevice; swap: Swap } {
    const [a, b] = [spaces.add(), spaces.add()];
    const deviceA = open({ ...options, netns: a, addresses: [`${A}/24`], routes: ['10.210.2.0/24'] });
    const deviceB = open({ ...options, netns: b, addresses: [`${B}/24`], routes: ['10.210.1.0/24'] });
    const swap = new Swap(deviceA, deviceB);
    swaps.push(swap);
    return { a, b, deviceA, deviceB, swap };
  }

  it('makes an interface in the namespace that was asked for, with its address and MTU, and takes it away on close', () => {
    const netns = spaces.add();
    const device = open({ name: 'cv-test%d', netns, mtu: 1400, addresses: [`${A}/24`], routes: ['10.9.0.0/16'] });
    assert.match(device.name, /^cv-test\d+$/);
    assert.equal(device.mtu, 1400);
    assert.deepEqual(spaces.interfaces(netns), [
      { name: device.name, mtu: 1400, queue: 4096, up: true, addresses: [`${A}/24`] },
    ]);
    assert.match(ip('-n', netns, 'route', 'show'), new RegExp(`10\\.9\\.0\\.0/16 dev ${device.name}`));
    device.close();
    device.close();
    assert.deepEqual(spaces.interfaces(netns), []);
    assert.equal(new Slots().read(device), GONE);
    assert.equal(new Slots().write(device, 0, 1), GONE);
  });

  for (const offload of [false, true])
    it(`carries a ping to the kernel and its answer back, offload ${offload ? 'on' : 'off'}`, async () => {
      const device = open({ netns: spaces.add(), addresses: [`${A}/24`], offload });
      const slots = new Slots();
      const request = echoRequest('10.210.1.9', A);
      slots.put(0, request);
      const readable = new Promise<void>((resolve) => device.onReadable(resolve));
      device.start();
      assert.equal(slots.write(device, 0, 1), 1);
      await readable;
      slots.slab.fill(0x55);
      assert.equal(slots.read(device), 1);
      const header = slots.slab.toString('hex', slots.offsets[0]! - 10, slots.offsets[0]);
      assert.equal(header, '00'.repeat(10), 'the virtio-net header of a plain packet');
      const reply = slots.packet(0);
      assert.equal(reply.readUInt8(20), 0, 'echo reply');
      assert.equal(reply.subarray(24).toString('hex'), request.subarray(24).toString('hex'));
      assert.equal(slots.read(device), 0, 'nothing more waits');
      const { readPackets, readOctets, writtenPackets, writtenOctets } = device.counters;
      assert.deepEqual(
        { readPackets, readOctets, writtenPackets, writtenOctets },
        { readPackets: 1, readOctets: 42, writtenPackets: 1, writtenOctets: 42 },
      );
    });

  for (const offload of [false, true])
    for (const mtu of [576, 1500, 9000])
      it(`streams arrive octet for octet both ways, offload ${offload ? 'on' : 'off'}, MTU ${mtu}`, async () => {
        const { a, b, deviceA, swap } = pair({ mtu, offload });
        assert.deepEqual(deviceA.offload.csum && deviceA.offload.tso4, offload);
        const server = spaces.node(b, 'net-peer', 'serve', B, PORT);
        assert.equal(await server.line(), 'ready');
        const answer = await spaces.node(a, 'net-peer', 'tcp', B, PORT, String(1 << 20), '4').finished;
        assert.equal((JSON.parse(answer) as { same: number }).same, 4);
        if (offload) {
          assert.ok(swap.seen.tcpSuperPackets > 10, `${swap.seen.tcpSuperPackets} super-packets`);
          assert.ok(swap.seen.longest > 3 * mtu && swap.seen.partialChecksums > 10);
        } else {
          assert.equal(swap.seen.tcpSuperPackets + swap.seen.partialChecksums, 0);
          assert.equal(swap.seen.longest, mtu);
        }
      });

  for (const offload of [false, true])
    it(`datagrams arrive octet for octet, larger than the MTU too, offload ${offload ? 'on' : 'off'}`, async () => {
      const { a, b } = pair({ offload });
      const server = spaces.node(b, 'net-peer', 'serve', B, PORT);
      assert.equal(await server.line(), 'ready');
      const sizes = [0, 1, 27, 1472, 1473, 8000, 65507];
      const answer = await spaces.node(a, 'net-peer', 'udp', B, PORT, ...sizes.map(String)).finished;
      assert.deepEqual(JSON.parse(answer), { same: sizes });
    });

  it('takes UDP super-packets where the kernel has USO', async function () {
    const { a, b, deviceA, swap } = pair({ offload: true });
    if (!deviceA.offload.uso4) this.skip();
    const server = spaces.node(b, 'net-peer', 'serve', B, PORT);
    assert.equal(await server.line(), 'ready');
    const program = [
      'import socket, sys',
      's = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)',
      's.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT',
      's.settimeout(30)',
      `s.connect(("${B}", ${PORT}))`,
      's.send(b"".join(bytes([i]) * 1000 for i in range(20)))',
      'print(sorted(s.recv(2000)[0] for i in range(20)) == list(range(20)))',
    ].join('\n');
    assert.equal(await spaces.run(a, 'python3', '-c', program), 'True\n');
    assert.ok(swap.seen.udpSuperPackets >= 1 && swap.seen.longest > 20_000);
  });

  for (const offload of [false, true])
    it(`streams are whole behind a bad line, offload ${offload ? 'on' : 'off'}`, async () => {
      const bad = { loss: 0.02, duplicate: 0.05, reorder: 0.2, corrupt: 0.01, delayMs: 1, jitterMs: 1 };
      const [a, b] = [spaces.add(), spaces.add()];
      const deviceA = open({ offload, netns: a, addresses: [`${A}/24`], routes: ['10.210.2.0/24'] });
      const deviceB = open({ offload, netns: b, addresses: [`${B}/24`], routes: ['10.210.1.0/24'] });
      const impaired = new ImpairedDevice(deviceA, { seed: 20_261_122, read: bad, write: bad });
      swaps.push(new Swap(impaired, deviceB));
      const server = spaces.node(b, 'net-peer', 'serve', B, PORT);
      assert.equal(await server.line(), 'ready');
      const answer = await spaces.node(a, 'net-peer', 'tcp', B, PORT, String(1 << 18), '4').finished;
      assert.equal((JSON.parse(answer) as { same: number }).same, 4);
      for (const line of [impaired.lines.read, impaired.lines.write])
        assert.ok(line.lost > 0 && line.duplicated > 0 && line.reordered > 0, JSON.stringify(line));
      impaired.close();
    });

  it('reads bursts of the size that was asked for, 64 at most, in order', () => {
    const netns = spaces.add();
    const device = open({ netns, addresses: [`${A}/24`] });
    const send = `for i in range(150): s.sendto(i.to_bytes(2, "big"), ("10.210.1.9", 9))`;
    const program = `import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n${send}`;
    execFileSync('ip', ['netns', 'exec', netns, 'python3', '-c', program]);
    const slots = new Slots(100);
    const bursts: number[] = [];
    const numbers: number[] = [];
    for (const max of [5, MAX_BURST, 1000, MAX_BURST, MAX_BURST]) {
      const n = slots.read(device, max);
      bursts.push(n);
      for (let i = 0; i < n; i++) numbers.push(slots.packet(i).readUInt16BE(28));
    }
    assert.deepEqual(bursts, [5, 64, 64, 17, 0]);
    assert.deepEqual(
      numbers,
      Array.from({ length: 150 }, (_, i) => i),
    );
  });

  it('loses nothing of a burst that fits in the queue it asked for', async () => {
    const netns = spaces.add();
    const device = open({ netns, addresses: [`${A}/24`], queueLength: 1500 });
    const send = 'for i in range(2000): s.sendto(b"x", ("10.210.1.9", 9))';
    await spaces.run(netns, 'python3', '-c', `import socket; s = socket.socket(2, socket.SOCK_DGRAM)\n${send}`);
    const slots = new Slots();
    let packets = 0;
    for (let n; (n = slots.read(device)) > 0;) packets += n;
    assert.equal(packets, 1500);
  });

  it('counts a packet that its slot is too short for, and gives no part of it', async () => {
    const netns = spaces.add();
    const device = open({ netns, addresses: [`${A}/24`] });
    ip('-n', netns, 'link', 'set', device.name, 'mtu', '9000'); // by somebody else, after the slots were made
    const send = (octets: number): string => `s.sendto(bytes(${octets}), ("10.210.1.9", 9))`;
    const program = `import socket; s = socket.socket(2, socket.SOCK_DGRAM); ${send(1473)}; ${send(1472)}`;
    await spaces.run(netns, 'python3', '-c', program);
    const slots = new Slots();
    const n = device.read(slots.slab, slots.offsets, 1500, slots.lengths, MAX_BURST);
    assert.deepEqual([n, slots.lengths[0]], [1, 1500]);
    assert.deepEqual([device.counters.readPackets, device.counters.readErrors], [1, 1]);
  });

  it('skips what the kernel refuses, counts it, and sends the rest', () => {
    const device = open({ netns: spaces.add(), addresses: [`${A}/24`], offload: true });
    const slots = new Slots();
    for (let i = 0; i < 4; i++) slots.put(i, echoRequest('10.210.1.9', A));
    slots.slab[slots.offsets[1]!] = 0x10; // no IP version
    slots.slab[slots.offsets[2]! - 9] = 0x77; // no GSO type
    assert.equal(slots.write(device, 0, 4), 4);
    const { writtenPackets, writeErrors } = device.counters;
    assert.deepEqual({ writtenPackets, writeErrors }, { writtenPackets: 2, writeErrors: 2 });
    assert.equal(slots.read(device), 2);
  });

  it('never touches memory outside the slab', () => {
    const device = open({ netns: spaces.add(), addresses: [`${A}/24`], offload: true });
    const slots = new Slots();
    const end = slots.slab.length;
    const hostile = [
      [9, 42],
      [-1, 42],
      [0x7fffffff, 42],
      [-0x80000000, 42],
      [end - 42, 43], // all but its last octet is a packet that the kernel would take
      [16, 0],
      [16, -1],
      [16, 0x7fffffff],
    ] as const;
    slots.slab.set(echoRequest('10.210.1.9', A), end - 42);
    for (const [i, [offset, length]] of hostile.entries()) [slots.offsets[i], slots.lengths[i]] = [offset, length];
    assert.equal(slots.write(device, 0, hostile.length), hostile.length);
    assert.equal(device.counters.writeErrors, hostile.length);
    assert.equal(slots.write(device, 60, 1000), 4, 'no further than the arrays reach');
    assert.equal(slots.write(device, 60, -1), 0);
    for (const offset of [9, -1, end - 65534, 0x7fffffff, -0x80000000]) {
      slots.offsets[0] = offset;
      assert.throws(() => slots.read(device), RangeError);
    }
    assert.throws(() => device.read(slots.slab, slots.offsets, 1500, slots.lengths, 1), /65535 are needed/);
    assert.throws(() => device.read(slots.slab, slots.offsets.subarray(0, 4), -1, slots.lengths, 1));
  });

  it('notices that the memory of a burst was given away', () => {
    const device = open({ netns: spaces.add(), addresses: [`${A}/24`] });
    const slots = new Slots();
    const request = echoRequest('10.210.1.9', A);
    slots.put(0, request);
    assert.equal(slots.write(device, 0, 1), 1);
    assert.equal(slots.read(device), 1);
    structuredClone(slots.slab.buffer, { transfer: [slots.slab.buffer as ArrayBuffer] });
    assert.throws(() => slots.read(device), RangeError);
    slots.lengths[0] = 42;
    assert.equal(slots.write(device, 0, 1), 1);
    assert.equal(device.counters.writeErrors, 1);
  });

  it('counts what it writes to an interface that is down, and goes on when it is up again', () => {
    const netns = spaces.add();
    const device = open({ netns, addresses: [`${A}/24`] });
    const slots = new Slots();
    slots.put(0, echoRequest('10.210.1.9', A));
    ip('-n', netns, 'link', 'set', device.name, 'down');
    assert.equal(slots.write(device, 0, 1), 1);
    assert.equal(device.counters.writeErrors, 1);
    assert.equal(slots.read(device), 0);
    ip('-n', netns, 'link', 'set', device.name, 'up');
    assert.equal(slots.write(device, 0, 1), 1);
    assert.equal(slots.read(device), 1);
  });

  for (const how of ['link', 'namespace'] as const)
    it(`tells once that it is gone when its ${how} is removed, and does not spin`, async () => {
      const netns = spaces.add();
      const device = open({ netns, addresses: [`${A}/24`] });
      const slots = new Slots();
      const answers: number[] = [];
      device.onReadable(() => answers.push(slots.read(device)));
      device.start();
      if (how === 'link') ip('-n', netns, 'link', 'delete', device.name);
      else spaces.remove();
      await until('the end', () => answers.length > 0);
      await sleep(100);
      device.start();
      await sleep(50);
      assert.deepEqual(answers, [GONE]);
      slots.put(0, echoRequest('10.210.1.9', A));
      assert.equal(slots.write(device, 0, 1), GONE);
      device.close();
    });

  it('tells a writer that never reads, too', () => {
    const netns = spaces.add();
    const device = open({ netns, addresses: [`${A}/24`] });
    ip('-n', netns, 'link', 'delete', device.name);
    const slots = new Slots();
    slots.put(0, echoRequest('10.210.1.9', A));
    assert.equal(slots.write(device, 0, 1), GONE);
  });

  it('costs nothing while idle, and calls back no more once stopped', async () => {
    const { a, b, deviceA, swap } = pair({ offload: true });
    const server = spaces.node(b, 'net-peer', 'serve', B, PORT);
    assert.equal(await server.line(), 'ready');
    await spaces.node(a, 'net-peer', 'udp', B, PORT, '10').finished;
    const before = swap.seen.packets;
    const used = await quietestWindow();
    assert.ok(used < IDLE_US, `${used} µs of CPU in the quietest ${WINDOW_MS} ms`);
    assert.equal(swap.seen.packets, before, 'no chatter of the kernel');
    deviceA.stop();
    const program = `import socket; socket.socket(2, socket.SOCK_DGRAM).sendto(b'x', ('${B}', ${PORT}))`;
    await spaces.run(a, 'python3', '-c', program);
    await sleep(200);
    assert.equal(swap.seen.packets, before);
  });

  it('takes a queue at a time, and no interface that is there already for a new one', () => {
    const name = `cvq${String(process.pid)}`;
    const opened: TunDevice[] = [];
    try {
      opened.push(TunDevice.attachQueue(true, { name, offload: true }));
      opened.push(TunDevice.attachQueue(false, { name, offload: true }));
      assert.deepEqual(
        opened.map((device) => device.name),
        [name, name],
      );
      assert.throws(() => TunDevice.attachQueue(true, { name }), { code: 'TUN_NAME_TAKEN' });
    } finally {
      for (const device of opened) device.close();
    }
    TunDevice.attachQueue(true, { name }).close();
  });

  it('opens several queues of one interface, over which flows are spread', async () => {
    const netns = spaces.add();
    const queues = TunDevice.openQueues(2, { netns, addresses: [`${A}/24`], offload: true });
    devices.push(...queues);
    assert.equal(new Set(queues.map((queue) => queue.name)).size, 1);
    const program = [
      'import socket',
      'for i in range(64): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("10.210.1.9", 1000 + i))',
    ].join('\n');
    await spaces.run(netns, 'python3', '-c', program);
    const slots = new Slots();
    const got = queues.map((queue) => slots.read(queue));
    assert.equal(got[0]! + got[1]!, 64);
    assert.ok(got[0]! > 0 && got[1]! > 0, `one queue got all: ${got.join(', ')}`);
    queues[0]!.close();
    assert.equal(spaces.interfaces(netns).length, 1, 'the interface stays with its last queue');
    queues[1]!.close();
    assert.deepEqual(spaces.interfaces(netns), []);
  });

  it('goes when it is closed, although a program that was started meanwhile lives on', () => {
    const netns = spaces.add();
    const device = open({ netns });
    const child = spawn('sleep', ['30']);
    device.close();
    assert.deepEqual(spaces.interfaces(netns), []);
    child.kill();
  });

  it('is another device than one that was closed before', () => {
    const old = open({ netns: spaces.add() });
    old.close();
    const device = open({ netns: spaces.add(), addresses: [`${A}/24`] });
    const slots = new Slots();
    slots.put(0, echoRequest('10.210.1.9', A));
    assert.equal(slots.write(old, 0, 1), GONE);
    old.close();
    assert.equal(slots.write(device, 0, 1), 1);
    assert.equal(slots.read(old), GONE);
    assert.equal(slots.read(device), 1);
  });

  it('is removed with the worker thread that opened it', async () => {
    const netns = spaces.add();
    const module = new URL('../../src/device/tun/tun-device.js', import.meta.url).href;
    const program = `import(${JSON.stringify(module)}).then(({ TunDevice }) => {
      const device = TunDevice.open({ netns: ${JSON.stringify(netns)} });
      device.onReadable(() => {});
      device.start();
      require('node:worker_threads').parentPort.postMessage(device.name);
    });`;
    const worker = new Worker(program, { eval: true });
    const name = await new Promise((resolve) => worker.once('message', resolve));
    assert.deepEqual(
      spaces.interfaces(netns).map((each) => each.name),
      [name],
    );
    await worker.terminate();
    assert.deepEqual(spaces.interfaces(netns), []);
  });

  it('lets a failing callback reach the process like any other', async () => {
    const netns = spaces.add();
    const device = open({ netns, addresses: [`${A}/24`] });
    const slots = new Slots();
    const previous = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const seen = new Promise<Error>((resolve) => process.once('uncaughtException', resolve));
    device.onReadable(() => {
      device.close();
      throw new Error('of the callback');
    });
    device.start();
    slots.put(0, echoRequest('10.210.1.9', A));
    slots.write(device, 0, 1);
    const error = await seen;
    for (const listener of previous) process.on('uncaughtException', listener);
    assert.equal(error.message, 'of the callback');
  });

  describe('that cannot be had', () => {
    afterEach(() => {
      assert.doesNotMatch(ip('-brief', 'link', 'show'), /^cv-none/m, 'a failed opening leaves nothing behind');
    });

    const refused: [string, TunOptions, string, RegExp][] = [
      ['a name that is too long', { name: 'a'.repeat(16) }, 'TUN_OPTION_INVALID', /name.*at most 15/],
      ['a name with a slash', { name: 'a/b' }, 'TUN_OPTION_INVALID', /name/],
      ['an MTU below 68', { mtu: 67 }, 'TUN_OPTION_INVALID', /mtu is 67/],
      ['a queue of no packets', { queueLength: 0 }, 'TUN_OPTION_INVALID', /queueLength is 0/],
      ['a path for a namespace', { netns: '/run/netns/x' }, 'TUN_OPTION_INVALID', /netns/],
      ['an option of ip for an address', { addresses: ['-force'] }, 'TUN_OPTION_INVALID', /addresses/],
      ['a name that is in use', { name: 'lo' }, 'TUN_NAME_TAKEN', /lo/],
      ['a namespace that is not there', { netns: 'culvert-none' }, 'IP_COMMAND_FAILED', /netns culvert-none: /],
      ['an address that is none', { addresses: ['10.0.0.300/24'] }, 'IP_COMMAND_FAILED', /address add 10\.0\.0\.300/],
      ['a route to an odd prefix', { routes: ['10.0.0.1/8'] }, 'IP_COMMAND_FAILED', /route add 10\.0\.0\.1\/8/],
    ];
    for (const [what, options, code, message] of refused)
      it(`says so: ${what}`, () => {
        assert.throws(() => open({ name: 'cv-none%d', ...options }), { name: 'CulvertError', code, message });
      });
  });
});
