/** Our own servers, which read the header with the public codec, and iperf3, which knows none. */
import path from 'node:path';
import { packageRoot } from '../../package-root.js';
import { BACKEND, CONSUMERS, IPERF, PORT } from '../topology.js';
import { type Server, tcp } from './server.js';

const own = (name: string, script: string, address: string, port: number): Server => ({
  name,
  listens: [tcp(address, port)],
  prepare: () => [
    process.execPath,
    path.join(packageRoot(), 'dist', 'src', 'lab', `${script}.js`),
    address,
    String(port),
  ],
});

export const linkIdServers = [BACKEND.main, BACKEND.red, BACKEND.blue].map((address) =>
  own(`LINKID server ${address}`, 'linkid-server', address, PORT.linkId.backend),
);

export const bannerServer = own('banner server', 'banner-server', BACKEND.main, PORT.ssh.backend);

export const iperfServers = CONSUMERS.map((who): Server => {
  const port = IPERF[who][0].backend;
  return {
    name: `iperf3 ${port}`,
    listens: [tcp(BACKEND.main, port)],
    prepare: () => ['iperf3', '--server', '--bind', BACKEND.main, '--port', String(port)],
  };
});
