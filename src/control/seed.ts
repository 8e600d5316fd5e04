/** The first resources of an empty state: those of a lab file, as documents. */
import type { LabConfig } from '../config/index.js';
import type { Log } from '../gateway/log.js';
import { documentsOf } from '../service/arm/from-model.js';
import { machineDraw } from './call.js';
import type { ResourceManager } from './manager.js';

/**
 * Once a state holds resources they are what counts: the lab file then gives the settings alone.
 * @throws Refusal for a lab whose resources cannot be held
 */
export async function seed(manager: ResourceManager, lab: LabConfig, log: Log): Promise<void> {
  const there = manager.documents.size;
  if (there > 0) {
    log.info('the resources are those of the state file; the lab file gives the settings alone', { resources: there });
    return;
  }
  const put = documentsOf(lab.model, lab.gateway.networks, machineDraw);
  await manager.change(() => ({ put, remove: [] }));
  log.info('the resources of the lab file are in the state now', { resources: put.length });
}
