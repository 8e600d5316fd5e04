/** The PROXY header of a service: `enableProxyProtocol` and its `proxyProtocol` section. */
import { checkProxy } from '../service/proxy-protocol.js';
import type { PropertyPath } from '../service/problem.js';
import type { ProxySpec } from '../translate/topology.js';
import type { Findings } from './findings.js';
import type { ProxyShape, ServiceShape } from './schema.js';

function value(tlv: NonNullable<ProxyShape['tlvs']>[number], path: PropertyPath, findings: Findings): Uint8Array {
  if ((tlv.hex === undefined) === (tlv.text === undefined)) {
    findings.error('PROXY_TLV_INVALID', 'a TLV has its value in exactly one of hex and text', path);
    return new Uint8Array();
  }
  if (tlv.hex === undefined) return new TextEncoder().encode(tlv.text);
  if (/^([0-9a-f]{2})*$/i.test(tlv.hex)) return Uint8Array.from(Buffer.from(tlv.hex, 'hex'));
  findings.error('PROXY_TLV_INVALID', `'${tlv.hex}' is not pairs of hexadecimal digits, as in 01ff`, [...path, 'hex']);
  return new Uint8Array();
}

/** Options that belong to another dialect would silently do nothing. */
function checkOptions(shape: ProxyShape, path: PropertyPath, findings: Findings): void {
  const owners = { endpointId: 'aws', tlvs: 'custom', crc32c: 'custom' } as const;
  for (const [option, dialect] of Object.entries(owners)) {
    if (shape[option as keyof typeof owners] === undefined || shape.dialect === dialect) continue;
    const what = `${option} belongs to dialect ${dialect}; the dialect is ${shape.dialect}: change one of them`;
    findings.error('PROXY_DIALECT_OPTION', what, [...path, option]);
  }
}

/** Null when the header is off; its section is checked all the same. */
export function resolveProxy(service: ServiceShape, prefix: PropertyPath, findings: Findings): ProxySpec | null {
  const path = [...prefix, 'proxyProtocol'];
  const shape: ProxyShape = service.proxyProtocol ?? { dialect: 'azure' };
  checkOptions(shape, path, findings);
  let proxy: ProxySpec;
  if (shape.dialect === 'custom') {
    const tlvs = (shape.tlvs ?? []).map((tlv, index) => ({
      type: tlv.type,
      value: value(tlv, [...path, 'tlvs', index], findings),
    }));
    proxy = { dialect: 'custom', tlvs, crc32c: shape.crc32c ?? false };
  } else if (shape.dialect === 'aws') proxy = { dialect: 'aws', endpointId: shape.endpointId ?? '' };
  else proxy = { dialect: shape.dialect };
  findings.add(path, checkProxy(proxy));
  return service.enableProxyProtocol ? proxy : null;
}
