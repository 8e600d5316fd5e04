/**
 * A second opinion, by a program that knows nothing of this one: tshark finds no bad checksum in any output whose input
 * had none, and dissects every inserted header as PROXY version 2 with the addresses and ports that our own decoder
 * finds, which are those of a client of the input.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { decode } from '../../src/wire/proxy/index.js';
import { needsCommand, needsShared, sharedDirectory } from '../support/machine.js';
import { naiveRead } from '../unit/capture/naive.js';
import { allRuns, fixtureRuns, replayHere, titleOf } from './runs.js';
import { segmentsOf, tcpOf } from './segments.js';

const SHARED = path.join(sharedDirectory(), 'captures');
const LIMIT_MS = 60_000;

const PREFERENCES = [
  'ip.check_checksum:TRUE',
  'tcp.check_checksum:TRUE',
  'udp.check_checksum:TRUE',
  // Ports have dissectors of their own, which must not claim a header; and one sent again is dissected too.
  'tcp.try_heuristic_first:TRUE',
  'tcp.no_subdissector_on_error:FALSE',
  'tcp.desegment_tcp_streams:FALSE',
].flatMap((preference) => ['-o', preference]);
// Once one of these has seen an answer, the whole conversation is its own, and a header sent again after that with it.
const SILENT = ['http', 'http2'].flatMap((protocol) => ['--disable-protocol', protocol]);

const CHECKSUMS = ['ip.checksum.status', 'icmp.checksum.status', 'tcp.checksum.status', 'udp.checksum.status'];
const PROXY = ['proxy.version', 'proxy.src.ipv4', 'proxy.srcport', 'proxy.dst.ipv4', 'proxy.dstport'];
const FIELDS = ['frame.number', 'icmp.type', ...CHECKSUMS, ...PROXY];

interface Dissection {
  /** Numbers of frames with a bad checksum. */
  readonly bad: number[];
  /** By frame number: `source:port > destination:port` of its PROXY header, version 2. */
  readonly headers: Map<number, string>;
}

const execute = promisify(execFile);

async function dissect(file: string): Promise<Dissection> {
  const fields = FIELDS.flatMap((field) => ['-e', field]);
  const { stdout } = await execute('tshark', ['-n', '-r', file, ...PREFERENCES, ...SILENT, '-T', 'fields', ...fields], {
    timeout: LIMIT_MS,
    maxBuffer: 1 << 28,
  }).catch((error: unknown) => {
    // It ends with 2 where the file's tail is cut, having told all that stands before.
    const { code, stdout } = error as { code?: unknown; stdout?: string };
    if (code === 2 && stdout !== undefined && stdout !== '') return { stdout };
    throw error;
  });
  const dissection: Dissection = { bad: [], headers: new Map() };
  for (const line of stdout.split('\n').filter((text) => text !== '')) {
    const [number, icmp, ip, icmpSum, tcp, udp, version, ...tuple] = line.split('\t');
    const bad = (status: string | undefined): boolean => /(^|,)(0|Bad)(,|$)/.test(status ?? '');
    // A segment that an ICMP error quotes is cut short, and tshark calls the checksum of a cut segment bad.
    if (bad(ip) || bad(icmpSum) || (icmp === '' && (bad(tcp) || bad(udp)))) dissection.bad.push(Number(number));
    if (version === '2') {
      const [source, sourcePort, destination, destinationPort] = tuple as [string, string, string, string];
      dissection.headers.set(Number(number), `${source}:${sourcePort} > ${destination}:${destinationPort}`);
    }
  }
  return dissection;
}

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** What our own decoder finds in an output, by frame number. */
function headersOf(file: string): Map<number, string> {
  const headers = new Map<number, string>();
  for (const [i, { data }] of naiveRead(readFileSync(file)).entries()) {
    const tcp = tcpOf(data);
    if (tcp === null) continue;
    const payload = tcp.at + (data.readUInt8(tcp.at + 12) >> 4) * 4;
    if (!data.subarray(payload, payload + SIGNATURE.length).equals(SIGNATURE)) continue;
    const result = decode(data, payload, tcp.end);
    assert.ok(result.kind === 'header', `frame ${String(i + 1)}: the header is not whole`);
    const { header } = result;
    assert.ok(header.command === 'PROXY' && header.family === 'inet' && header.version === 2);
    const { source: from, destination: to } = header;
    headers.set(i + 1, `${from.address}:${String(from.port)} > ${to.address}:${String(to.port)}`);
  }
  return headers;
}

