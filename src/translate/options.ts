/** How long things live, and the policies that the documents leave to the operator. */
import { type Share, WHOLE } from '../flow/share.js';

/** Limits in milliseconds. */
export interface Timeouts {
  /** TCP, from the SYN to the end of the handshake. */
  readonly tcpHalfOpenMs: number;
  /** TCP, established, without a packet. A rule's own idle limit counts where it is smaller. */
  readonly tcpEstablishedMs: number;
  /** TCP, after FIN both ways or a valid RST. */
  readonly tcpClosingMs: number;
  /** UDP, without a packet either way. A rule's own idle limit counts where it is smaller. */
  readonly udpMs: number;
  /** A fragment's wait for the rest of its datagram. */
  readonly fragmentMs: number;
  /** A TCP port after its flow ended (RFC 6888 REQ-8). */
  readonly portHoldMs: number;
}

/**
 * - `azure`: the private link service's documented 300 s; the half-open and closing limits are our own choice.
 * - `rfc`: RFC 5382 REQ-5 (2 h 4 min, 4 min) and RFC 4787 REQ-5 (5 min).
 * - `capture`: a recording is no attack and its pauses are real, so nothing that was one conversation is cut in two.
 */
export const TIMEOUT_PROFILES = {
  azure: {
    tcpHalfOpenMs: 60_000,
    tcpEstablishedMs: 300_000,
    tcpClosingMs: 60_000,
    udpMs: 300_000,
    fragmentMs: 30_000,
    portHoldMs: 120_000,
  },
  rfc: {
    tcpHalfOpenMs: 240_000,
    tcpEstablishedMs: 7_440_000,
    tcpClosingMs: 240_000,
    udpMs: 300_000,
    fragmentMs: 30_000,
    portHoldMs: 120_000,
  },
  capture: {
    tcpHalfOpenMs: 7_440_000,
    tcpEstablishedMs: 86_400_000,
    tcpClosingMs: 86_400_000,
    udpMs: 86_400_000,
    fragmentMs: 30_000,
    portHoldMs: 120_000,
  },
} as const satisfies Record<string, Timeouts>;

export interface TranslatorOptions {
  readonly timeouts: Timeouts;
  /** TCP whose SYN was not seen: dropped, or translated without a header. Counted either way. */
  readonly midstream: 'drop' | 'translate';
  /**
   * SYN with data (RFC 7413): `strip` blanks the option and trims the data, which a live client then sends again;
   * `carry` puts the header before the data in the SYN itself, which a recording needs, since its client never will.
   */
  readonly fastOpen: 'strip' | 'carry';
  /** Octets of the largest packet towards the provider; bounds what a SYN may carry. */
  readonly providerMtu: number;
  /** Most flows at a time. */
  readonly maxFlows: number;
  /** Decides the order of ports and the hash of tuples; the same seed gives the same octets. */
  readonly seed: number;
  /** Of NAT ports and identifications, where other translators serve the same NAT addresses. */
  readonly share: Share;
  /** Send the header again by timer while the backend has not acknowledged it. */
  readonly headerTimer: boolean;
  /** A backend's ACK of the header alone ends here: `insertion.isHeaderAck`. Not for a recording, whose packets all count. */
  readonly absorbHeaderAck: boolean;
}

export const DEFAULT_OPTIONS: TranslatorOptions = {
  timeouts: TIMEOUT_PROFILES.azure,
  midstream: 'drop',
  fastOpen: 'strip',
  providerMtu: 1500,
  maxFlows: 1 << 20,
  seed: 1,
  share: WHOLE,
  headerTimer: true,
  absorbHeaderAck: false,
};
