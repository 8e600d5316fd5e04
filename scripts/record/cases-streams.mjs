// Cases about TCP streams: who speaks first, what is lost, how connections begin and end.

import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { FROM_CLIENT, FROM_SERVER, RST, SYN, SYN_ACK, during, exactly, labStory, none, some } from './claims.mjs';
import { CLIENT, ENDPOINT } from './lab.mjs';

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
    await lab.server(server, 'smtp', ENDPOINT, '25');
    await lab.server(server, 'greeting', ENDPOINT, '13');
    return during(lab, { ns: client, dev: 'eth0' }, () => lab.tell(client, 'server-first', ENDPOINT));
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
    'Ten connections: the handshake ACK lost behind the tap, lost before the tap (data is the first thing seen), the first flight out of order, the first data twice, a bare FIN as the first thing, the SYN-ACK lost before the client, a server that speaks first to a silent client whose handshake ACK is lost behind the tap or twice before it, and a download and an upload under random faults on both sides.',
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
    some('the SYN-ACK passes again, then the greeting', `${SYN_ACK} && tcp.port == 41009`, 2),
    some('three SYN-ACKs until a client ACK passes', `${SYN_ACK} && tcp.port == 41010`, 3),
    some('a greeting to a client that says nothing', `${FROM_SERVER} && tcp.port == 41010 && tcp.len > 0`),
    none('data of the silent clients', `${FROM_CLIENT} && tcp.dstport == 13 && tcp.len > 0`),
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
      { direction: 'a2b', port: 41010, kind: 'ack', action: 'drop', times: 2 },
    ];
    const behind = [
      { direction: 'a2b', port: 41001, kind: 'ack', action: 'drop' },
      { direction: 'a2b', port: 41009, kind: 'ack', action: 'drop' },
      { direction: 'a2b', port: 41008, kind: 'data', action: 'duplicate', skip: 2 },
    ];
    const places = await lab.wired([
      { seed: 2, delayMs: 2, a2b: faults, b2a: faults, script: before },
      { seed: 3, delayMs: 2, a2b: faults, b2a: faults, script: behind },
    ]);
    await lab.server(places.server, 'greeting', ENDPOINT, '13');
    return labStory(lab, places, places.taps[1], 'gateway-view', { args: ['--down', '50000', '--up', '50000'] });
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
    await lab.server(places.server, 'lab', ENDPOINT, '9002', '--only', '1');
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
    await lab.server(places.server, 'lab', ENDPOINT, '9001', '--rcvbuf', '2048');
    return labStory(lab, places, { ns: places.client, dev: 'eth0' }, 'keepalive');
  },
};

const options = {
  name: 'options',
  title: 'Bare TCP headers, ECN, urgent data',
  about:
    'A connection without timestamps, SACK or window scaling, so that most of its segments have a TCP header of 20 octets; one that negotiates ECN (ECE and CWR on the SYN); and one whose first octet is urgent, sent before anything else.',
  how: 'One veth pair, captured at the client; the recorder sets `tcp_timestamps`, `tcp_sack`, `tcp_window_scaling` and `tcp_ecn` of the client between the connections.',
  claims: [
    exactly(1, 'SYN with an MSS and no other option', `${SYN} && tcp.port == 40000 && tcp.hdr_len == 24`),
    some('data without TCP options', 'tcp.port == 40000 && tcp.len > 0 && tcp.hdr_len == 20', 4),
    exactly(1, 'ECN asked for', `${SYN} && tcp.flags.ece == 1 && tcp.flags.cwr == 1 && tcp.port == 40001`),
    exactly(1, 'ECN granted', `${SYN_ACK} && tcp.flags.ece == 1 && tcp.port == 40001`),
    some('data with an ECN-capable mark', 'tcp.port == 40001 && tcp.len > 0 && ip.dsfield.ecn == 2', 2),
    exactly(
      1,
      'urgent first octet',
      `${FROM_CLIENT} && tcp.port == 40002 && tcp.seq == 1 && tcp.flags.urg == 1 && tcp.len == 1`,
    ),
    some('urgent data later', `${FROM_CLIENT} && tcp.port == 40002 && tcp.seq > 1 && tcp.flags.urg == 1`),
  ],
  async record(lab) {
    const { client, server } = lab.direct();
    await lab.server(server, 'lab', ENDPOINT, '9000');
    const bare = (on) => ({
      'net.ipv4.tcp_timestamps': on,
      'net.ipv4.tcp_sack': on,
      'net.ipv4.tcp_window_scaling': on,
    });
    const steps = {
      plain: () => lab.sysctl(client, bare(0)),
      ecn: () => lab.sysctl(client, { ...bare(1), 'net.ipv4.tcp_ecn': 1 }),
    };
    return during(lab, { ns: client, dev: 'eth0' }, () => lab.tellInSteps(client, ['options', ENDPOINT], steps));
  },
};

