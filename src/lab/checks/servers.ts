/** Each real server sees the consumer's address and port and the LINKID. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { mariadb, MARIADB_USER } from '../servers/mariadb.js';
import { MAIL_LOG, postfix } from '../servers/postfix.js';
import { OUTPUT_LOG } from '../servers/server.js';
import { LONG_NAME, LONG_RECORDS, unbound } from '../servers/unbound.js';
import { BACKEND, ENDPOINT, PORT } from '../topology.js';
import { type Check, eventually, onBoth, type Stage } from './check.js';
import { client, curl } from './clients.js';
import { judge, linkIdOfTlv, parseLine, type Seen } from './judge.js';

/** The answers of nginx and HAProxy: source, destination and, where the server can tell it, the TLV's value. */
function parseAnswer(text: string, encoding: 'latin1' | 'hex'): Seen {
  const [, source, destination, tlv] = /^(\S+) (\S+)(?: (.*))?$/s.exec(text.replace(/\n$/, '')) ?? [];
  assert.ok(source !== undefined && destination !== undefined, `the server answered '${text}'`);
  return { source, destination, ...(tlv === undefined ? {} : { linkId: linkIdOfTlv(Buffer.from(tlv, encoding)) }) };
}

const BANNER_MS = 30_000;

/** Waits for a line of a server's log. */
async function logged({ lab }: Stage, server: string, file: string, pattern: RegExp): Promise<string> {
  const log = path.join(lab.folderOf(server), file);
  let found: RegExpExecArray | null = null;
  await eventually(() => (found = existsSync(log) ? pattern.exec(readFileSync(log, 'latin1')) : null) !== null);
  const match = found as RegExpExecArray | null;
  assert.ok(match !== null, `${log} has no line that matches ${String(pattern)}`);
  return match[1]!;
}

