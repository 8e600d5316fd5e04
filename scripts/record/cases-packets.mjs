// Cases about packets: fragments, offload, ICMP errors, datagrams, and the ways of capturing.

import { FROM_CLIENT, FROM_SERVER, SYN, SYN_ACK, during, exactly, labStory, none, some } from './claims.mjs';
import { CLIENT, ENDPOINT } from './lab.mjs';
import { hasPartialChecksum, readPcap, writePcapng } from './pcap.mjs';

const isCut = ({ octets, length }) => octets.length < length;

const fragments = {
  name: 'fragments',
  title: 'UDP in fragments, some out of order',
  about:
    'Datagrams of 1473 to 8000 octets both ways, fragmented by the kernels, about half of them with their fragments shuffled before the tap; datagrams with checksum 0, whole and in fragments; and one datagram of which a fragment never comes.',
  how: 'Two wire processes shuffle the fragments of whole datagrams on either side of the tap, seeded.',
  claims: [
    some('fragments from the client', `${FROM_CLIENT} && (ip.flags.mf == 1 || ip.frag_offset > 0)`, 20),
    some('fragments from the server', `${FROM_SERVER} && (ip.flags.mf == 1 || ip.frag_offset > 0)`, 15),
    exactly(2, 'datagrams with checksum 0, from the client', `${FROM_CLIENT} && udp.checksum == 0`),
    exactly(2, 'datagrams with checksum 0, from the server', `${FROM_SERVER} && udp.checksum == 0`),
  ],
  check(packets) {
    const seen = new Set();
    const early = { [CLIENT]: 0, [ENDPOINT]: 0 };
    let incomplete = new Map();
    for (const { octets } of packets) {
      const field = octets.readUInt16BE(20);
      if ((field & 0x3fff) === 0) continue;
      const source = octets.subarray(26, 30).join('.');
      const key = `${source} ${octets.readUInt16BE(18)}`;
      incomplete.set(key, (incomplete.get(key) ?? 0) + octets.readUInt16BE(16) - 20);
      if ((field & 0x1fff) === 0) seen.add(key);
      else if (!seen.has(key)) early[source]++;
    }
    return [
      { says: 'client fragments ahead of their first', found: early[CLIENT], atLeast: 2 },
      { says: 'server fragments ahead of their first', found: early[ENDPOINT], atLeast: 2 },
    ];
  },
  async record(lab) {
    const shuffle = { shuffle: 0.5 };
    const places = await lab.wired([
      // 21 fragments pass before the last datagram; its middle one is lost.
      { seed: 4, delayMs: 1, a2b: shuffle, script: [{ direction: 'a2b', kind: 'fragment', action: 'drop', skip: 22 }] },
      { seed: 6, delayMs: 1, b2a: shuffle },
    ]);
    await lab.server(places.server, 'udp', ENDPOINT, '9000');
    return during(lab, places.taps[1], () => lab.tell(places.client, 'fragments', ENDPOINT));
  },
};

const fragmentsTcp = {
  name: 'fragments-tcp',
  title: 'TCP segments in fragments',
  about:
    'An upload and a download whose segments were fragmented by routers on both sides of the tap (no DF, a link of MTU 576): only the first fragment of a segment has its sequence number.',
  how: 'Client, two routers and server in a chain; `ip_no_pmtu_disc` at both ends; captured on the narrow link between the routers, where the endpoint is 10.0.2.4 and the client 10.0.0.5.',
  claims: [
    some('fragments from the client', `${FROM_CLIENT} && (ip.flags.mf == 1 || ip.frag_offset > 0)`, 15),
    some('fragments from the server', 'ip.src == 10.0.2.4 && (ip.flags.mf == 1 || ip.frag_offset > 0)', 15),
    none('packets with DF and a payload', 'ip.flags.df == 1 && tcp.len > 0'),
  ],
  async record(lab) {
    const { client, server, routers, endpoint } = lab.routed([1500, 576, 1500]);
    for (const ns of [client, server]) lab.sysctl(ns, { 'net.ipv4.ip_no_pmtu_disc': 1 });
    return labStory(lab, { client, server }, { ns: routers[0], dev: 'right' }, 'fragments-tcp', { endpoint });
  },
};

