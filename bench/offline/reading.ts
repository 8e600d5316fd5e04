/** Captures only read: stepped over beside tcpdump and tshark that copy them to nowhere, and shown as text by all three. */
import { cost, type Cost, median, medianCost } from '../support/measure.js';
import { readPackets } from '../support/read-packets.js';

export interface Reading {
  readonly name: string;
  readonly packets: number;
  readonly tcpdump: Cost;
  readonly tshark: Cost;
  readonly culvertS: number;
  /** Packets a second of Culvert over theirs: the medians of the runs' ratios. */
  readonly ratios: { readonly tcpdump: number; readonly tshark: number };
}

/** All three in turn, so that what else the machine does meets all. @param theirs the arguments of both peers */
async function inTurn(
  name: string,
  packets: number,
  runs: number,
  theirs: readonly string[],
  culvert: () => Promise<number>,
): Promise<Reading> {
  const tcpdumps: Cost[] = [];
  const tsharks: Cost[] = [];
  const own: number[] = [];
  for (let run = 0; run < runs; run++) {
    tcpdumps.push(await cost('tcpdump', theirs));
    tsharks.push(await cost('tshark', theirs));
    own.push(await culvert());
  }
  const ratio = (peer: readonly Cost[]): number => median(peer.map((each, run) => each.wallS / own[run]!));
  return {
    name,
    packets,
    tcpdump: medianCost(tcpdumps),
    tshark: medianCost(tsharks),
    culvertS: median(own),
    ratios: { tcpdump: ratio(tcpdumps), tshark: ratio(tsharks) },
  };
}

/** Stepping over every packet: ours in this process, theirs whole processes, which write what they read to `/dev/null`. */
export function reading(name: string, file: string, packets: number, runs: number): Promise<Reading> {
  return inTurn(name, packets, runs, ['-n', '-r', file, '-w', '/dev/null'], () => readPackets(file, packets));
}

/** A line of text a packet, whole processes: `culvert inspect` finds streams and PROXY headers besides, tshark streams. */
export function showing(name: string, file: string, packets: number, runs: number, culvert: string): Promise<Reading> {
  const own = async (): Promise<number> => (await cost(process.execPath, [culvert, 'inspect', file])).wallS;
  return inTurn(name, packets, runs, ['-n', '-r', file], own);
}
