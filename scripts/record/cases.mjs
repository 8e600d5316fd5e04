// The cases: what each records, and what its capture is known to hold. A claim is a display filter of
// tshark's and how many packets it must find; the recorder fails if one does not hold.

import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { CLIENT, ENDPOINT } from './lab.mjs';
import { hasPartialChecksum, readPcap, writePcapng } from './pcap.mjs';

const some = (says, filter, atLeast = 1) => ({ says, filter, atLeast });
const none = (says, filter) => ({ says, filter, exactly: 0 });
const exactly = (n, says, filter) => ({ says, filter, exactly: n });

const FROM_CLIENT = `ip.src == ${CLIENT}`;
const FROM_SERVER = `ip.src == ${ENDPOINT}`;
const SYN = 'tcp.flags.syn == 1 && tcp.flags.ack == 0';
const SYN_ACK = 'tcp.flags.syn == 1 && tcp.flags.ack == 1';
const RST = 'tcp.flags.reset == 1';

/** Captures at `tap` while `story` runs, and gives the capture's octets. */
async function during(lab, tap, story, options = {}) {
  const file = await lab.capture(tap.ns, tap.dev, options);
  await story();
  await lab.stopCaptures();
  return lab.read(file);
}

/** The common shape: the lab's TCP server (and UDP server, when `udp`) at the endpoint, one client story. */
async function labStory(
  lab,
  { client, server },
  tap,
  name,
  { serve = [], udp = [], args = [], endpoint = ENDPOINT } = {},
) {
  await lab.server(server, 'serve-lab', endpoint, '9000', ...serve);
  for (const port of udp) await lab.server(server, 'serve-udp', endpoint, port);
  return during(lab, tap, () => lab.peer(client, name, endpoint, ...args));
}

const nginxConfiguration = (root) => `daemon off; master_process off; worker_processes 1;
pid ${root}/pid; error_log stderr;
events { worker_connections 64; }
http {
  access_log off; server_tokens off; etag off;
  client_body_temp_path ${root}/body; proxy_temp_path ${root}/proxy; fastcgi_temp_path ${root}/fastcgi;
  uwsgi_temp_path ${root}/uwsgi; scgi_temp_path ${root}/scgi;
  server { listen ${ENDPOINT}:80; root ${root}/www; location /form { return 204; } }
}
`;

const http = {
  name: 'http',
  title: 'HTTP from curl to nginx',
  about:
    'Three connections: two requests over one that is kept alive, a request with `Connection: close` (the server ends it), and an upload of several segments answered without content.',
  how: 'nginx and curl on one veth pair, captured at the client. All checksums complete, no segment above the MTU.',
  claims: [
    exactly(4, 'requests', 'http.request'),
    exactly(4, 'responses', 'http.response'),
    exactly(2, 'requests on the kept connection', 'http.request && tcp.srcport == 40000'),
    some('the client asks for the close', 'http.request && http.connection == "close"'),
    some('the server is first to close', `${FROM_SERVER} && tcp.flags.fin == 1 && tcp.dstport == 40001`),
    exactly(3, 'handshakes', SYN_ACK),
  ],
  async record(lab) {
    const { client, server } = lab.direct();
    const root = path.join(lab.scratch, 'nginx');
    mkdirSync(path.join(root, 'www'), { recursive: true });
    writeFileSync(path.join(root, 'www', 'index.html'), '<h1>culvert</h1>\n');
    writeFileSync(path.join(root, 'www', 'page.txt'), 'a line of thirty-two characters\n'.repeat(250));
    writeFileSync(path.join(root, 'nginx.conf'), nginxConfiguration(root));
    // nginx serves without root's rights, so it must be able to read what is served.
    execFileSync('chmod', ['-R', 'a+rX', lab.scratch]);
    await lab.start(server, ['nginx', '-c', path.join(root, 'nginx.conf')], '');
    await lab.waitForListener(server, 80);
    const site = `http://${ENDPOINT}`;
    const curl = (port, ...rest) => lab.run(client, ['curl', '-sS', '--max-time', '10', '--local-port', port, ...rest]);
    return during(lab, { ns: client, dev: 'eth0' }, async () => {
      await curl('40000', `${site}/`, `${site}/page.txt`);
      await curl('40001', '-H', 'Connection: close', `${site}/page.txt`);
      await curl('40002', '--data', 'field='.padEnd(6000, 'v'), `${site}/form`);
    });
  },
};

