/**
 * A server that speaks first, as SSH's does (OpenSSH itself knows no PROXY header): a line with its version, then an echo
 * of all that comes.
 *
 *   node banner-server.js ADDRESS PORT
 */
import { createServer } from 'node:net';
import { azureLinkId, ProxyHeaderReader } from '../wire/index.js';

const [address, port] = process.argv.slice(2);

const server = createServer({ noDelay: true }, (socket) => {
  const reader = new ProxyHeaderReader({ maxLength: 512 });
  const onData = (chunk: Buffer): void => {
    try {
      const read = reader.push(chunk);
      if (read === undefined) return;
      const { header, rest } = read;
      if (header.family !== 'inet') throw new Error('no header of a consumer');
      const [from, to] = [header.source, header.destination].map((end) => `${end.address}:${end.port}`);
      socket.off('data', onData);
      socket.write(`SSH-2.0-culvert LINKID ${azureLinkId(header)} from ${from} to ${to}\r\n`);
      socket.write(rest);
      socket.pipe(socket);
    } catch {
      socket.destroy();
    }
  };
  socket.on('data', onData).on('error', () => socket.destroy());
});
server.listen(Number(port), address);
