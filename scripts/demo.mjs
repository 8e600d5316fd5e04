// `npm run demo`: set-up, then one real capture through the whole product, each command shown as it is run.
//
//   npm run demo                 the HTTP case of fixtures/, else the first case there
//   npm run demo -- CAPTURE      another capture
//
// The results stay in a temporary folder, named at the end, for a look with any tool.
import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { present, root, run, say } from './run.mjs';
import { setup, SetupError } from './setup.mjs';

const LINK_ID = '287454020'; // 0x11223344: easy to find in a hex dump, where it stands in little-endian order

class DemoError extends Error {}

let stepNumber = 0;

function step(title, program, args, { shown = [program, ...args], capture = false } = {}) {
  say(`\n${++stepNumber}. ${title}\n   $ ${shown.join(' ')}\n`);
  const result = run([program, ...args], { capture, timeoutMs: 5 * 60_000 });
  if (!result.ok) throw new DemoError(`${result.output}step ${stepNumber} failed (${result.why})`);
  return result.output;
}

function culvert(title, args, options = {}) {
  const main = path.join(root, 'dist', 'bin', 'culvert.cjs');
  return step(title, process.execPath, [main, ...args], { shown: ['culvert', ...args], ...options });
}

function chooseCapture(given) {
  if (given !== undefined) return path.resolve(given);
  const fixtures = path.join(root, 'fixtures');
  const cases = readdirSync(fixtures).filter((name) => existsSync(path.join(fixtures, name, 'in.pcap')));
  const chosen = cases.includes('http') ? 'http' : cases[0];
  if (chosen === undefined)
    throw new DemoError('fixtures/ has no folder with an in.pcap: record some, or name a capture');
  return path.relative(root, path.join(fixtures, chosen, 'in.pcap'));
}

function trim(text, most) {
  const lines = text.trimEnd().split('\n');
  const rest = lines.length - most;
  return [...lines.slice(0, most), ...(rest > 0 ? [`… and ${rest} more lines`] : [])].join('\n');
}

function demo(given) {
  const input = chooseCapture(given);
  const results = mkdtempSync(path.join(os.tmpdir(), 'culvert-demo-'));
  const provider = path.join(results, 'provider.pcap');
  const consumer = path.join(results, 'consumer.pcap');

  culvert('Translate a real capture: each server in it becomes a private endpoint, and every output is checked', [
    ...['replay', input, '--adopt', '--linkid', LINK_ID],
    ...['--provider', provider, '--consumer', consumer, '--check'],
  ]);
  const packets = culvert(
    'Read the provider side back: the clients are NAT addresses now, and each TCP stream begins with its PROXY header',
    ['inspect', provider],
    { capture: true },
  );
  say(trim(packets, 24));

  if (present('tshark')) {
    // HTTP's dissector claims port 80 unless the heuristics, PROXY among them, are asked first.
    const heuristics = ['-o', 'tcp.try_heuristic_first:TRUE'];
    const dissection = step(
      'Ask another program: how tshark dissects the first inserted header',
      'tshark',
      ['-n', '-r', provider, ...heuristics, '-Y', 'proxy', '-O', 'proxy'],
      { capture: true },
    );
    // What tshark says about running as root stands around it; packets are set apart by empty lines.
    const at = dissection.indexOf('Frame ');
    if (at < 0) throw new DemoError('tshark found no PROXY header');
    say(trim(dissection.slice(at).split('\n\n')[0], 60));
  } else {
    say('\ntshark is not here: its dissection of the inserted header is left out');
  }
  say(`\nThe two sides of the link are in ${results}`);
}

try {
  setup();
  demo(process.argv[2]);
} catch (error) {
  if (!(error instanceof SetupError || error instanceof DemoError)) throw error;
  say(`demo: ${error.message}`);
  process.exitCode = 1;
}
