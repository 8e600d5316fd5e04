/** The server's own certificate: made by openssl on the first start, kept beside the state file. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { isIP } from 'node:net';
import { CulvertError } from '../errors.js';

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

const DAYS = '3650';

/**
 * The certificate in `STATE.crt` with its key in `STATE.key`; both are made if they are not there, so that an own one can
 * be put in their place.
 * @param host what the server listens on, besides localhost
 * @throws CulvertError API_CERTIFICATE
 */
export function certificateFor(state: string, host: string): Certificate {
  const [cert, key] = [`${state}.crt`, `${state}.key`];
  try {
    // With one of the two there, reading the other fails: nobody's key is overwritten.
    if (!existsSync(cert) && !existsSync(key)) make(cert, key, host);
    return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const missing = code === 'ENOENT' && (error as NodeJS.ErrnoException).path === 'openssl';
    const why = missing ? 'openssl is not installed (apt-get install openssl)' : message;
    throw new CulvertError('API_CERTIFICATE', `no certificate at ${cert}: ${why}`, {}, { cause: error });
  }
}

function make(cert: string, key: string, host: string): void {
  const names = new Set(['DNS:localhost', 'IP:127.0.0.1', 'IP:::1']);
  if (host !== '0.0.0.0' && host !== '::') names.add(`${isIP(host) > 0 ? 'IP' : 'DNS'}:${host}`);
  const temporary = [`${cert}.new`, `${key}.new`] as const;
  // The key must never be there with another mode, not even for a moment.
  const mask = process.umask(0o177);
  try {
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-sha256', '-days', DAYS]
        .concat(['-subj', '/CN=culvert', '-addext', `subjectAltName=${[...names].join(',')}`])
        .concat(['-out', temporary[0], '-keyout', temporary[1]]),
      { stdio: ['ignore', 'ignore', 'pipe'], timeout: 30_000 },
    );
    chmodSync(temporary[1], 0o600);
    renameSync(temporary[1], key);
    renameSync(temporary[0], cert);
  } finally {
    process.umask(mask);
    for (const file of temporary) rmSync(file, { force: true });
  }
}
