/** What bench/check.ts compares in memory. Each packet is made anew by ten aligned stores before it is translated. */
import { Lab } from '../support/lab.js';
import { HEADERS } from '../support/traffic.js';

/** Does this many bursts. */
export type Work = (bursts: number) => void;

export const BURST = 64;
const SLOT = 2048;
const HEADER_WORDS = HEADERS / 4;

/**
 * Packets of as many flows, visited far from one another.
 * @param network that they come from; -1: the provider's side
 */
function passing(
  flows: number,
  put: (lab: Lab, at: number, flow: number) => void,
  translate: (lab: Lab, at: number) => number,
  network = 0,
): Work {
  const lab = new Lab((BURST + 1) * SLOT, flows);
  const { t, room, slab } = lab;
  const words = new Int32Array(slab.buffer, slab.byteOffset, slab.length >> 2);
  const headers = new Int32Array(flows * HEADER_WORDS);
  for (let f = 0; f < flows; f++) {
    put(lab, room, f);
    const place = ((f * 7919) % flows) * HEADER_WORDS;
    for (let w = 0; w < HEADER_WORDS; w++) headers[place + w] = words[(room >> 2) + w]!;
  }
  const burst = Int32Array.from({ length: BURST }, (_, k) => room + (k + 1) * SLOT);
  let visit = 0;
  return (bursts) => {
    let verdicts = 0;
    for (let b = 0; b < bursts; b++) {
      for (let k = 0; k < BURST; k++) {
        const at = burst[k]!;
        const from = visit * HEADER_WORDS;
        for (let w = 0; w < HEADER_WORDS; w++) words[(at >> 2) + w] = headers[from + w]!;
        if (++visit === flows) visit = 0;
      }
      t.begin();
      t.prefetch(burst, BURST, network);
      for (let k = 0; k < BURST; k++) verdicts |= translate(lab, burst[k]!);
    }
    if (verdicts !== 0) throw new Error(`verdicts ${String(verdicts)}`);
  };
}

const data = (lab: Lab, at: number, flow: number): void => {
  lab.open(flow);
  lab.putData(at, HEADERS, flow);
};
const answer = (lab: Lab, at: number, flow: number): void => {
  lab.open(flow, at);
};
const datagram = (lab: Lab, at: number, flow: number): void => {
  lab.putDatagram(at, HEADERS, flow);
};
const fromConsumer = (lab: Lab, at: number): number => lab.t.fromConsumer(at, at + HEADERS, 0);
const fromProvider = (lab: Lab, at: number): number => lab.t.fromProvider(at, at + HEADERS);
const partial = (lab: Lab, at: number): number => lab.t.fromConsumer(at, at + HEADERS, 0, 0, true);

/** SYNs into an empty table, which is made anew when it is full. */
function opening(flows: number): Work {
  let lab = new Lab(SLOT, flows);
  let next = 0;
  return (bursts) => {
    for (let i = 0; i < bursts * BURST; i++) {
      if (next === flows) {
        lab = new Lab(SLOT, flows);
        next = 0;
      }
      lab.putSyn(lab.room, next++);
      lab.t.begin();
      const verdict = lab.t.fromConsumer(lab.room, lab.room + HEADERS, 0);
      if (verdict !== 0) throw new Error(`verdict ${String(verdict)}`);
    }
  };
}

export const WORKS: Readonly<Record<string, () => Work>> = {
  'to the backend, 1,000 flows': () => passing(1000, data, fromConsumer),
  'to the backend, 100,000 flows': () => passing(100_000, data, fromConsumer),
  'to the client, 1,000 flows': () => passing(1000, answer, fromProvider, -1),
  'checksums left to us, 1,000 flows': () => passing(1000, data, partial),
  'datagrams, 1,000 flows': () => passing(1000, datagram, fromConsumer),
  'new flows': () => opening(50_000),
};
