/** The PROXY header of a service as it is written: `enableProxyProtocol` and its `proxyProtocol` section. */
import type { ProxySpec } from '../translate/topology.js';
import type { FindingSink, PropertyPath } from './problem.js';
import { checkProxy } from './proxy-protocol.js';

interface TlvSection {
  readonly type: number;
  readonly hex?: string | undefined;
  readonly text?: string | undefined;
}

interface ProxySection {
  readonly dialect: ProxySpec['dialect'];
  readonly endpointId?: string | undefined;
  readonly tlvs?: readonly TlvSection[] | undefined;
  readonly crc32c?: boolean | undefined;
}

interface ServiceSection {
  readonly enableProxyProtocol: boolean;
  readonly proxyProtocol?: ProxySection | undefined;
}

function value(tlv: TlvSection, path: PropertyPath, findings: FindingSink): Uint8Array {
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
function checkOptions(section: ProxySection, path: PropertyPath, findings: FindingSink): void {
  const owners = { endpointId: 'aws', tlvs: 'custom', crc32c: 'custom' } as const;
  for (const [option, dialect] of Object.entries(owners)) {
    if (section[option as keyof typeof owners] === undefined || section.dialect === dialect) continue;
    const what = `${option} belongs to dialect ${dialect}; the dialect is ${section.dialect}: change one of them`;
    findings.error('PROXY_DIALECT_OPTION', what, [...path, option]);
  }
}

/** Null when the header is off; its section is checked all the same. */
export function resolveProxy(service: ServiceSection, prefix: PropertyPath, findings: FindingSink): ProxySpec | null {
  const path = [...prefix, 'proxyProtocol'];
  const section: ProxySection = service.proxyProtocol ?? { dialect: 'azure' };
  checkOptions(section, path, findings);
  let proxy: ProxySpec;
  if (section.dialect === 'custom') {
    const tlvs = (section.tlvs ?? []).map((tlv, index) => ({
      type: tlv.type,
      value: value(tlv, [...path, 'tlvs', index], findings),
    }));
    proxy = { dialect: 'custom', tlvs, crc32c: section.crc32c ?? false };
  } else if (section.dialect === 'aws') proxy = { dialect: 'aws', endpointId: section.endpointId ?? '' };
  else proxy = { dialect: section.dialect };
  findings.add(path, checkProxy(proxy));
  return service.enableProxyProtocol ? proxy : null;
}
