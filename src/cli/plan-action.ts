/** What `culvert plan` does: read a lab, or ask a gateway, and reckon. */
import type { LabCapacity } from '../config/capacity.js';
import type { Demand } from '../service/capacity.js';
import { EXIT } from './exit-codes.js';
import { UsageError } from './failure.js';
import { lasts, reckon } from './plan-report.js';
import { planText } from './plan-text.js';
import { printReport } from './print.js';

export interface PlanFlags {
  readonly running?: true;
  readonly rate?: number;
  readonly life?: number;
  readonly json?: true;
  readonly runDir?: string;
}

/** @returns the exit code */
export async function plan(lab: string | undefined, flags: PlanFlags): Promise<number> {
  const demand = demandOf(flags);
  const report = reckon(await capacityOf(lab, flags), demand);
  printReport(flags.json === true ? `${JSON.stringify(report, null, 2)}\n` : planText(report));
  return lasts(report) ? EXIT.ok : EXIT.checkFailed;
}

function demandOf({ rate, life }: PlanFlags): Demand | null {
  if ((rate === undefined) !== (life === undefined)) {
    throw new UsageError('--rate and --life go together: so many connections a second, each open so long');
  }
  return rate === undefined || life === undefined ? null : { rate, lifeSeconds: life };
}

async function capacityOf(lab: string | undefined, flags: PlanFlags): Promise<LabCapacity> {
  if (flags.running === true) {
    const { ControlClient, findSocket } = await import('../gateway/control-client.js');
    const client = await ControlClient.connect(findSocket(lab, flags.runDir));
    try {
      return (await client.ask({ command: 'plan' })) as LabCapacity;
    } finally {
      client.close();
    }
  }
  if (lab === undefined) throw new UsageError('name a lab file, or ask a running gateway with --running');
  const [{ loadLab }, { labCapacity }] = await Promise.all([
    import('../config/index.js'),
    import('../config/capacity.js'),
  ]);
  return labCapacity(loadLab(lab));
}
