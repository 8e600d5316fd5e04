/** nginx with `proxy_protocol`: HTTP and TLS, each answering with what the header said. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { versionOf } from '../programs.js';
import { BACKEND, PORT } from '../topology.js';
import { type Server, tcp } from './server.js';

/** `$proxy_protocol_tlv_` came with 1.23.2. */
const tellsTlvs = (): boolean => versionOf('nginx', '-v') >= 1_023_002;

const configuration = (folder: string, certificate: string, key: string): string => `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  server {
    listen ${BACKEND.main}:${PORT.http.backend} proxy_protocol;
    listen ${BACKEND.main}:${PORT.https.backend} ssl proxy_protocol;
    ssl_certificate ${certificate};
    ssl_certificate_key ${key};
    location / {
      return 200 "$proxy_protocol_addr:$proxy_protocol_port $proxy_protocol_server_addr:$proxy_protocol_server_port${
        tellsTlvs() ? ' $proxy_protocol_tlv_0xEE' : ''
      }\\n";
    }
  }
}
`;

export const nginx: Server = {
  name: 'nginx',
  listens: [tcp(BACKEND.main, PORT.http.backend), tcp(BACKEND.main, PORT.https.backend)],
  prepare: ({ folder, certificate, key }) => {
    const file = path.join(folder, 'nginx.conf');
    writeFileSync(file, configuration(folder, certificate, key));
    return ['nginx', '-c', file, '-p', folder, '-e', path.join(folder, 'error.log')];
  },
};
