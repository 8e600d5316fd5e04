/** What a check can find wrong. */

export const PROBLEMS = {
  'file-damaged': 'an output file is cut short or corrupt',
  malformed: 'an output packet is not sound IPv4, TCP, UDP or ICMP',
  'not-translatable': 'an output packet that no translator sends: not IPv4, or neither TCP, UDP nor an ICMP error',
  'ip-checksum': 'an IPv4 header checksum is wrong',
  'tcp-checksum': 'a TCP checksum is wrong, and no input packet is wrong by the same difference',
  'udp-checksum': 'the same of UDP',
  'icmp-checksum': 'the same of ICMP',
  'quoted-checksum': 'the same of the IPv4 header that an ICMP error quotes',
  'udp-checksum-presence': 'a datagram lost its UDP checksum, or one without got one',
  'nat-source': 'a packet on the provider’s side has no NAT address of the pool',
  'header-missing': 'client octets stand where the PROXY header belongs',
  'header-malformed': 'what stands at the start of a stream is no PROXY v2 header of a TCP/IPv4 connection',
  'header-split': 'a PROXY header is not whole in one segment',
  'header-differs': 'a PROXY header was sent again with other octets',
  'header-address': 'a PROXY header names another client or endpoint than the stream’s',
  'header-linkid': 'a PROXY header has no LINKID or another service’s',
  'header-repeated': 'a PROXY header stands inside the client’s octets',
  'before-header': 'a packet of an open stream went out before the PROXY header',
  'octets-differ': 'client octets changed',
  'octets-invented': 'octets that the client did not send',
  'octets-missing': 'client octets are missing though they could be forwarded',
  'ack-invented': 'a client’s acknowledgment of octets that it never acknowledged',
  'stream-unexplained': 'a stream begins that no client of the input began',
  'datagram-unexplained': 'a datagram that no client of the input sent',
  'datagram-missing': 'client datagrams are missing though they could be forwarded',
  'flow-missing': 'a client’s flow is missing from the output',
  'port-shared': 'two live flows share a NAT address and port towards one backend',
  'mapping-split': 'one flow has two NAT addresses or ports at a time',
  'return-unsolicited': 'a packet to a NAT address and port that no flow has',
  'return-altered': 'a server packet came back changed where no rule changes it',
  'return-unexplained': 'a packet to a consumer that no server of the input sent',
  'return-missing': 'server octets or datagrams are missing though they could be forwarded',
  'return-octets-differ': 'server octets changed',
  'ack-beyond-sent': 'a packet to a consumer acknowledges octets that it has not sent',
} as const;

export type ProblemCode = keyof typeof PROBLEMS;

export interface Problem {
  readonly code: ProblemCode;
  readonly count: number;
  /** The first few, with file and frame number. */
  readonly examples: readonly string[];
}

const MAX_EXAMPLES = 5;

export class Problems {
  private readonly found = new Map<ProblemCode, { count: number; examples: string[] }>();

  add(code: ProblemCode, example: string): void {
    let problem = this.found.get(code);
    if (problem === undefined) this.found.set(code, (problem = { count: 0, examples: [] }));
    problem.count++;
    if (problem.examples.length < MAX_EXAMPLES) problem.examples.push(example);
  }

  /** In the order in which they were first found. */
  list(): Problem[] {
    return [...this.found].map(([code, problem]) => ({ code, ...problem }));
  }
}
