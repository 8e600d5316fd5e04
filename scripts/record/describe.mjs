// The README of a case, written from its definition and from what was found in the recording.

import { summary } from './tshark.mjs';

const WIDTH = 150;
const HEAD = 32;
const TAIL = 6;

function table(found) {
  const rows = found.map(
    ({ says, filter, found: n }) =>
      `| ${says} | ${filter === undefined ? 'counted by the recorder' : `\`${filter.replaceAll('|', '\\|')}\``} | ${n} |`,
  );
  return ['| what | tshark display filter | packets |', '|---|---|---|', ...rows].join('\n');
}

function packets(file) {
  const all = summary(file).map((line) => line.trim().replaceAll(/ {2,}/g, ' ').replaceAll('→', '>'));
  const shown =
    all.length <= HEAD + TAIL
      ? all
      : [...all.slice(0, HEAD), `… ${all.length - HEAD - TAIL} more`, ...all.slice(-TAIL)];
  return shown.map((line) => (line.length > WIDTH ? `${line.slice(0, WIDTH - 1)}…` : line)).join('\n');
}

export function describe(kase, file, found, versions) {
  return `# ${kase.title}

${kase.about}

Recorded by \`npm run fixtures:record -- ${kase.name}\` (as root) with ${versions}.
${kase.how}

## What it holds

${table(found)}

## Packets

\`\`\`
${packets(file)}
\`\`\`
`;
}

/** The list of all cases, for the folder above them. */
export function index(cases) {
  return `# Golden captures

Each folder is a case: \`in.pcap\` (or \`in.pcapng\`), recorded from real kernels and servers in network
namespaces by \`npm run fixtures:record\` (Linux, as root), and what the translator must make of it. A case's
README tells how it was recorded and what it holds. The recorder checks every claim before it replaces a
capture; the expected outputs are written by \`npm run fixtures:update\` alone.

A case is run as \`culvert replay in.pcap --adopt\`, with \`--config lab.yaml\` in place of \`--adopt\` where the folder
has a lab file, or with the \`args\` of its \`options.json\`. \`variants.json\` names further runs with the \`args\` that
each adds; their files carry the variant's name.

| file | what |
|---|---|
| \`out.provider.pcap\`, \`out.consumer.pcap\` | the expected outputs (\`.pcapng\` where the input is one) |
| \`….pcap.sha256\` | in place of an output above 32 KiB: its SHA-256, as \`sha256sum\` writes it |
| \`counters.json\` | the expected report of \`--json\` without file names, and the exit code |
| \`in.backend.pcap\` | for \`--provider-in\`: the backends' packets out of the case's own provider side |

With digests in place of the larger outputs the folder holds half of what it would; to look at such an output, run the
case. A test holds every run to its expectation, octet for octet.

| case | what |
|---|---|
${cases.map((kase) => `| [${kase.name}](${kase.name}/README.md) | ${kase.title} |`).join('\n')}
`;
}
