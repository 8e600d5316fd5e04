// tshark as the judge of what a capture holds, with every checksum verified.

import { execFileSync } from 'node:child_process';

const VERIFY = ['ip.check_checksum', 'tcp.check_checksum', 'udp.check_checksum'].flatMap((name) => [
  '-o',
  `${name}:TRUE`,
]);
// Fragments stay as they are on the wire; each frame is described by what it holds itself.
const AS_IS = ['-o', 'ip.defragment:FALSE', '-o', 'tcp.desegment_tcp_streams:FALSE'];

function tshark(file, ...args) {
  const options = { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], timeout: 30_000, maxBuffer: 1 << 26 };
  return execFileSync('tshark', ['-n', '-r', file, ...VERIFY, ...AS_IS, ...args], options);
}

const lines = (text) => text.split('\n').filter((line) => line.trim() !== '');

/** How many packets of the capture a display filter finds. */
export const countPackets = (file, filter) =>
  lines(tshark(file, '-Y', filter, '-T', 'fields', '-e', 'frame.number')).length;

/** One line a packet: number, seconds since the first, addresses, protocol, tshark's own words. */
export const summary = (file) => lines(tshark(file, '-t', 'r'));
