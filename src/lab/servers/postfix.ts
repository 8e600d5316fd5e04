/**
 * Postfix with `smtpd_upstream_proxy_protocol`, its configuration, queue and data in the lab's folder. Its server speaks
 * first. Mail is taken and thrown away.
 */
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { userIds } from '../accounts.js';
import { BACKEND, PORT } from '../topology.js';
import { type Server, tcp } from './server.js';

export const MAIL_LOG = 'mail.log';

// No name is ever looked up: there is no name server in the namespace, and nothing to find.
const main = (folder: string): string => `
compatibility_level = 3.6
config_directory = ${folder}/etc
queue_directory = ${folder}/queue
data_directory = ${folder}/data
maillog_file = ${folder}/${MAIL_LOG}
maillog_file_prefixes = ${folder}
myhostname = mail.lab.test
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
mynetworks = 127.0.0.0/8
relay_domains = lab.test
default_transport = discard
relay_transport = discard
disable_dns_lookups = yes
inet_interfaces = ${BACKEND.main}
inet_protocols = ipv4
smtpd_peername_lookup = no
smtpd_client_port_logging = yes
smtpd_upstream_proxy_protocol = haproxy
smtpd_recipient_restrictions = reject_unauth_destination
smtpd_relay_restrictions = reject_unauth_destination
`;

const master = (): string => `
${BACKEND.main}:${PORT.smtp.backend} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`;

export const postfix: Server = {
  name: 'Postfix',
  listens: [tcp(BACKEND.main, PORT.smtp.backend)],
  prepare: ({ folder }) => {
    for (const each of ['etc', 'queue', 'data']) mkdirSync(path.join(folder, each));
    const { uid, gid } = userIds('postfix');
    chownSync(path.join(folder, 'data'), uid, gid);
    writeFileSync(path.join(folder, 'etc', 'main.cf'), main(folder));
    writeFileSync(path.join(folder, 'etc', 'master.cf'), master());
    return ['postfix', '-c', path.join(folder, 'etc'), 'start-fg'];
  },
};
