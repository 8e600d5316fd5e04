/** From a link's configuration and an endpoint's LINKID to the dialect of its PROXY header. */
import type { Dialect } from '../wire/proxy/index.js';
import { derivedVpcEndpointId, type ProxySpec } from './topology.js';

export function dialectOf(proxy: ProxySpec, linkId: number): Dialect {
  switch (proxy.dialect) {
    case 'azure':
      return { kind: 'azure', linkId };
    case 'aws':
      return { kind: 'aws', endpointId: proxy.endpointId || derivedVpcEndpointId(linkId) };
    case 'gcp':
      return { kind: 'gcp', pscConnectionId: BigInt(linkId) };
    case 'custom':
      return {
        kind: 'custom',
        tlvs: proxy.tlvs.map(({ type, value }) => ({ type, value: Buffer.from(value) })),
        crc32c: proxy.crc32c,
      };
  }
}
