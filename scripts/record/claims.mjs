// What the cases are written with: claims about a capture, and the shapes that most recordings share.
// A claim is a display filter of tshark's and how many packets it must find; the recorder fails if one does not hold.

import { CLIENT, ENDPOINT } from './lab.mjs';

export const some = (says, filter, atLeast = 1) => ({ says, filter, atLeast });
export const none = (says, filter) => ({ says: `no ${says}`, filter, exactly: 0 });
export const exactly = (n, says, filter) => ({ says, filter, exactly: n });

export const FROM_CLIENT = `ip.src == ${CLIENT}`;
export const FROM_SERVER = `ip.src == ${ENDPOINT}`;
export const SYN = 'tcp.flags.syn == 1 && tcp.flags.ack == 0';
export const SYN_ACK = 'tcp.flags.syn == 1 && tcp.flags.ack == 1';
export const RST = 'tcp.flags.reset == 1';

/** Captures at `tap` (namespace, interface, perhaps options of the capture) while `story` runs, and gives the capture's octets. */
export async function during(lab, tap, story, options = {}) {
  const file = await lab.capture(tap.ns, tap.dev, { ...tap.options, ...options });
  await story();
  await lab.stopCaptures();
  return lab.read(file);
}

/** The common shape: the lab's TCP server (and UDP server, when `udp`) at the endpoint, one client story. */
export async function labStory(
  lab,
  { client, server },
  tap,
  name,
  { serve = [], udp = [], args = [], endpoint = ENDPOINT } = {},
) {
  await lab.server(server, 'lab', endpoint, '9000', ...serve);
  for (const port of udp) await lab.server(server, 'udp', endpoint, port);
  return during(lab, tap, () => lab.tell(client, name, endpoint, ...args));
}