const gso = {
  name: 'gso',
  title: 'Offload: packets above the MTU, partial checksums',
  about:
    'An upload and a download with segmentation and checksum offload on: the capture sees packets far above the MTU, whose checksum field holds only the pseudo-header sum, in both directions (veth hands them over as they are). Also a UDP GSO send: five datagrams that the capture sees as one.',
  how: 'One veth pair with all offloads on, captured at the client.',
  offload: true,
  claims: [
    some('packets above the MTU, from the client', `${FROM_CLIENT} && tcp && ip.len > 1500`, 3),
    some('packets above the MTU, from the server', `${FROM_SERVER} && tcp && ip.len > 1500`, 3),
    exactly(1, 'UDP GSO packet', 'udp && ip.len > 1500'),
  ],
  check(packets) {
    const partial = packets.filter(hasPartialChecksum);
    const from = (last) => partial.filter(({ octets }) => octets[29] === last).length;
    return [
      { says: 'partial checksums from the client', found: from(5), atLeast: 5 },
      { says: 'partial checksums from the server', found: from(4), atLeast: 5 },
    ];
  },
  record(lab) {
    const places = lab.direct({ offload: true });
    for (const [ns, to] of [
      [places.client, ENDPOINT],
      [places.server, CLIENT],
    ]) {
      lab.exec(ns, 'ip', 'route', 'add', `${to}/32`, 'dev', 'eth0', 'initcwnd', '32', 'initrwnd', '64');
    }
    const options = { udp: ['9001'], args: ['--up', '70000', '--down', '60000'] };
    return labStory(lab, places, { ns: places.client, dev: 'eth0' }, 'gso', options);
  },
};

const icmp = {
  name: 'icmp',
  title: 'ICMP errors about TCP and UDP, both ways',
  about: [
    'Port unreachable for a port that never listened and for one that closed after answering; the same from the client to the server, for an answer that came too late; fragmentation needed for UDP and TCP with DF on a narrow link; time exceeded for datagrams with TTL 2 and 1; host unreachable for a connection and for a new UDP flow while a route is gone, after which the connection goes on.',
    'The endpoint is 10.0.2.4; the routers that complain are 10.0.0.1 and 10.0.1.1.',
  ].join('\n\n'),
  how: 'Client, two routers and server in a chain of links with MTU 1500, 1200 and 1500, captured at the client; the recorder replaces the route by an `unreachable` one and back while the story waits.',
  claims: [
    some('port unreachable from the server', 'icmp.type == 3 && icmp.code == 3 && ip.src == 10.0.2.4', 2),
    some('port unreachable from the client', `icmp.type == 3 && icmp.code == 3 && icmp && ip.dst == 10.0.2.4`),
    some('fragmentation needed, UDP quoted', 'icmp.type == 3 && icmp.code == 4 && udp'),
    some('fragmentation needed, TCP quoted', 'icmp.type == 3 && icmp.code == 4 && tcp'),
    some('host unreachable, TCP quoted', 'icmp.type == 3 && icmp.code == 1 && tcp'),
    some('host unreachable, UDP quoted', 'icmp.type == 3 && icmp.code == 1 && udp'),
    some('time exceeded', 'icmp.type == 11', 2),
  ],
  async record(lab) {
    const { client, server, routers, endpoint } = lab.routed([1500, 1200, 1500]);
    await lab.server(server, 'lab', endpoint, '9000');
    for (const port of ['9001', '9002']) await lab.server(server, 'udp', endpoint, port);
    const route = (...change) => lab.exec(routers[0], 'ip', 'route', ...change, `${endpoint}/32`);
    return during(lab, { ns: client, dev: 'eth0' }, () =>
      lab.tellInSteps(client, ['icmp', endpoint], {
        block: () => route('add', 'unreachable'),
        unblock: () => route('del', 'unreachable'),
      }),
    );
  },
};

