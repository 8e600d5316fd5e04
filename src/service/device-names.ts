/** What the interfaces of networks are called. */

/** What Linux allows. */
export const maxDeviceOctets = 15;

/** Of a network alone: `cv-NAME` cut to what fits. */
export const defaultDevice = (network: string): string => `cv-${network}`.slice(0, maxDeviceOctets);

/**
 * The interface of each network: as written, else its default, numbered where two would be one.
 *
 * @param networks the names that are written, by the network's name, or by its id in lower case
 */
export function deviceNames(networks: ReadonlyMap<string, string | undefined>): Map<string, string> {
  const names = new Map<string, string>();
  const used = new Set<string>([...networks.values()].flatMap((device) => device ?? []));
  for (const [network, device] of networks) {
    const label = network.slice(network.lastIndexOf('/') + 1);
    let name = device ?? defaultDevice(label);
    for (let n = 2; device === undefined && used.has(name); n++) {
      const end = `-${String(n)}`;
      name = defaultDevice(label).slice(0, maxDeviceOctets - end.length) + end;
    }
    used.add(name);
    names.set(network, name);
  }
  return names;
}
