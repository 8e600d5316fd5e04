import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { repositoryRoot } from '../../support/machine.js';
import { SYN, tcpPacket } from '../../support/packets.js';
import { encode } from '../../../src/wire/index.js';

/** The README's examples, run as they stand there, against the package as it is built. */
describe('README examples', () => {
  const readme = readFileSync(path.join(repositoryRoot, 'README.md'), 'utf8');
  const examples = [...readme.matchAll(/```ts\n(.*?)```/gs)].map((m) => m[1]!);
  let folder = '';

  before(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-readme-'));
    mkdirSync(path.join(folder, 'node_modules'));
    symlinkSync(repositoryRoot, path.join(folder, 'node_modules', 'culvert-net'));
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('are two', () => {
    assert.equal(examples.length, 2);
  });

  it('serve LINKID, and outlive a peer that sends no header', async () => {
    const file = path.join(folder, 'linkid.mjs');
    const free = `${examples[0]!.replace('listen(8080', 'listen(0')}\nserver.on('listening', () => console.log(server.address().port));`;
    writeFileSync(file, free);
    const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const [line] = (await once(child.stdout, 'data')) as [Buffer];
      const port = Number(line.toString());
      const ask = async (octets: Buffer): Promise<string> => {
        const socket = net.connect(port, '127.0.0.1');
        socket.on('error', () => undefined);
        socket.end(octets);
        let text = '';
        socket.setEncoding('utf8').on('data', (d: string) => (text += d));
        await once(socket, 'close');
        return text;
      };
      assert.equal(await ask(Buffer.from('GET / HTTP/1.1\r\n\r\n')), '');
      const header = encode({
        command: 'PROXY',
        family: 'inet',
        transport: 'stream',
        source: { address: '10.0.0.5', port: 40000 },
        destination: { address: '10.9.0.4', port: 443 },
        tlvs: [{ type: 0xee, value: Buffer.from('0144332211', 'hex') }],
      });
      assert.equal(await ask(Buffer.concat([header, Buffer.from('hello')])), `LINKID ${String(0x11223344)}\n`);
    } finally {
      child.kill();
    }
  });

  it('translate a SYN of a lab', () => {
    const lab = path.join(repositoryRoot, 'fixtures', 'labs', 'two-consumers.yaml');
    writeFileSync(path.join(folder, 'lab.yaml'), readFileSync(lab));
    const syn = tcpPacket({ src: '10.0.0.9', dst: '10.0.0.4', sport: 40_000, dport: 80, seq: 1, flags: SYN });
    const run = `
      const sent = [];
      const network = lab.topology.networks.indexOf('red');
      consumerSent(Buffer.from('${syn.toString('hex')}', 'hex'), network, 0, (p, up) => sent.push([up, p.toString('hex')]));
      console.log(JSON.stringify(sent));`;
    writeFileSync(path.join(folder, 'translate.mjs'), examples[1]! + run);
    const out = execFileSync(process.execPath, ['translate.mjs'], { cwd: folder, encoding: 'utf8' });
    const sent = JSON.parse(out) as [boolean, string][];
    assert.equal(sent.length, 1);
    assert.equal(sent[0]![0], true);
    assert.match(sent[0]![1].slice(24, 32), /^0ac801/, 'from a NAT address of 10.200.1.0/24');
  });
});
