/** MariaDB with `proxy-protocol-networks`. Its server speaks first. */
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CulvertError } from '../../errors.js';
import { userIds } from '../accounts.js';
import { BACKEND, NAT, PORT } from '../topology.js';
import { type Server, tcp } from './server.js';

export const MARIADB_USER = { name: 'lab', password: 'lab' } as const;

export const mariadb: Server = {
  name: 'MariaDB',
  listens: [tcp(BACKEND.main, PORT.mariadb.backend)],
  prepare: async ({ folder, namespace, processes }) => {
    const data = path.join(folder, 'data');
    const account = path.join(folder, 'account.sql');
    writeFileSync(account, `CREATE USER ${MARIADB_USER.name} IDENTIFIED BY '${MARIADB_USER.password}';\n`);
    mkdirSync(data);
    const { uid, gid } = userIds('nobody');
    for (const each of [folder, data, account]) chownSync(each, uid, gid);
    // Small files: a lab's database holds nothing.
    const options = [
      '--no-defaults',
      `--datadir=${data}`,
      '--user=nobody',
      '--innodb-log-file-size=4M',
      `--tmpdir=${folder}`,
    ];
    const install = ['mariadb-install-db', ...options, '--auth-root-authentication-method=normal', '--skip-test-db'];
    const { code, output, errors } = await processes.run(namespace, install, { timeoutMs: 60_000 });
    if (code !== 0) throw new CulvertError('LAB_SERVER_FAILED', `mariadb-install-db: ${output}${errors}`);
    return [
      ...['mariadbd', ...options, `--init-file=${account}`, '--skip-name-resolve', '--innodb-buffer-pool-size=8M'],
      ...[`--bind-address=${BACKEND.main}`, `--port=${PORT.mariadb.backend}`, `--proxy-protocol-networks=${NAT}/32`],
      ...[`--socket=${folder}/mariadb.sock`, `--pid-file=${folder}/mariadb.pid`],
    ];
  },
};
