/** Hashing of flow keys: multiply and xorshift. The seed varies the order of tables; it is no secret from a peer. */

/** Finaliser of MurmurHash3: every input bit reaches every output bit. */
export function mix(h: number): number {
  let x = h ^ (h >>> 16);
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  return x ^ (x >>> 16);
}

/**
 * Hash of a tuple for the flow table: as `tupleHash`, with fewer multiplications, since every packet needs one.
 * @param ports port of `a` << 16 | port of `b`
 */
export function flowHash(a: number, b: number, ports: number, scope: number, seed: number): number {
  let x = Math.imul(a ^ seed, 0x9e3779b1) + Math.imul(ports >>> 16, 0x85ebca77);
  let y = Math.imul(b ^ seed, 0x9e3779b1) + Math.imul(ports & 0xffff, 0x85ebca77);
  x ^= x >>> 15;
  y ^= y >>> 15;
  // Each end is mixed by itself before the sum that forgets which is which.
  x = Math.imul(x, 0xc2b2ae3d);
  y = Math.imul(y, 0xc2b2ae3d);
  let h = (x ^ (x >>> 13)) + (y ^ (y >>> 13)) + Math.imul(scope, 0x27d4eb2f);
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  return h ^ (h >>> 15);
}

/** Hash of one address and port. */
const end = (address: number, port: number, seed: number): number =>
  mix(Math.imul(address, 0x9e3779b1) ^ Math.imul(port + seed, 0x85ebca77));

/**
 * Hash of a tuple that is the same in both directions: one look-up finds a flow whichever end sent the packet.
 * @param scope network and protocol
 */
export const tupleHash = (a: number, aPort: number, b: number, bPort: number, scope: number, seed: number): number =>
  mix((end(a, aPort, seed) + end(b, bPort, seed)) ^ Math.imul(scope + 1, 0xc2b2ae3d));
