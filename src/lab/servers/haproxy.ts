/** HAProxy with `accept-proxy`, answering with what the header said. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { versionOf } from '../programs.js';
import { BACKEND, PORT } from '../topology.js';
import { type Server, tcp } from './server.js';

/** `fc_pp_tlv` came with 2.9. */
const tellsTlvs = (): boolean => versionOf('haproxy', '-v') >= 2_009_000;

const configuration = (): string => `
global
  user nobody
  group nogroup
defaults
  mode http
  timeout client 30s
  timeout connect 5s
  timeout server 30s
frontend lab
  bind ${BACKEND.main}:${PORT.haproxy.backend} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] %[dst]:%[dst_port]${
    tellsTlvs() ? ' %[fc_pp_tlv(0xEE),hex]' : ''
  }"
`;

export const haproxy: Server = {
  name: 'HAProxy',
  listens: [tcp(BACKEND.main, PORT.haproxy.backend)],
  prepare: ({ folder }) => {
    const file = path.join(folder, 'haproxy.cfg');
    writeFileSync(file, configuration());
    return ['haproxy', '-db', '-f', file];
  },
};
