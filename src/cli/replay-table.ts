/** The table that `culvert replay` prints at its end. */
import { REASONS, type Reason } from '../packet/verdict.js';
import type { ReplayReport } from '../replay/report.js';
import { textTable } from './text-table.js';

const MEANING = new Map<string, string>(REASONS.map(([name, meaning]) => [name, meaning]));

type Row = [string, string | number, string?];

/** Services and NAT ports are listed up to this many; `--json` has them all. */
const MOST = 12;

export function replayTable(r: ReplayReport): string {
  const drops = Object.entries(r.drops) as [Reason, number][];
  const parts: string[] = [];
  const rows: Row[] = [
    ['packets read', r.packets, r.input],
    ['to the provider', r.toProvider, r.provider ?? ''],
    ['to the consumer', r.toConsumer, r.consumer ?? ''],
    ['TCP flows', r.flows.tcp],
    ['UDP flows', r.flows.udp],
    ['headers inserted', r.headers.inserted],
    ['headers resent', r.headers.resent],
  ];
  const optional: Row[] = [
    ['mid-stream flows', r.flows.midstream, 'no SYN was seen: translated without a header'],
    ['Fast Open carried', r.fastOpen.carried, 'header and data in the SYN'],
    ['Fast Open stripped', r.fastOpen.stripped, 'the data was trimmed from the SYN'],
    ['MPTCP blanked', r.mptcpBlanked, 'MP_CAPABLE and MP_JOIN options'],
    ['ICMP errors', r.icmpErrors, 'translated, with the packet they quote'],
    ['fragments held', r.fragments.held, 'came before the first of their datagram'],
    ['fragments waiting', r.fragments.waiting, 'the first of their datagram never came'],
    ['IP lengths completed', r.completed.totalLengths, 'offload artefact: the total length was 0'],
    ['IP checksums completed', r.completed.ipChecksums, 'offload artefact: the checksum was 0'],
    ['L4 checksums completed', r.completed.l4Checksums, 'offload artefact: the pseudo-header sum only'],
    ['L4 checksums repaired', r.completed.repaired, '--fix-checksums'],
  ];
  rows.push(...optional.filter(([, value]) => value !== 0));
  parts.push(textTable(rows));

  if (r.returned.packets > 0) {
    const back: Row[] = [
      ['identical', r.returned.identical, 'but for the TTL, which is one less'],
      ['window clamped', r.returned.windowClamped, 'the header’s room is not the client’s'],
      ['options blanked', r.returned.optionsBlanked, 'MPTCP'],
      ['completed', r.returned.completed, 'offload artefacts'],
      ['identification changed', r.returned.identificationChanged, 'fragments'],
      ['unexplained', r.returned.unexplained, 'a fault of the translator'],
    ];
    parts.push(`server packets given back: ${String(r.returned.packets)}\n${textTable(indent(nonZero(back)))}`);
  }
  if (drops.length > 0) {
    parts.push(`dropped\n${textTable(indent(drops.map(([name, n]): Row => [name, n, MEANING.get(name) ?? ''])))}`);
  }
  parts.push(`services\n${textTable(indent(services(r)))}`);
  if (r.natPorts.length > 0) parts.push(`NAT ports in use\n${textTable(indent(natPorts(r)))}`);
  return parts.join('\n\n') + '\n';
}

const nonZero = (rows: Row[]): Row[] => rows.filter(([, value], i) => i === 0 || value !== 0);
const indent = (rows: Row[]): Row[] => rows.map(([name, value, note]) => [`  ${name}`, value, note ?? '']);

function services(r: ReplayReport): Row[] {
  if (r.services.length === 0) return [['none', '']];
  const rows = r.services
    .slice(0, MOST)
    .map((s): Row => [
      r.services.length > 1 || s.name.startsWith('adopted') ? s.endpoint : `${s.name} ${s.endpoint}`,
      `LINKID ${String(s.linkId)}`,
      `to ${s.backends.slice(0, 4).join(', ')}${s.backends.length > 4 ? ', …' : ''}`,
    ]);
  if (r.services.length > MOST) rows.push([`and ${String(r.services.length - MOST)} more`, '', '--json has them all']);
  return rows;
}

function natPorts(r: ReplayReport): Row[] {
  const rows = r.natPorts
    .slice(0, MOST)
    .map((p): Row => [`${p.address} ${p.protocol}`, p.inUse, `of ${p.of.toLocaleString('en-US')} to ${p.backend}`]);
  const rest = r.natPorts.slice(MOST);
  if (rest.length > 0) {
    rows.push([`and ${String(rest.length)} more`, rest.reduce((n, p) => n + p.inUse, 0), '--json has them all']);
  }
  return rows;
}
