/** Tags of a virtual network that tell the gateway how to attach it to this machine; ours. */

export const namespaceTag = 'culvert-namespace';
export const deviceTag = 'culvert-device';
export const mtuTag = 'culvert-mtu';
/** Addresses, separated by commas or spaces. */
export const hostTag = 'culvert-hosts';
