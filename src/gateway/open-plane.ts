/** The data plane that a lab asks for. */
import type { LabConfig } from '../config/index.js';
import { optionsOf } from '../replay/settings.js';
import type { DataPlane } from './data-plane.js';
import { LocalPlane } from './local-plane.js';
import type { Machine } from './machine.js';
import { Pump } from './pump.js';
import { WorkerPlane } from './workers/worker-plane.js';

/** @throws CulvertError WORKER_DIED */
export async function openPlane(lab: LabConfig, machine: Machine): Promise<DataPlane> {
  const { topology, settings, gateway } = lab;
  const options = { ...optionsOf(settings), absorbHeaderAck: true };
  if (gateway.workers > 1) return WorkerPlane.start(gateway.workers, topology, options, machine);
  const plane: LocalPlane = new LocalPlane(
    new Pump(topology, options, (port) => plane.events.lost(port.device.name), machine.clock()),
    (plan, offload) => machine.openDevice(plan, offload),
  );
  return plane;
}