const serverFirst = {
  name: 'server-first',
  title: 'The server speaks first',
  about:
    'An SMTP-like dialogue (greeting, EHLO, QUIT) and a service that greets and closes while the client never sends an octet. A header that waits for client data never comes here.',
  how: 'Two small servers on one veth pair, captured at the client.',
  claims: [
    exactly(
      1,
      'the greeting is the first data of its connection',
      `${FROM_SERVER} && tcp.port == 40000 && tcp.seq == 1 && tcp.len > 0 && tcp.ack == 1`,
    ),
    some('the client answers', `${FROM_CLIENT} && tcp.payload contains "QUIT"`),
    none('data from the client of the silent connection', `${FROM_CLIENT} && tcp.port == 40001 && tcp.len > 0`),
    exactly(1, 'data to the silent client', `${FROM_SERVER} && tcp.port == 40001 && tcp.len > 0`),
  ],
  async record(lab) {
    const { client, server } = lab.direct();
    await lab.server(server, 'serve-smtp', ENDPOINT, '25');
    await lab.server(server, 'serve-greeting', ENDPOINT, '13');
    return during(lab, { ns: client, dev: 'eth0' }, () => lab.peer(client, 'server-first', ENDPOINT));
  },
};

const SACK_FROM_SERVER = `${FROM_SERVER} && tcp.options.sack_le`;
const SACK_FROM_CLIENT = `${FROM_CLIENT} && tcp.options.sack_le`;

const lossReorder = {
  name: 'loss-reorder',
  title: 'Loss, reordering and duplication, seen by the client',
  about: [
    'Six connections over a faulty wire: the handshake ACK lost while the client stays silent (the server repeats its SYN-ACK), the first data lost, both lost, the SYN-ACK lost, then a download and an upload under random faults.',
    'The capture is at the client, so its own segments appear in the order and number in which it sent them.',
  ].join('\n\n'),
  how: 'One wire process between the two veth ends (`scripts/record/wire.py`), its choices seeded. What the kernels make of them depends on their timing, so a new recording differs in detail; the claims below must hold for each.',
  claims: [
    some('the SYN-ACK comes again to a silent client', `${SYN_ACK} && tcp.port == 40001`, 2),
    some('the first data comes again', `${FROM_CLIENT} && tcp.port == 40002 && tcp.seq == 1 && tcp.len > 0`, 2),
    some(
      'the data that carries the lost handshake ACK',
      `${FROM_CLIENT} && tcp.port == 40003 && tcp.seq == 1 && tcp.len > 0`,
    ),
    some('the SYN comes again', `${SYN} && tcp.port == 40004`, 2),
    some('SACK from the server', SACK_FROM_SERVER, 3),
    some('SACK from the client', SACK_FROM_CLIENT, 3),
    some('D-SACK from the server', `${FROM_SERVER} && tcp.options.sack.dsack_le`),
    some('D-SACK from the client', `${FROM_CLIENT} && tcp.options.sack.dsack_le`),
    some('retransmissions', 'tcp.analysis.retransmission', 5),
    some('segments out of order', 'tcp.analysis.out_of_order'),
    some('TCP timestamps', 'tcp.options.timestamp.tsval', 100),
  ],
  async record(lab) {
    const faults = { loss: 0.03, duplicate: 0.03, late: 0.04, lateMs: 8 };
    const deliberate = [
      { direction: 'a2b', port: 40001, kind: 'ack', action: 'drop' },
      { direction: 'a2b', port: 40002, kind: 'data', action: 'drop' },
      { direction: 'a2b', port: 40003, kind: 'ack', action: 'drop' },
      { direction: 'a2b', port: 40003, kind: 'data', action: 'drop' },
      { direction: 'b2a', port: 40004, kind: 'syn-ack', action: 'drop' },
      { direction: 'a2b', port: 40006, kind: 'data', action: 'duplicate', skip: 2 },
      { direction: 'b2a', port: 40005, kind: 'data', action: 'duplicate', skip: 2 },
    ];
    const places = await lab.wired([{ seed: 1, delayMs: 2, a2b: faults, b2a: faults, script: deliberate }]);
    return labStory(lab, places, places.taps[0], 'loss-reorder', { args: ['--down', '80000', '--up', '70000'] });
  },
};

