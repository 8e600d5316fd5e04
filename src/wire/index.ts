/** The door to `culvert-net/wire`: headers as offsets and accessors, checksums, link layers, and the PROXY codec. */
export * as checksum from './checksum.js';
export * as icmp from './icmp.js';
export * as ipv4 from './ipv4.js';
export * as link from './link.js';
export * as seq from './seq.js';
export * as tcp from './tcp.js';
export * as udp from './udp.js';
export * as virtioNet from './virtio-net.js';
export * from './address.js';
export * from './proxy/index.js';
