/** From documents to a lab that a gateway runs: the same model, topology and settings that a lab file becomes. */
import { compileTopology } from '../config/compile.js';
import { resolveGateway } from '../config/gateway.js';
import type { AttachmentShape } from '../config/gateway.js';
import type { LabConfig } from '../config/index.js';
import { parseLab } from '../config/index.js';
import { CulvertError } from '../errors.js';
import { allOf } from '../service/arm/documents.js';
import type { Documents } from '../service/arm/documents.js';
import { Verdict } from '../service/arm/judge.js';
import type { Judged } from '../service/arm/judge.js';
import { keyOf } from '../service/arm/resource-id.js';
import { hostTag, mtuTag, namespaceTag } from '../service/arm/tags.js';
import { deviceOf } from '../service/arm/virtual-network.js';

const DEFAULT_MTU = 1500;

/** What is not a resource: translation, and the gateway's own settings. */
export type LabBase = Omit<LabConfig, 'model' | 'topology' | 'warnings'>;

/** The settings without a lab file. */
export const defaultBase = (): LabBase => parseLab('virtualNetworks: {}', 'defaults');

/** How each network is attached to this machine, as its tags say. */
function attachments(documents: Documents): Record<string, AttachmentShape> {
  return Object.fromEntries(
    allOf(documents, 'virtualNetworks').map((network): [string, AttachmentShape] => {
      const { id, tags = {} } = network;
      return [
        keyOf(id),
        {
          namespace: tags[namespaceTag],
          device: deviceOf(network),
          mtu: tags[mtuTag] === undefined ? DEFAULT_MTU : Number(tags[mtuTag]),
          hosts: (tags[hostTag] ?? '').split(/[\s,]+/).filter((text) => text !== ''),
        },
      ];
    }),
  );
}

/** @throws Refusal for tags that say what cannot be */
export function labOf({ documents, model, warnings }: Judged, base: LabBase): LabConfig {
  const verdict = new Verdict(documents);
  const { metricsPort, socket, offload } = base.gateway;
  const section = { ...base.gateway, metricsPort: metricsPort ?? undefined, socket: socket ?? undefined, offload };
  const gateway = { ...base.gateway, ...resolveGateway(section, attachments(documents), model, verdict) };
  verdict.throwErrors();
  return {
    ...base,
    model,
    gateway,
    topology: compileTopology(model, base.settings),
    warnings: warnings.map(
      ({ code, message, target }) => new CulvertError(code, message, target === undefined ? {} : { path: target }),
    ),
  };
}