const dns = {
  name: 'udp-dns-like',
  title: 'UDP questions and answers',
  about:
    'Two clients (10.0.0.5 and 10.0.0.6) ask two ports of one endpoint, both from the same source ports, twice: eight questions, eight answers, NXDOMAIN among them. Time stamps are in nanoseconds.',
  how: 'One veth pair whose client end has both addresses, captured there with `--time-stamp-precision=nano`.',
  claims: [
    exactly(8, 'questions', 'dns.flags.response == 0'),
    exactly(8, 'answers', 'dns.flags.response == 1'),
    exactly(4, 'questions from the second client', 'ip.src == 10.0.0.6 && dns.flags.response == 0'),
    exactly(4, 'questions to the second port', 'udp.dstport == 5353'),
    exactly(2, 'answers without the name', 'dns.flags.rcode == 3'),
  ],
  async record(lab) {
    const { client, server } = lab.direct();
    lab.exec(client, 'ip', 'address', 'add', '10.0.0.6/16', 'dev', 'eth0');
    for (const port of ['53', '5353']) await lab.server(server, 'dns', ENDPOINT, port);
    return during(lab, { ns: client, dev: 'eth0' }, () => lab.tell(client, 'dns', ENDPOINT), { nanoseconds: true });
  },
};

const overlap = {
  name: 'overlap',
  title: 'Two consumers with the same address',
  about:
    "Two consumer networks, each with a client 10.0.0.5 and an endpoint 10.0.0.4, talk at the same time from the same ports: every packet of one has its twin's 5-tuple in the other. One pcapng, two interfaces, named `red` and `blue`: only the interface tells them apart.",
  how: 'Two veth pairs in namespaces of their own, each captured at its client; the recorder merges the two captures by time stamp into one pcapng.',
  file: 'in.pcapng',
  claims: ['red', 'blue'].flatMap((name, id) => [
    exactly(1, `handshake on ${name}`, `${SYN_ACK} && frame.interface_id == ${id}`),
    some(`data on ${name} says so`, `frame.interface_name == "${name}" && tcp.payload contains "network ${name}"`),
    exactly(2, `UDP on ${name}`, `udp && frame.interface_id == ${id}`),
  ]),
  async record(lab) {
    const networks = ['red', 'blue'];
    const places = networks.map((name) => ({ name, ...lab.direct({ tag: `${name}-` }) }));
    const files = [];
    for (const { name, client, server } of places) {
      await lab.server(server, 'lab', ENDPOINT, '9000');
      await lab.server(server, 'udp', ENDPOINT, '9001');
      files.push(await lab.capture(client, 'eth0', { name }));
    }
    await Promise.all(places.map(({ name, client }) => lab.tell(client, 'overlap', ENDPOINT, name)));
    await lab.stopCaptures();
    return writePcapng(networks.map((name, n) => ({ name, capture: readPcap(lab.read(files[n])) })));
  },
};

const bigTcp = {
  name: 'big-tcp',
  title: 'BIG TCP: packets above 64 KiB',
  about:
    "A download and an upload with IPv4 BIG TCP: super-packets longer than an IPv4 total length can tell, which is therefore 0 in them; the capture's record gives the length. Checksums are partial, as in `gso`.",
  how: 'One veth pair with all offloads on and a GSO size of 128 KiB (`IFLA_GSO_IPV4_MAX_SIZE`), captured at the client.',
  offload: true,
  claims: [some('frames above 64 KiB', 'frame.len > 65549', 2)],
  check(frames) {
    const zero = frames.filter(({ octets }) => octets.readUInt16BE(16) === 0);
    return [
      { says: 'frames cut short', found: frames.filter(isCut).length, exactly: 0 },
      { says: 'IP total length 0', found: zero.length, atLeast: 2 },
      { says: 'of them with a partial checksum', found: zero.filter(hasPartialChecksum).length, atLeast: 2 },
    ];
  },
  async record(lab) {
    const places = lab.direct({ offload: true });
    for (const [ns, to] of [
      [places.client, ENDPOINT],
      [places.server, CLIENT],
    ]) {
      await lab.allowBigTcp(ns, 'eth0', 131072);
      lab.sysctl(ns, { 'net.ipv4.tcp_rmem': '4096 1048576 4194304', 'net.ipv4.tcp_wmem': '4096 1048576 4194304' });
      lab.exec(ns, 'ip', 'route', 'add', `${to}/32`, 'dev', 'eth0', 'initcwnd', '128', 'initrwnd', '256');
    }
    const args = ['--down', '80000', '--up', '90000'];
    const tap = { ns: places.client, dev: 'eth0', options: { immediate: false } };
    return labStory(lab, places, tap, 'big-tcp', { args });
  },
};

