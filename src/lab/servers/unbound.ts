/**
 * Unbound with an answer longer than an Ethernet frame. Datagrams carry no PROXY header; over TCP it comes on a
 * `proxy-protocol-port`, and the log of questions tells who asked.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { BACKEND, PORT } from '../topology.js';
import { type Server, tcp } from './server.js';

export const LONG_NAME = 'long.lab.test';
/** TXT records at that name, of 250 octets each: more than two datagrams of 1500 octets. */
export const LONG_RECORDS = 14;

const configuration = (folder: string): string => `
server:
  do-daemonize: no
  username: nobody
  chroot: ""
  directory: "${folder}"
  pidfile: "${folder}/unbound.pid"
  use-syslog: no
  logfile: ""
  log-queries: yes
  num-threads: 1
  do-ip6: no
  interface: ${BACKEND.main}@${PORT.dnsUdp.backend}
  interface: ${BACKEND.main}@${PORT.dnsTcp.backend}
  proxy-protocol-port: ${PORT.dnsTcp.backend}
  access-control: 0.0.0.0/0 allow
  module-config: "iterator"
  edns-buffer-size: 4096
  max-udp-size: 4096
  local-zone: "lab.test." static
${Array.from({ length: LONG_RECORDS }, (_, i) => `  local-data: '${LONG_NAME}. 60 TXT "${String(i).padStart(250, '.')}"'`).join('\n')}
remote-control:
  control-enable: no
`;

export const unbound: Server = {
  name: 'Unbound',
  listens: [
    { address: BACKEND.main, port: PORT.dnsUdp.backend, protocol: 'udp' },
    tcp(BACKEND.main, PORT.dnsTcp.backend),
  ],
  prepare: ({ folder }) => {
    const file = path.join(folder, 'unbound.conf');
    writeFileSync(file, configuration(folder));
    return ['unbound', '-d', '-p', '-c', file];
  },
};