const gatewayView = {
  name: 'gateway-view',
  title: 'Loss and reordering, seen half-way',
  about: [
    'What a gateway between client and server receives: client segments lost, repeated and out of order before they reach it, and more of the same behind it.',
    'Eight connections: the handshake ACK lost behind the tap, lost before the tap (data is the first thing seen), the first flight out of order, the first data twice, a bare FIN as the first thing, the SYN-ACK lost before the client, and a download and an upload under random faults on both sides.',
  ].join('\n\n'),
  how: 'Two wire processes with the capture on the link between them, their choices seeded (see `loss-reorder`).',
  claims: [
    some('the SYN-ACK passes again for a silent client', `${SYN_ACK} && tcp.port == 41001`, 2),
    none(
      'a bare ACK before the first data',
      `${FROM_CLIENT} && tcp.port == 41002 && tcp.flags == 0x010 && tcp.seq == 1 && tcp.len == 0 && tcp.ack == 1`,
    ),
    some(
      'the first data of a flight arrives late',
      `${FROM_CLIENT} && tcp.port == 41003 && tcp.seq == 1 && tcp.len > 0 && (tcp.analysis.out_of_order || tcp.analysis.retransmission)`,
    ),
    some('the first data arrives twice', `${FROM_CLIENT} && tcp.port == 41004 && tcp.seq == 1 && tcp.len > 0`, 2),
    some(
      'a FIN is the first thing from the client',
      `${FROM_CLIENT} && tcp.port == 41005 && tcp.flags.fin == 1 && tcp.seq == 1`,
    ),
    none('an ACK before that FIN', `${FROM_CLIENT} && tcp.port == 41005 && tcp.flags == 0x010 && tcp.ack == 1`),
    some('the SYN-ACK passes twice, the SYN too', `${SYN} && tcp.port == 41006`, 2),
    some(
      'client segments out of order',
      `${FROM_CLIENT} && tcp.port == 41008 && (tcp.analysis.out_of_order || tcp.analysis.retransmission || tcp.analysis.fast_retransmission)`,
      2,
    ),
    some('SACK from the server', SACK_FROM_SERVER, 3),
    some('SACK from the client', SACK_FROM_CLIENT, 3),
    some('D-SACK from the server', `${FROM_SERVER} && tcp.options.sack.dsack_le`),
  ],
  async record(lab) {
    const faults = { loss: 0.02, duplicate: 0.02, late: 0.03, lateMs: 6 };
    const before = [
      { direction: 'a2b', port: 41002, kind: 'ack', action: 'drop' },
      { direction: 'a2b', port: 41003, kind: 'data', action: 'late', ms: 12 },
      { direction: 'a2b', port: 41004, kind: 'data', action: 'duplicate' },
      { direction: 'a2b', port: 41005, kind: 'ack', action: 'drop' },
      { direction: 'b2a', port: 41006, kind: 'syn-ack', action: 'drop' },
    ];
    const behind = [
      { direction: 'a2b', port: 41001, kind: 'ack', action: 'drop' },
      { direction: 'a2b', port: 41008, kind: 'data', action: 'duplicate', skip: 2 },
    ];
    const places = await lab.wired([
      { seed: 2, delayMs: 2, a2b: faults, b2a: faults, script: before },
      { seed: 3, delayMs: 2, a2b: faults, b2a: faults, script: behind },
    ]);
    return labStory(lab, places, places.taps[1], 'gateway-view', { args: ['--down', '50000', '--up', '50000'] });
  },
};

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
    await lab.server(places.server, 'serve-udp', ENDPOINT, '9000');
    return during(lab, places.taps[1], () => lab.peer(places.client, 'fragments', ENDPOINT));
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