const reuse = {
  name: 'reuse',
  title: 'One 5-tuple, four connections',
  about:
    'The client connects four times from the same port to the same port: after the server closed first (its TIME_WAIT takes the new SYN), after a client reset, and after the client closed first and a second went by. Each incarnation has a sequence space of its own.',
  how: '`tcp_tw_reuse` = 1 at the client, one veth pair, captured at the client.',
  claims: [
    exactly(4, 'SYNs of one 5-tuple', `${SYN} && tcp.srcport == 40000 && tcp.dstport == 9000`),
    exactly(4, 'SYN-ACKs', SYN_ACK),
    some('a port used again, as tshark sees it', 'tcp.analysis.reused_ports', 2),
    some('the client reset', `${RST} && ${FROM_CLIENT}`),
  ],
  record(lab) {
    const places = lab.direct();
    lab.sysctl(places.client, { 'net.ipv4.tcp_tw_reuse': 1 });
    return labStory(lab, places, { ns: places.client, dev: 'eth0' }, 'reuse');
  },
};

const midstream = {
  name: 'midstream',
  title: 'A capture that begins in the middle',
  about:
    'The first connection was open before the capture began and lives on in it, both ways; the second is whole. Nothing tells where the first stream starts.',
  how: 'One veth pair; the recorder starts the capture at the client while the story waits.',
  claims: [
    none('SYN of the first connection', 'tcp.port == 40000 && tcp.flags.syn == 1'),
    some('client data of the first connection', `${FROM_CLIENT} && tcp.port == 40000 && tcp.len > 0`, 3),
    some('server data of the first connection', `${FROM_SERVER} && tcp.port == 40000 && tcp.len > 0`, 2),
    exactly(1, 'SYN of the second connection', `${SYN} && tcp.port == 40001`),
  ],
  async record(lab) {
    const { client, server } = lab.direct();
    await lab.server(server, 'lab', ENDPOINT, '9000');
    let file;
    const capture = async () => {
      file = await lab.capture(client, 'eth0');
    };
    await lab.tellInSteps(client, ['midstream', ENDPOINT], { capture });
    await lab.stopCaptures();
    return lab.read(file);
  },
};

const simultaneousOpen = {
  name: 'simultaneous-open',
  title: 'Both sides open at once',
  about:
    'Each side connects to the port the other connects from, at the same moment: the SYNs cross, both answer by SYN-ACK, and a connection without a client comes to be (RFC 9293, section 3.5). An ordinary connection to another port follows.',
  how: 'A wire with a delay of 60 ms each way; both sides wait for the same moment of the clock. Captured at the client.',
  claims: [
    some("the client's SYN", `${SYN} && ${FROM_CLIENT} && tcp.srcport == 40100 && tcp.dstport == 9100`),
    some("the server's SYN", `${SYN} && ${FROM_SERVER} && tcp.srcport == 9100 && tcp.dstport == 40100`),
    some("the client's SYN-ACK", `${SYN_ACK} && ${FROM_CLIENT} && tcp.srcport == 40100`),
    some('data from the client', `${FROM_CLIENT} && tcp.port == 9100 && tcp.len > 0`),
    some('data from the server', `${FROM_SERVER} && tcp.port == 9100 && tcp.len > 0`),
  ],
  async record(lab) {
    const { client, server, taps } = await lab.wired([{ seed: 7, delayMs: 60 }]);
    await lab.server(server, 'lab', ENDPOINT, '9000');
    await lab.server(server, 'udp', ENDPOINT, '9001');
    return during(lab, taps[0], async () => {
      const at = ['--at', String(Date.now() + 1500)];
      await Promise.all([
        lab.tell(client, 'simultaneous-open', ENDPOINT, '--local', '40100', '--remote', '9100', ...at),
        lab.tell(server, 'simultaneous-open', CLIENT, '--local', '9100', '--remote', '40100', ...at),
      ]);
      await lab.tell(client, 'plain', ENDPOINT, '--up', '100', '--down', '100');
    });
  },
};

const md5 = {
  name: 'md5',
  title: 'TCP-MD5 signatures',
  about:
    'A connection whose every segment is signed over its addresses, ports and sequence numbers (RFC 2385), as BGP speakers do: no translation of it can be valid. Then an ordinary connection.',
  how: '`TCP_MD5SIG` on both sockets of the first connection, one veth pair, captured at the client.',
  claims: [
    exactly(1, 'signed SYN', `${SYN} && tcp.options.md5`),
    some('signed data', 'tcp.port == 40000 && tcp.len > 0 && tcp.options.md5', 2),
    none('segment of that connection without a signature', 'tcp.port == 40000 && !tcp.options.md5'),
    none('signature on the ordinary connection', 'tcp.port == 40001 && tcp.options.md5'),
  ],
  async record(lab) {
    const places = lab.direct();
    await lab.server(places.server, 'lab', ENDPOINT, '9002', '--md5', CLIENT);
    return labStory(lab, places, { ns: places.client, dev: 'eth0' }, 'md5');
  },
};

export const streams = [
  http,
  serverFirst,
  lossReorder,
  gatewayView,
  tfo,
  mptcp,
  md5,
  options,
  reset,
  reuse,
  simultaneousOpen,
  midstream,
  keepalive,
];