/** Outputs already judged, by digest: variants share many. */
const judged = new Set<string>();

async function judge(input: string, args: readonly string[], scratch: string, extension: string): Promise<void> {
  const provider = path.join(scratch, `provider${extension}`);
  const consumer = path.join(scratch, `consumer${extension}`);
  const { report } = await replayHere(input, args, provider, consumer);

  const fresh = [provider, consumer].filter((file) => {
    const digest = fixtureRuns.sha256(readFileSync(file));
    return !judged.has(digest) && judged.add(digest);
  });
  const dissections = await Promise.all(fresh.map((file) => dissect(file)));
  const badInInput = dissections.some(({ bad }) => bad.length > 0) ? (await dissect(input)).bad.length : 0;
  for (const [i, { bad }] of dissections.entries()) {
    const where = `${path.basename(fresh[i]!)}: bad checksums in frames ${bad.slice(0, 10).join(', ')}`;
    assert.ok(bad.length <= badInInput, `${where}; ${String(badInInput)} in the input`);
  }

  const ours = headersOf(provider);
  const clients = new Set([...segmentsOf(input)].map(({ tuple }) => tuple));
  for (const [frame, tuple] of ours) assert.ok(clients.has(tuple), `frame ${String(frame)}: nobody sent ${tuple}`);
  if (fresh.includes(provider)) assert.deepEqual(dissections[0]!.headers, ours);
  assert.equal(ours.size, report.headers.inserted + report.headers.resent, 'headers that the report counts');
  if (fresh.includes(consumer))
    assert.deepEqual(dissections.at(-1)!.headers, new Map(), 'headers given to the consumer');
}

describe('tshark', () => {
  let scratch: string;
  before(function () {
    needsCommand(this, 'tshark');
    scratch = mkdtempSync(path.join(os.tmpdir(), 'culvert-tshark-'));
  });
  after(() => {
    rmSync(scratch, { recursive: true, force: true });
  });

  describe('agrees on golden cases', () => {
    for (const run of allRuns()) {
      it(titleOf(run), async () => {
        await judge(
          path.join(run.folder, run.input),
          fixtureRuns.absoluteArguments(run),
          scratch,
          path.extname(run.input),
        );
      });
    }

    it('and would tell a bad checksum and a changed header', async () => {
      const run = fixtureRuns.runsOf('http')[0]!;
      const provider = path.join(scratch, 'provider.pcap');
      await replayHere(path.join(run.folder, run.input), ['--adopt'], provider, path.join(scratch, 'consumer.pcap'));
      const sound = await dissect(provider);
      assert.deepEqual(sound.bad, []);
      const octets = readFileSync(provider);
      octets.writeUInt8(octets.readUInt8(octets.indexOf(SIGNATURE) + 16) ^ 1, octets.indexOf(SIGNATURE) + 16);
      const changed = path.join(scratch, 'changed.pcap');
      writeFileSync(changed, octets);
      const unsound = await dissect(changed);
      assert.equal(unsound.bad.length, 1);
      assert.notDeepEqual(unsound.headers, sound.headers);
      assert.deepEqual(unsound.headers, headersOf(changed));
    });
  });

  describe('agrees on real captures', () => {
    if (!existsSync(SHARED)) {
      it('of the shared folder', function () {
        needsShared(this, 'captures');
      });
      return;
    }
    for (const file of readdirSync(SHARED).filter((name) => /\.pcap(ng)?$/.test(name))) {
      it(file, async () => {
        await judge(path.join(SHARED, file), ['--adopt', '--linkid', '287454020'], scratch, '.pcap');
      });
    }
  });
});