const loopback = {
  name: 'loopback',
  title: 'A host that talks to itself',
  about:
    "Client and server on one host, captured on the loopback interface: once over 127.0.0.1, once over the host's own address 10.0.0.5. Source and destination address are equal, so only the ports tell the directions apart; checksums are partial, since no wire is ever reached.",
  how: 'One namespace, captured on `lo` (Ethernet framing with empty addresses).',
  offload: true,
  claims: [
    some('packets whose addresses are equal', 'ip.src == ip.dst', 20),
    none('other packets', 'ip.src != ip.dst'),
    exactly(2, 'handshakes', SYN_ACK),
    exactly(4, 'UDP packets', 'udp'),
  ],
  check: (frames) => [{ says: 'partial checksums', found: frames.filter(hasPartialChecksum).length, atLeast: 20 }],
  async record(lab) {
    const host = lab.namespace('host');
    const addresses = ['127.0.0.1', CLIENT];
    lab.exec(host, 'ip', 'address', 'add', `${CLIENT}/32`, 'dev', 'lo');
    for (const address of addresses) {
      await lab.server(host, 'lab', address, '9000');
      await lab.server(host, 'udp', address, '9001');
    }
    return during(lab, { ns: host, dev: 'lo' }, async () => {
      for (const address of addresses) await lab.tell(host, 'plain', address);
    });
  },
};

const cut = {
  name: 'cut',
  title: 'Packets cut short by the capture',
  about:
    'The same little talk as in `cooked`, captured with a snapshot length of 90 octets: headers are whole, with 24 octets of payload at most; the rest of each packet was never written.',
  how: 'One veth pair, captured at the client with `-s 90`.',
  claims: [
    some('packets cut short', 'frame.cap_len < frame.len', 6),
    some('whole packets', 'frame.cap_len == frame.len', 6),
    none('packets of more than 90 octets', 'frame.cap_len > 90'),
    exactly(1, 'handshake', SYN_ACK),
  ],
  record(lab) {
    const places = lab.direct();
    const tap = { ns: places.client, dev: 'eth0', options: { snapLength: 90 } };
    return labStory(lab, places, tap, 'plain', { udp: ['9001'] });
  },
};

const cooked = {
  name: 'cooked',
  title: 'All interfaces at once, the older cooked framing',
  about:
    'What `tcpdump -i any` writes with the first Linux cooked link layer (LINUX_SLL, 16 octets), taken at the client.',
  how: "One veth pair, captured with `-i any -y LINUX_SLL` in the client's namespace.",
  claims: [
    some('frames of link type LINUX_SLL', 'sll', 15),
    none('frames of another link type', '!sll'),
    exactly(1, 'handshake', SYN_ACK),
    exactly(2, 'UDP packets', 'udp'),
  ],
  record(lab) {
    const places = lab.direct();
    const tap = { ns: places.client, dev: 'any', options: { linkType: 'LINUX_SLL' } };
    return labStory(lab, places, tap, 'plain', { udp: ['9001'] });
  },
};

const twice = {
  name: 'twice',
  title: 'Every packet captured twice',
  about:
    'What `tcpdump -i any` sees on a bridge: each packet as it comes in by one port and again as it leaves by the other, octet for octet the same. The link layer is LINUX_SLL2, which names the port.',
  how: 'Client and server on a Linux bridge in a namespace of its own, captured there with `-i any`.',
  claims: [
    none('frames of another link type', '!sll'),
    exactly(2, 'copies of the SYN', SYN),
    exactly(2, 'copies of the SYN-ACK', SYN_ACK),
    exactly(4, 'copies of two UDP packets', 'udp'),
  ],
  record(lab) {
    const { client, server, bridge } = lab.bridged();
    return labStory(lab, { client, server }, { ns: bridge, dev: 'any' }, 'plain', { udp: ['9001'] });
  },
};

export const packets = [fragments, fragmentsTcp, gso, bigTcp, icmp, dns, overlap, loopback, cooked, twice, cut];
