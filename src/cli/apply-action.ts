/** What `culvert apply` and `culvert export` do. */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { parse, stringify } from 'yaml';
import { CaptureTarget } from '../capture/target.js';
import type { ApiClient, Json } from '../client/api-client.js';
import { planLab } from '../client/lab-plan.js';
import type { LabPlan } from '../client/lab-plan.js';
import { planTemplate } from '../client/template-plan.js';
import { TypedText } from '../client/template/parameters.js';
import { parametersOfFile } from '../client/template/parameters-file.js';
import { isTemplate } from '../client/template/template.js';
import type { Target } from '../client/template/template.js';
import { readState } from '../client/state.js';
import { parseLab } from '../config/index.js';
import { CulvertError } from '../errors.js';
import type { Documents } from '../service/arm/documents.js';
import { labGroup } from '../service/arm/from-model.js';
import { keyOf } from '../service/arm/resource-id.js';
import { labOf } from '../service/arm/to-lab.js';
import type { Effect } from '../service/arm/steps.js';
import { clientOf, printJson } from './client-flags.js';
import type { ClientFlags } from './client-flags.js';
import { EXIT } from './exit-codes.js';
import { UsageError } from './failure.js';
import { print, tell } from './print.js';
import { planText } from './apply-text.js';

export interface ApplyFlags extends ClientFlags {
  readonly dryRun?: true;
  readonly yes?: true;
  readonly prune?: true;
  readonly subscription?: string;
  readonly resourceGroup?: string;
  readonly location?: string;
  readonly parameters?: string;
  readonly parameter: readonly string[];
}

export interface ExportFlags extends ClientFlags {
  readonly output?: string;
}

interface ChangesAnswer {
  readonly effects: readonly Effect[];
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
}

function readText(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new CulvertError('CONFIG_UNREADABLE', `${file}: ${(error as Error).message}`, {}, { cause: error });
  }
}

/** LINKIDs that the file itself gives. */
function writtenIdentifiers(text: string): Map<string, number> {
  const { privateEndpoints } = parse(text) as { privateEndpoints?: Record<string, { linkIdentifier?: number }> };
  return new Map(
    Object.entries(privateEndpoints ?? {}).flatMap(([name, { linkIdentifier }]) =>
      linkIdentifier === undefined ? [] : [[name, linkIdentifier] as const],
    ),
  );
}

async function planOf(file: string, flags: ApplyFlags, client: ApiClient): Promise<LabPlan> {
  const text = readText(file);
  const template = jsonOf(text);
  const state = await readState(client);
  if (isTemplate(template))
    return planTemplate(template, parametersOf(flags), targetOf(flags, state), state, flags.prune);
  if (flags.parameters !== undefined || flags.parameter.length > 0) {
    throw new UsageError('--parameter and --parameters are for ARM templates');
  }
  return planLab(parseLab(text, file), writtenIdentifiers(text), state, flags.prune === true);
}

/** Undefined for what is no JSON: a lab file may be YAML. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Where a template goes: as asked, else the only subscription there is, and the resource group of lab files. */
function targetOf({ subscription, resourceGroup = labGroup, location }: ApplyFlags, state: Documents): Target {
  const known = [...new Set([...state.values()].map(({ id }) => id.split('/')[2]!))];
  const chosen = subscription ?? (known.length === 1 ? known[0]! : undefined);
  if (chosen === undefined) {
    const there = known.length === 0 ? 'there is none yet' : `there are ${known.join(', ')}`;
    throw new UsageError(`a template needs --subscription: ${there}`);
  }
  const group = state.get(keyOf(`/subscriptions/${chosen}/resourceGroups/${resourceGroup}`));
  return { subscription: chosen, resourceGroup, location: location ?? group?.location ?? 'westeurope' };
}

/** Those of the file, then those of the command line. */
function parametersOf({ parameters, parameter }: ApplyFlags): Map<string, unknown> {
  const given =
    parameters === undefined ? new Map<string, unknown>() : parametersOfFile(jsonOf(readText(parameters)), parameters);
  for (const text of parameter) {
    const at = text.indexOf('=');
    if (at < 1) throw new UsageError(`--parameter is NAME=VALUE, not '${text}'`);
    given.set(text.slice(0, at), new TypedText(text.slice(at + 1)));
  }
  return given;
}

/** @returns the exit code */
export async function apply(file: string, flags: ApplyFlags): Promise<number> {
  const client = await clientOf(flags);
  const plan = await planOf(file, flags, client);
  const steps = plan.steps as unknown as Json[];
  const post = (dryRun: boolean): Promise<ChangesAnswer> =>
    client.change('POST', '/culvert/changes', { steps, dryRun }) as Promise<unknown> as Promise<ChangesAnswer>;
  const planned = await post(true);
  const changes = planned.effects.filter(({ action }) => action !== 'none');
  const shown = { changes, kept: plan.kept, notes: plan.notes, warnings: planned.warnings };
  if (flags.json === true && (flags.dryRun === true || changes.length === 0)) printJson({ ...shown, applied: false });
  else if (flags.json !== true) print(planText(shown));
  if (flags.dryRun === true || changes.length === 0) return EXIT.ok;
  if (flags.yes !== true && !(await agreed(file))) {
    print('nothing was changed\n');
    return EXIT.usage;
  }
  const done = await post(false);
  const made = done.effects.filter(({ action }) => action !== 'none');
  if (flags.json === true) printJson({ ...shown, changes: made, warnings: done.warnings, applied: true });
  else print(`done: ${String(made.length)} changes\n`);
  return EXIT.ok;
}

async function agreed(file: string): Promise<boolean> {
  if (file === '-' || !process.stdin.isTTY || !process.stdout.isTTY) {
    throw new UsageError('nobody can be asked here: give --yes, or --dry-run to see the plan alone');
  }
  const question = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test((await question.question('make these changes? [y/N] ')).trim());
  } finally {
    question.close();
  }
}

const EXPORT_HEAD = '# Written by culvert export: the resources; translation and gateway have their defaults.\n';

export async function exportLab(flags: ExportFlags): Promise<void> {
  const { lab, left } = labOf(await readState(await clientOf(flags)));
  for (const id of left) tell(`culvert: left out, no lab file can declare it: ${id}\n`);
  const text =
    flags.json === true ? `${JSON.stringify(lab, null, 2)}\n` : EXPORT_HEAD + stringify(lab, { lineWidth: 120 });
  if (flags.output === undefined) {
    print(text);
    return;
  }
  const octets = Buffer.from(text);
  const target = new CaptureTarget(flags.output); // there once it is whole
  target.write(octets, 0, octets.length);
  target.close();
}
