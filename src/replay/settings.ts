/** From the `translation` section of a lab file to the translator's options. */
import type { TranslationSettings } from '../config/index.js';
import type { TranslatorOptions } from '../translate/options.js';

/** A limit that no rule's own exceeds: idle limits then are the rules'. */
const UNLIMITED_MS = 2 ** 31 - 1;

export const optionsOf = (s: TranslationSettings): Partial<TranslatorOptions> => ({
  timeouts: {
    tcpHalfOpenMs: s.tcpHalfOpenMs,
    tcpEstablishedMs: s.tcpEstablishedMs ?? UNLIMITED_MS,
    tcpClosingMs: s.tcpClosingMs,
    udpMs: s.udpMs ?? UNLIMITED_MS,
    fragmentMs: s.fragmentMs,
    portHoldMs: s.portHoldMs,
  },
  midstream: s.midstream,
  fastOpen: s.fastOpen,
  maxFlows: s.maxFlows,
  seed: s.seed,
});