const tfo = {
  name: 'tfo',
  title: 'TCP Fast Open',
  about:
    'A cookie request, then two connections whose SYN carries the cookie and data that the server accepts before the handshake is over (RFC 7413).',
  how: '`net.ipv4.tcp_fastopen` = 3 in both namespaces, `MSG_FASTOPEN` at the client, on one veth pair.',
  claims: [
    some('a cookie request', `${SYN} && tcp.options.tfo.request`),
    some('a cookie from the server', `${SYN_ACK} && tcp.options.tfo.cookie`),
    exactly(2, 'SYNs with cookie and data', `${SYN} && tcp.options.tfo.cookie && tcp.len > 0`),
    exactly(2, 'SYN-ACKs that acknowledge the data', `${SYN_ACK} && tcp.ack > 1`),
  ],
  async record(lab) {
    const places = lab.direct();
    for (const ns of [places.client, places.server]) {
      lab.sysctl(ns, { 'net.ipv4.tcp_fastopen': 3, 'net.ipv4.tcp_fastopen_blackhole_timeout_sec': 0 });
    }
    return labStory(lab, places, { ns: places.client, dev: 'eth0' }, 'tfo', { serve: ['--fastopen'] });
  },
};

const mptcp = {
  name: 'mptcp',
  title: 'Multipath TCP',
  about:
    'A connection between two MPTCP sockets (RFC 8684): MP_CAPABLE in the handshake, data-sequence maps on the data; then a plain TCP connection to the same socket.',
  how: 'Linux sockets of protocol IPPROTO_MPTCP on one veth pair, one subflow.',
  claims: [
    exactly(1, 'MP_CAPABLE on the SYN', `${SYN} && tcp.options.mptcp.subtype == 0`),
    exactly(1, 'MP_CAPABLE on the SYN-ACK', `${SYN_ACK} && tcp.options.mptcp.subtype == 0`),
    some('DSS from the client', `${FROM_CLIENT} && tcp.options.mptcp.subtype == 2`, 2),
    some('DSS from the server', `${FROM_SERVER} && tcp.options.mptcp.subtype == 2`, 2),
    none('MPTCP options on the plain connection', 'tcp.port == 40001 && tcp.options.mptcp.subtype'),
  ],
  record(lab) {
    const places = lab.direct();
    return labStory(lab, places, { ns: places.client, dev: 'eth0' }, 'mptcp', { serve: ['--mptcp'] });
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
    await lab.server(server, 'serve-lab', endpoint, '9000');
    for (const port of ['9001', '9002']) await lab.server(server, 'serve-udp', endpoint, port);
    const route = (...change) => lab.exec(routers[0], 'ip', 'route', ...change, `${endpoint}/32`);
    return during(lab, { ns: client, dev: 'eth0' }, () =>
      lab.converse(client, ['icmp', endpoint], {
        block: () => route('add', 'unreachable'),
        unblock: () => route('del', 'unreachable'),
      }),
    );
  },
};

