/** What expressions of a template come to, and what is wrong with them. */
import assert from 'node:assert/strict';
import { resourcesOf } from '../../../src/client/template/template.js';
import { CulvertError } from '../../../src/errors.js';

export const target = { subscription: 's1', resourceGroup: 'g', location: 'westeurope' };
export const GROUP = '/subscriptions/s1/resourceGroups/g';

/** The value of an expression in a template with some parameters and variables. */
export function valueOf(expression: string, rest: object = {}, given: Record<string, unknown> = {}): unknown {
  const network = { type: 'Microsoft.Network/virtualNetworks', name: 'n', properties: { value: expression } };
  const template = { resources: [network], ...rest };
  const [resource] = resourcesOf(template, target, new Map(Object.entries(given)));
  return (resource!.body['properties'] as { value: unknown }).value;
}

export const codeOf = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    assert.ok(error instanceof CulvertError, String(error));
    return error.code;
  }
  return 'none';
};
