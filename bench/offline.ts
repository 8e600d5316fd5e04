/**
 * Capture to capture, whole processes, beside tcprewrite (package tcpreplay), which rewrites addresses and checksums of
 * the same file in the same run; and reading alone beside tcpdump and tshark. `npm run bench:offline -- --packets=N
 * --runs=N --only=WORDS`: the rows of that name alone, without the reading.
 *
 * The peer does less: no flows, no ports, no sequence numbers, no header. It writes Ethernet frames, Culvert raw IP.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { reading, type Reading, showing } from './offline/reading.js';
import { cost, type Cost, digits, median, medianCost, option, report, textOption } from './support/measure.js';
import { CLIENT_NET, SERVER_NET, writeCapture } from './support/traffic.js';

const packets = option('packets', 1_000_000);
const runs = option('runs', 5);
const flows = option('flows', 1000);
const seed = option('seed', 1);
const only = textOption('only', '');
/** tshark takes 10 µs a packet. */
const MOST_SHOWN = 100_000;

const culvert = textOption('culvert', fileURLToPath(new URL('../bin/culvert.cjs', import.meta.url)));
const dotted = (a: number): string => [24, 16, 8, 0].map((n) => (a >>> n) & 255).join('.');
const PNAT = `--pnat=${dotted(CLIENT_NET)}/16:198.18.0.0/29,${dotted(SERVER_NET)}/24:198.19.0.0/24`;
/** The check of the outputs is another job; without it the command is what its peer is. */
const help = execFileSync(process.execPath, [culvert, 'replay', '--help'], { encoding: 'latin1' });
const noCheck = help.includes('--no-check') ? ['--no-check'] : [];
const OPTIONS = ['--adopt', ...noCheck, '--quiet', '--nat-pool', '198.18.0.0/29', '--linkid', '1001'];

const CASES = [
  { name: '40 to 1440 octets, client side', from: 40, to: 1440, both: false },
  { name: '64 octets, client side', from: 64, to: 64, both: false },
  { name: '40 to 1440 octets, both sides', from: 40, to: 1440, both: true },
] as const;

interface Measured {
  readonly name: string;
  readonly packets: number;
  readonly tcprewrite: Cost;
  readonly culvert: Cost;
  /** Packets a second of culvert over tcprewrite: the median of the runs' ratios. */
  readonly ratio: number;
}

/** Peer and ours in turn, so that what else the machine does meets both. */
async function compare(name: string, peer: readonly string[], own: readonly string[]): Promise<Measured[]> {
  if (!name.includes(only)) return [];
  const peers: Cost[] = [];
  const owns: Cost[] = [];
  for (let run = 0; run <= runs; run++) {
    const a = await cost('tcprewrite', peer);
    const b = await cost(process.execPath, [culvert, 'replay', ...own]);
    if (run === 0) continue; // warms the page cache
    peers.push(a);
    owns.push(b);
  }
  const ratio = median(peers.map((p, i) => p.wallS / owns[i]!.wallS));
  return [{ name, packets, tcprewrite: medianCost(peers), culvert: medianCost(owns), ratio }];
}

const dir = mkdtempSync(path.join(textOption('dir', os.tmpdir()), 'culvert-bench-'));
try {
  const measured: Measured[] = [];
  const readings: Reading[] = [];
  for (const [i, shape] of CASES.entries()) {
    if (!`${shape.name}, to /dev/null`.includes(only) && !`${shape.name}, to a file`.includes(only)) continue;
    const input = path.join(dir, `${String(i)}.pcap`);
    writeCapture(input, { ...shape, packets, flows, seed });
    const peerFile = path.join(dir, 'peer.pcap');
    const out = path.join(dir, 'out.pcap');
    const back = path.join(dir, 'back.pcap');
    const own = [input, ...OPTIONS, '--provider'];
    measured.push(
      ...(await compare(
        `${shape.name}, to /dev/null`,
        ['-i', input, '-o', '/dev/null', PNAT],
        [...own, '/dev/null', ...(shape.both ? ['--consumer', '/dev/null'] : [])],
      )),
      ...(await compare(
        `${shape.name}, to a file`,
        ['-i', input, '-o', peerFile, PNAT],
        [...own, out, ...(shape.both ? ['--consumer', back] : [])],
      )),
    );
    const wrote = measured.at(-1)!.name.endsWith('a file');
    if (wrote && (!existsSync(out) || statSync(out).size < packets * 20)) throw new Error('culvert wrote too little');
    if (only === '') readings.push(await reading(shape.name, input, packets, runs));
    for (const file of [input, peerFile, out, back]) rmSync(file, { force: true });
  }
  if (only === '') {
    const input = path.join(dir, 'shown.pcap');
    const shown = Math.min(packets, MOST_SHOWN);
    writeCapture(input, { from: 40, to: 1440, both: true, packets: shown, flows, seed });
    readings.push(await showing(`${String(shown)} packets as text`, input, shown, runs, culvert));
  }
  const rate = (n: number, s: number): string => digits(n / s / 1e6);
  const mib = (octets: number): string => digits(octets / 1048576);
  report(
    [
      ['capture to capture', 'tcprewrite Mpkt/s', 'culvert Mpkt/s', 'ratio', 'CPU s', 'CPU s', 'RSS MiB', 'RSS MiB'],
      ...measured.map((m) => [
        m.name,
        rate(m.packets, m.tcprewrite.wallS),
        rate(m.packets, m.culvert.wallS),
        digits(m.ratio),
        digits(m.tcprewrite.cpuS),
        digits(m.culvert.cpuS),
        mib(m.tcprewrite.peakRss),
        mib(m.culvert.peakRss),
      ]),
      ['reading', 'tcpdump Mpkt/s', 'tshark Mpkt/s', 'culvert Mpkt/s', 'of tcpdump', 'of tshark', '', ''],
      ...readings.map((r) => [
        r.name,
        rate(r.packets, r.tcpdump.wallS),
        rate(r.packets, r.tshark.wallS),
        rate(r.packets, r.culvertS),
        digits(r.ratios.tcpdump),
        digits(r.ratios.tshark),
        '',
        '',
      ]),
    ],
    { packets, flows, runs, measured, readings },
  );
} finally {
  rmSync(dir, { recursive: true, force: true });
}
