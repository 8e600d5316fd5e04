/**
 * What becomes of a packet. The packet path returns numbers: `FORWARD`, `HELD` or `ABSORBED`, or a drop reason as a negative
 * number, so that the loop around it neither allocates nor throws.
 */

/** The packets in the outbox are to be sent, in order. */
export const FORWARD = 0;
/** A copy of the fragment waits for the first fragment of its datagram. */
export const HELD = 1;
/** What the packet says is for the gateway alone. */
export const ABSORBED = 2;

/**
 * Why a packet was dropped: a stable name for counters, and what it means. The order gives the verdicts:
 * the n-th reason is verdict -(n + 1).
 */
export const REASONS = [
  ['not-ipv4', 'the frame carries no IPv4 packet (ARP, IPv6, …)'],
  ['link-unsupported', 'the capture has a link type that is not supported'],
  ['link-truncated', 'the frame ends inside its link-layer header'],
  ['no-network', 'the capture’s interface has the name of no consumer network'],
  ['ip-truncated', 'the frame ends inside the IPv4 header'],
  ['ip-bad-version', 'the version is not 4'],
  ['ip-bad-header-length', 'the header length is below 20 octets'],
  ['ip-bad-length', 'the total length is shorter than the header or longer than the frame'],
  ['ip-bad-checksum', 'the IPv4 header checksum is wrong'],
  ['not-tcp-udp', 'neither TCP, UDP nor an ICMP error'],
  ['not-unicast', 'source or destination is a multicast, broadcast or unspecified address'],
  ['ttl-exceeded', 'the time to live ran out here'],
  ['l4-truncated', 'the frame ends inside the TCP, UDP or ICMP header'],
  ['tcp-malformed', 'the TCP header does not fit its segment'],
  ['tcp-bad-checksum', 'a damaged segment that would begin, end or head a connection'],
  ['tcp-bad-flags', 'no SYN, RST or ACK, or SYN together with FIN or RST'],
  ['udp-malformed', 'the UDP length is below 8 or longer than the IPv4 payload'],
  ['fragment-malformed', 'a fragment without data, past 65,535 octets, or with its header split (RFC 1858, RFC 3128)'],
  ['fragment-limit', 'too many fragments wait for their first one'],
  ['fragment-timeout', 'the first fragment did not come in time'],
  ['no-endpoint', 'the destination is no private endpoint of this network'],
  ['not-approved', 'the private endpoint’s connection is not approved'],
  ['no-rule', 'no load-balancing rule for this protocol and port'],
  ['no-backend', 'the rule has no backend'],
  ['no-healthy-backend', 'every backend of the rule fails its health probe'],
  ['nsg-denied', 'a network security group denies the connection'],
  ['service-limit', 'no backend address is left for another adopted service'],
  ['nat-exhausted', 'every NAT port towards this backend is in use or held'],
  ['bandwidth-exceeded', 'the bandwidth of the Direct Connect service is used up'],
  ['flow-limit', 'the flow table is full'],
  ['no-flow', 'a packet from the provider’s side that belongs to no flow'],
  ['midstream', 'TCP without a SYN that was seen; the policy is to drop'],
  ['no-syn-ack', 'a client’s segment before the backend has answered its SYN'],
  ['reset-in-doubt', 'a backend’s RST for data that may have come before its header; the header goes again'],
  ['tcp-md5', 'TCP-MD5 (RFC 2385) covers addresses and cannot survive translation'],
  ['tcp-ao', 'TCP-AO (RFC 5925) covers addresses and cannot survive translation'],
  ['mss-below-header', 'the backend’s segments are too small for a whole PROXY header'],
  ['simultaneous-open', 'both sides sent a SYN; a private link is opened by its consumer only'],
  ['icmp-malformed', 'an ICMP error that quotes too little or nonsense'],
  ['icmp-not-error', 'ICMP other than an error about a packet'],
  ['icmp-no-flow', 'an ICMP error about a packet of no known flow'],
  ['icmp-about-header', 'an ICMP error about the inserted header alone, which the consumer never sent'],
  ['out-of-scratch', 'no room to build another packet in this burst'],
  ['probe-limit', 'more came for the health probes’ address than the gateway takes in'],
] as const;

export type Reason = (typeof REASONS)[number][0];

const verdictOf = new Map<string, number>(REASONS.map(([name], i) => [name, -(i + 1)]));

/** The verdict of a drop reason; for use when a module is loaded, never per packet. */
export function drop(reason: Reason): number {
  return verdictOf.get(reason)!;
}

/** The reason behind a negative verdict. */
export const reasonOf = (verdict: number): Reason => REASONS[-verdict - 1]![0];

/** Drops by reason: `counts[-verdict - 1]`, doubles so that they never wrap. */
export class DropCounters {
  readonly counts = new Float64Array(REASONS.length);

  add(verdict: number): void {
    this.counts[-verdict - 1]! += 1;
  }

  /** The reasons that occurred. */
  toJSON(): Partial<Record<Reason, number>> {
    const out: Partial<Record<Reason, number>> = {};
    REASONS.forEach(([name], i) => {
      if (this.counts[i]! > 0) out[name] = this.counts[i]!;
    });
    return out;
  }
}
