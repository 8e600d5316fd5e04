/**
 * An example to start from: says to each connection whose it is, as the PROXY header at its start tells.
 *
 *   node linkid-server.js ADDRESS PORT
 */
import { createServer } from 'node:net';
import { azureLinkId, ProxyHeaderReader } from '../wire/index.js'; // in a project of yours: 'culvert-net/wire'

const [address, port] = process.argv.slice(2);

const server = createServer((socket) => {
  const reader = new ProxyHeaderReader({ maxLength: 512 });
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    try {
      const header = reader.push(chunk)?.header;
      if (header === undefined) return; // it goes on in the next chunk
      if (header.family !== 'inet') throw new Error('no header of a consumer');
      const [from, to] = [header.source, header.destination].map((end) => `${end.address}:${end.port}`);
      socket.removeAllListeners('data').resume();
      socket.end(`LINKID ${azureLinkId(header)} from ${from} to ${to} at ${socket.localAddress}\n`);
    } catch {
      socket.destroy(); // no header, or a malformed one
    }
  });
});
server.listen(Number(port), address);