const reset = {
  name: 'reset',
  title: 'Refusals, resets, half-closes',
  about:
    'A refused connection; a client reset straight after the handshake, after data, and with octets unread; a server reset; the client closing its half first and the server first, data still flowing the other way; a connection closed without a word; a listener that closes, so that a later connection to a known port is refused.',
  how: 'One veth pair, captured at the client; resets by SO_LINGER 0.',
  claims: [
    exactly(
      2,
      'refusals',
      `${RST} && ${FROM_SERVER} && tcp.seq == 1 && tcp.ack == 1 && (tcp.port == 40000 || tcp.port == 40009)`,
    ),
    some('RST straight after the handshake', `${RST} && ${FROM_CLIENT} && tcp.port == 40001 && tcp.seq == 1`),
    some('RST after data', `${RST} && ${FROM_CLIENT} && tcp.port == 40002 && tcp.seq > 1`),
    some('RST from the server after data', `${RST} && ${FROM_SERVER} && tcp.port == 40003 && tcp.seq > 1`),
    some("server data after the client's FIN", `${FROM_SERVER} && tcp.port == 40004 && tcp.len > 0`),
    some("client data after the server's FIN", `${FROM_CLIENT} && tcp.port == 40005 && tcp.len >= 1000`),
    none('data on the connection closed without a word', 'tcp.port == 40006 && tcp.len > 0'),
    some('RST for unread octets', `${RST} && ${FROM_CLIENT} && tcp.port == 40007`),
  ],
  async record(lab) {
    const places = lab.direct();
    await lab.server(places.server, 'serve-lab', ENDPOINT, '9002', '--only', '1');
    return labStory(lab, places, { ns: places.client, dev: 'eth0' }, 'reset');
  },
};

const keepalive = {
  name: 'keepalive',
  title: 'Keep-alive and zero-window probes',
  about:
    "Keep-alive probes before any data (their sequence number is the client's ISN) and after it, and a window that closes at the server, then at the client, with the probes that ask for it to open.",
  how: 'One veth pair, captured at the client; TCP_KEEPIDLE and TCP_KEEPINTVL of 1 s, receive buffers of 2 KiB.',
  claims: [
    some('keep-alive at the ISN', `${FROM_CLIENT} && tcp.port == 40000 && tcp.seq == 0 && tcp.flags == 0x010`, 2),
    some('keep-alive after data', `${FROM_CLIENT} && tcp.port == 40000 && tcp.analysis.keep_alive && tcp.seq > 1`),
    some('zero window from the server', `${FROM_SERVER} && tcp.window_size_value == 0 && tcp.flags.reset == 0`),
    some('zero window from the client', `${FROM_CLIENT} && tcp.window_size_value == 0 && tcp.flags.reset == 0`),
    some(
      'window probe from the client',
      `${FROM_CLIENT} && tcp.port == 40001 && (tcp.analysis.zero_window_probe || tcp.analysis.keep_alive)`,
    ),
    some(
      'window probe from the server',
      `${FROM_SERVER} && tcp.port == 40002 && (tcp.analysis.zero_window_probe || tcp.analysis.keep_alive)`,
    ),
  ],
  async record(lab) {
    const places = lab.direct();
    await lab.server(places.server, 'serve-lab', ENDPOINT, '9001', '--rcvbuf', '2048');
    return labStory(lab, places, { ns: places.client, dev: 'eth0' }, 'keepalive');
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
    for (const port of ['53', '5353']) await lab.server(server, 'serve-dns', ENDPOINT, port);
    return during(lab, { ns: client, dev: 'eth0' }, () => lab.peer(client, 'dns', ENDPOINT), { nanoseconds: true });
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
      await lab.server(server, 'serve-lab', ENDPOINT, '9000');
      await lab.server(server, 'serve-udp', ENDPOINT, '9001');
      files.push(await lab.capture(client, 'eth0', { name }));
    }
    await Promise.all(places.map(({ name, client }) => lab.peer(client, 'overlap', ENDPOINT, name)));
    await lab.stopCaptures();
    return writePcapng(networks.map((name, n) => ({ name, capture: readPcap(lab.read(files[n])) })));
  },
};

export const cases = [
  http,
  serverFirst,
  lossReorder,
  gatewayView,
  fragments,
  fragmentsTcp,
  tfo,
  mptcp,
  gso,
  icmp,
  reset,
  keepalive,
  dns,
  overlap,
];
