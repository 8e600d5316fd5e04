/** What ICMP messages and IP protocols are called (RFC 792, RFC 950, RFC 1256, RFC 1812; the IANA registries). */
const TYPES: ReadonlyMap<number, string> = new Map([
  [0, 'echo reply'],
  [3, 'destination unreachable'],
  [4, 'source quench'],
  [5, 'redirect'],
  [8, 'echo request'],
  [9, 'router advertisement'],
  [10, 'router solicitation'],
  [11, 'time exceeded'],
  [12, 'parameter problem'],
  [13, 'timestamp request'],
  [14, 'timestamp reply'],
  [17, 'address mask request'],
  [18, 'address mask reply'],
]);

const UNREACHABLE = [
  'network unreachable',
  'host unreachable',
  'protocol unreachable',
  'port unreachable',
  'fragmentation needed',
  'source route failed',
  'network unknown',
  'host unknown',
  'source host isolated',
  'network prohibited',
  'host prohibited',
  'network unreachable for this service',
  'host unreachable for this service',
  'communication prohibited',
  'host precedence violation',
  'precedence cutoff',
];
const CODES: ReadonlyMap<number, readonly string[]> = new Map([
  [3, UNREACHABLE],
  [
    5,
    [
      'redirect for the network',
      'redirect for the host',
      'redirect for network and service',
      'redirect for host and service',
    ],
  ],
  [11, ['TTL exceeded', 'reassembly time exceeded']],
  [12, ['parameter problem', 'required option missing', 'bad length']],
]);

/** The message in words, for example `port unreachable`; numbers where there is no word. */
export function icmpName(type: number, code: number): string {
  const special = CODES.get(type)?.[code];
  if (special !== undefined) return special;
  const name = TYPES.get(type) ?? `type ${type}`;
  return code === 0 ? name : `${name}, code ${code}`;
}

const ECHO_REPLY = 0;
const ECHO_REQUEST = 8;

export const isEcho = (type: number): boolean => type === ECHO_REQUEST || type === ECHO_REPLY;

// IANA "Assigned Internet Protocol Numbers".
const PROTOCOLS: ReadonlyMap<number, string> = new Map([
  [1, 'ICMP'],
  [2, 'IGMP'],
  [4, 'IPIP'],
  [6, 'TCP'],
  [17, 'UDP'],
  [41, 'IPv6'],
  [47, 'GRE'],
  [50, 'ESP'],
  [51, 'AH'],
  [58, 'ICMPv6'],
  [88, 'EIGRP'],
  [89, 'OSPF'],
  [103, 'PIM'],
  [112, 'VRRP'],
  [132, 'SCTP'],
]);

/** An IP protocol in a word; `protocol 253` where it has none. */
export const protocolName = (protocol: number): string => PROTOCOLS.get(protocol) ?? `protocol ${protocol}`;
