/**
 * Streams between two kernels over bad lines, in every combination that is thought to matter: the whole of what
 * test/live/impairment.test.ts samples. Root, Linux; some minutes.
 *
 *   npm run soak                                  every row; a table, and JSON in the last line
 *   npm run soak -- --mtu 576,1500 --offload off  rows of these alone
 *   npm run soak -- --rows 3,4 --seed 7           by number, with another seed
 *   npm run soak -- --workers 2                   with the flows shared by so many pumps
 *   npm run soak -- --list                        the rows
 *
 * Each of the two lines, consumer's and provider's, loses 2.5 % of what passes it in either direction, repeats 2.5 % and
 * reorders 10 %; on the way in, it turns a bit in 0.5 % (impaired-link.ts says why): between the two ends 5 %, 5 %, 20 % and 0.5 %. Exit code 1 when anything is
 * wrong, or a row takes longer than five minutes.
 */
import { parseArgs } from 'node:util';
import type { Impairment } from '../../src/device/impaired-line.js';
import { reportPlane } from '../../src/gateway/plane-report.js';
import { mergeReports } from '../../src/gateway/workers/merge.js';
import { ImpairedLink } from '../support/impaired-link.js';

const MIB = 1 << 20;
const ROW_LIMIT_MS = 300_000;
const BAD: Impairment = { loss: 0.025, duplicate: 0.025, reorder: 0.1, corrupt: 0.0025 };

interface Row {
  readonly mtu: number;
  readonly offload: boolean;
  readonly streams: number;
  readonly octets: number;
  readonly line: 'bad' | 'bad and late' | 'clean';
  readonly headersLost: number;
  readonly synCookies: 0 | 1 | 2;
}

const LINES: Record<Row['line'], Impairment> = {
  bad: BAD,
  'bad and late': { ...BAD, delayMs: 2, jitterMs: 2 },
  clean: {},
};

function* rows(): Generator<Row> {
  const plain = { line: 'bad', headersLost: 0, synCookies: 1 } as const;
  for (const mtu of [576, 1280, 1500, 9000])
    for (const offload of [false, true]) {
      yield { ...plain, mtu, offload, streams: 200, octets: MIB };
      yield { ...plain, mtu, offload, streams: 4, octets: 64 * MIB };
    }
  for (const offload of [false, true])
    yield { ...plain, mtu: 1500, offload, streams: 200, octets: MIB / 4, line: 'bad and late' };
  for (const synCookies of [0, 2] as const)
    for (const headersLost of [1, 2, 3])
      yield { mtu: 1500, offload: true, streams: 100, octets: MIB / 16, line: 'clean', headersLost, synCookies };
}

interface Result extends Row {
  readonly row: number;
  readonly faults: readonly string[];
  readonly seconds: number;
  /** Of both directions together, as the streams' users saw it. */
  readonly mibPerSecond: number;
  readonly longestSeconds: number;
  readonly packets: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly corrupted: number;
  readonly superPackets: number;
  readonly headersResent: number;
  readonly headersLostOnPurpose: number;
  readonly drops: object;
}

/** Half of the streams have a client that speaks first, half one that listens first. */
async function measure(number: number, row: Row, seed: number, workers: number): Promise<Result> {
  const { mtu, offload, streams, octets, headersLost, synCookies } = row;
  const impairment = LINES[row.line];
  const link = await ImpairedLink.up({ mtu, offload, seed, impairment, headersLost, synCookies, workers });
  const started = performance.now();
  try {
    const late = new Promise<never>((_, reject) =>
      setTimeout(
        () => reject(new Error(`row ${number} takes longer than ${ROW_LIMIT_MS / 1000} s`)),
        ROW_LIMIT_MS,
      ).unref(),
    );
    const both = (['speak', 'listen'] as const).map((how, i) => link.run(streams / 2, octets, how, seed + i * streams));
    const reports = await Promise.race([Promise.all(both), late]);
    const seconds = (performance.now() - started) / 1000;
    const faults = link.faults(streams, ...reports);
    if (link.headersLost !== streams * headersLost) faults.push(`${link.headersLost} headers were lost on purpose`);
    const { packets, lost, duplicated, reordered, corrupted } = link.lines;
    const { headers, drops } = mergeReports(link.pumps.map((pump) => reportPlane(pump, new Map(), [])));
    const superPackets = link.taps.reduce((sum, { seen }) => sum + seen.superPackets, 0);
    return {
      row: number,
      ...row,
      faults,
      seconds,
      mibPerSecond: (2 * streams * octets) / MIB / seconds,
      longestSeconds: Math.max(...reports.map((report) => report.longestMs)) / 1000,
      packets,
      lost,
      duplicated,
      reordered,
      corrupted,
      superPackets,
      headersResent: headers.resent,
      headersLostOnPurpose: link.headersLost,
      drops,
    };
  } finally {
    link.down();
  }
}

const { values: options } = parseArgs({
  options: {
    mtu: { type: 'string' },
    offload: { type: 'string' },
    rows: { type: 'string' },
    seed: { type: 'string', default: '1' },
    workers: { type: 'string', default: '1' },
    list: { type: 'boolean', default: false },
  },
});

const numbers = (list: string | undefined): number[] | null => list?.split(',').map(Number) ?? null;
const [mtus, chosen] = [numbers(options.mtu), numbers(options.rows)];
const wanted = [...rows()]
  .map((row, i): [number, Row] => [i + 1, row])
  .filter(([number]) => chosen?.includes(number) ?? true)
  .filter(([, row]) => mtus?.includes(row.mtu) ?? true)
  .filter(([, row]) => options.offload === undefined || row.offload === (options.offload === 'on'));

const TITLES = ['row', ' mtu', 'offload', 'streams', '   octets', 'line        ', 'headers lost', 'cookies'];
const about = (number: number, row: Row): string =>
  [
    number,
    row.mtu,
    row.offload ? 'on' : 'off',
    row.streams,
    row.octets,
    row.line.padEnd(12),
    row.headersLost,
    row.synCookies,
  ]
    .map((cell, i) => String(cell).padStart(TITLES[i]!.length))
    .join('  ');

console.log([...TITLES, 'result'].join('  '));
const results: Result[] = [];
for (const [number, row] of wanted) {
  process.stdout.write(about(number, row));
  if (options.list) {
    process.stdout.write('\n');
    continue;
  }
  const result = await measure(number, row, Number(options.seed), Number(options.workers));
  results.push(result);
  const { seconds, mibPerSecond, longestSeconds, packets, lost, headersResent, faults } = result;
  const figures = `${seconds.toFixed(1)} s, ${mibPerSecond.toFixed(0)} MiB/s, longest ${longestSeconds.toFixed(1)} s`;
  const said = faults.length === 0 ? 'all right' : `WRONG: ${faults.slice(0, 5).join('; ')}`;
  console.log(`  ${said}; ${figures}; ${packets} packets, ${lost} lost, ${headersResent} headers resent`);
}
if (!options.list) console.log(JSON.stringify(results));
process.exitCode = results.some(({ faults }) => faults.length > 0) || wanted.length === 0 ? 1 : 0;
