// Just enough of the capture formats for the lab: it reads what tcpdump wrote and writes a pcapng of
// several named interfaces. Deliberately apart from src/capture, which the fixtures are there to test.

const MAGIC_MICRO = 0xa1b2c3d4;
const MAGIC_NANO = 0xa1b23c4d;

/** Reads a pcap of this machine's byte order (little-endian): link type and records, times in nanoseconds. */
export function readPcap(file) {
  const magic = file.readUInt32LE(0);
  if (magic !== MAGIC_MICRO && magic !== MAGIC_NANO) throw new Error(`not a little-endian pcap: ${magic.toString(16)}`);
  const unit = magic === MAGIC_NANO ? 1n : 1000n;
  const packets = [];
  for (let at = 24; at < file.length;) {
    const captured = file.readUInt32LE(at + 8);
    packets.push({
      time: BigInt(file.readUInt32LE(at)) * 1_000_000_000n + BigInt(file.readUInt32LE(at + 4)) * unit,
      length: file.readUInt32LE(at + 12),
      octets: file.subarray(at + 16, at + 16 + captured),
    });
    at += 16 + captured;
  }
  return { linkType: file.readUInt32LE(20), packets };
}

const pad = (octets) => Buffer.concat([octets, Buffer.alloc(-octets.length & 3)]);

function option(code, value) {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(code, 0);
  head.writeUInt16LE(value.length, 2);
  return Buffer.concat([head, pad(value)]);
}

function block(type, ...parts) {
  const body = Buffer.concat(parts);
  const edge = Buffer.alloc(8);
  edge.writeUInt32LE(type, 0);
  edge.writeUInt32LE(body.length + 12, 4);
  return Buffer.concat([edge, body, edge.subarray(4)]);
}

/** A little-endian pcapng section whose interfaces bear names; packets are in order of time, in microseconds. */
export function writePcapng(interfaces) {
  const section = Buffer.from('4d3c2b1a01000000ffffffffffffffff', 'hex');
  const blocks = [block(0x0a0d0d0a, section)];
  const all = [];
  for (const [id, { name, capture }] of interfaces.entries()) {
    const about = Buffer.alloc(8);
    about.writeUInt16LE(capture.linkType, 0);
    about.writeUInt32LE(262144, 4);
    blocks.push(block(1, about, option(2, Buffer.from(name)), option(9, Buffer.from([6])), option(0, Buffer.alloc(0))));
    for (const packet of capture.packets) all.push({ ...packet, id });
  }
  all.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : a.id - b.id));
  for (const { id, time, length, octets } of all) {
    const micro = time / 1000n;
    const about = Buffer.alloc(20);
    about.writeUInt32LE(id, 0);
    about.writeUInt32LE(Number(micro >> 32n), 4);
    about.writeUInt32LE(Number(micro & 0xffffffffn), 8);
    about.writeUInt32LE(octets.length, 12);
    about.writeUInt32LE(length, 16);
    blocks.push(block(6, about, pad(octets)));
  }
  return Buffer.concat(blocks);
}

/** True if an Ethernet IPv4 TCP or UDP frame's checksum field holds just the folded pseudo-header sum. */
export function hasPartialChecksum({ octets, length }) {
  if (octets.readUInt16BE(12) !== 0x0800) return false;
  const header = (octets[14] & 15) * 4;
  const protocol = octets[23];
  const field = protocol === 6 ? 16 : protocol === 17 ? 6 : -1;
  if (field < 0 || octets.readUInt16BE(20) & 0x3fff) return false;
  // BIG TCP leaves the total length 0; the record then tells it.
  const total = octets.readUInt16BE(16) || length - 14;
  let sum = protocol + (total - header);
  for (let at = 26; at < 34; at += 2) sum += octets.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return octets.readUInt16BE(14 + header + field) === sum;
}