export const serverChecks: readonly Check[] = [
  onBoth('LINKID server, curl', async (stage, who) => {
    const answer = await curl(stage, who, `http://${ENDPOINT.main}:${PORT.linkId.frontend}/`, '--http0.9');
    return judge(stage, who, PORT.linkId.frontend, parseLine(answer));
  }),

  onBoth('nginx HTTP, curl', async (stage, who) => {
    const answer = await curl(stage, who, `http://${ENDPOINT.main}/`);
    return judge(stage, who, PORT.http.frontend, parseAnswer(answer, 'latin1'));
  }),

  onBoth('nginx TLS, curl', async (stage, who) => {
    const connect = ['--connect-to', `lab.test:443:${ENDPOINT.main}:443`, '--cacert', stage.lab.certificate];
    const answer = await curl(stage, who, 'https://lab.test/', ...connect);
    return judge(stage, who, PORT.https.frontend, parseAnswer(answer, 'latin1'));
  }),

  onBoth('nginx TLS, openssl s_client', async (stage, who) => {
    const connect = ['-connect', `${ENDPOINT.main}:443`, '-servername', 'lab.test'];
    const verify = ['-CAfile', stage.lab.certificate, '-verify_hostname', 'lab.test', '-verify_return_error'];
    const answer = await client(stage, who, ['openssl', 's_client', ...connect, ...verify, '-quiet', '-ign_eof'], {
      input: 'GET / HTTP/1.0\r\nHost: lab.test\r\n\r\n',
    });
    return judge(stage, who, PORT.https.frontend, parseAnswer(answer.slice(answer.indexOf('\r\n\r\n') + 4), 'latin1'));
  }),

  onBoth('HAProxy, curl', async (stage, who) => {
    const answer = await curl(stage, who, `http://${ENDPOINT.main}:${PORT.haproxy.frontend}/`);
    return judge(stage, who, PORT.haproxy.frontend, parseAnswer(answer, 'hex'));
  }),

  onBoth('MariaDB, mariadb', async (stage, who) => {
    const login = ['--no-defaults', `--user=${MARIADB_USER.name}`, `--password=${MARIADB_USER.password}`];
    const server = [`--host=${ENDPOINT.main}`, `--port=${PORT.mariadb.frontend}`, '--connect-timeout=30'];
    const query = 'SELECT host FROM information_schema.processlist WHERE id = CONNECTION_ID()';
    const what = ['--batch', '--skip-column-names', '--execute', query];
    const answer = await client(stage, who, [mariadb.name.toLowerCase(), ...login, ...server, ...what]);
    return judge(stage, who, PORT.mariadb.frontend, { source: answer.trim() });
  }),

  onBoth('Postfix, swaks', async (stage, who) => {
    const mail = ['--from', 'lab@lab.test', '--to', 'nobody@lab.test', '--helo', who, '--timeout', '30'];
    const answer = await client(stage, who, ['swaks', '--server', ENDPOINT.main, ...mail]);
    const queued = /queued as (\w+)/.exec(answer)?.[1];
    assert.ok(queued !== undefined, `the mail was not taken:\n${answer}`);
    const from = new RegExp(`${queued}: client=unknown\\[(.*)$`, 'm');
    const source = (await logged(stage, postfix.name, MAIL_LOG, from)).replace(']', '');
    return judge(stage, who, PORT.smtp.frontend, { source });
  }),

  onBoth('banner first, as SSH, curl', async (stage, who) => {
    const url = `telnet://${ENDPOINT.main}:${PORT.ssh.frontend}`;
    const client = stage.lab.processes.start(stage.lab.names.namespace[who], ['curl', '--silent', '--no-buffer', url]);
    let output = '';
    client.stdout!.on('data', (part: Buffer) => (output += part.toString()));
    // Neither end ends it: we do, once the server has spoken.
    await eventually(() => output.includes('\n'), BANNER_MS);
    client.kill('SIGKILL');
    assert.match(output, /^SSH-2\.0-/);
    return judge(stage, who, PORT.ssh.frontend, parseLine(output));
  }),

  onBoth('DNS over TCP, dig', async (stage, who) => {
    const name = `${who}-tcp.lab.test`;
    const answer = await client(stage, who, ['dig', `@${ENDPOINT.main}`, '+tcp', '+tries=1', '+time=20', name, 'TXT']);
    assert.match(answer, /status: NXDOMAIN/);
    const asked = new RegExp(`info: (\\S+) ${name.replaceAll('.', '\\.')}\\. TXT IN`);
    const source = await logged(stage, unbound.name, OUTPUT_LOG, asked);
    return judge(stage, who, PORT.dnsTcp.frontend, { source });
  }),

  onBoth('DNS in fragments, dig', async (stage, who) => {
    const fragments = stage.consumers[who].fragments;
    const ask = ['+notcp', '+ignore', '+bufsize=4096', '+tries=1', '+time=20', LONG_NAME, 'TXT'];
    const answer = await client(stage, who, ['dig', `@${ENDPOINT.main}`, ...ask]);
    assert.equal(answer.match(/TXT\t"/g)?.length ?? 0, LONG_RECORDS, answer);
    const size = Number(/MSG SIZE +rcvd: (\d+)/.exec(answer)?.[1]);
    const count = (): number => fragments.get(ENDPOINT.main) ?? 0;
    assert.ok(await eventually(() => count() >= 3), `the answer of ${size} octets came in ${count()} fragments`);
    return `${LONG_RECORDS} records, ${size} octets in ${count()} fragments`;
  }),

  onBoth('own services, same address', async (stage, who) => {
    const url = `http://${ENDPOINT.own}:${PORT.linkId.frontend}/`;
    const seen = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const line = parseLine(await curl(stage, who, url, '--http0.9'));
        assert.equal(line.backend, BACKEND[who], 'another service answered');
        return judge(stage, who, PORT.linkId.frontend, line, 'own');
      }),
    );
    return `${seen.length} connections, each ${seen[0]!.slice(seen[0]!.indexOf('>') + 2)}, at ${BACKEND[who]}`;
  }),
];
