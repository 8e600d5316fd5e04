/** Network security groups, from the file to resources. */
import { under } from '../service/problem.js';
import type { ProblemSink, PropertyPath } from '../service/problem.js';
import type { NetworkSecurityGroup, SecurityRule } from '../service/resources.js';
import type { Findings } from './findings.js';
import type { LabShape, SecurityGroupShape } from './schema.js';

type RuleShape = SecurityGroupShape['securityRules'][number];

/** Each list, and the property that stands for a list of one. */
const SINGULAR = {
  sourceAddressPrefixes: 'sourceAddressPrefix',
  sourcePortRanges: 'sourcePortRange',
  destinationAddressPrefixes: 'destinationAddressPrefix',
  destinationPortRanges: 'destinationPortRange',
} as const;
type List = keyof typeof SINGULAR;

function listOf(shape: RuleShape, list: List, path: PropertyPath, findings: Findings): readonly string[] {
  const one = shape[SINGULAR[list]];
  const several = shape[list];
  if (one !== undefined && several !== undefined) {
    const what = `${SINGULAR[list]} and ${list} are both given; keep one of them`;
    findings.error('CONFIG_VALUE', what, [...path, list]);
  }
  return several ?? [one ?? '*'];
}

/** The findings, for problems whose paths name lists: where the file has the property for one value, that is named. */
export const asWritten = (shape: LabShape, findings: Findings): ProblemSink => ({
  add: (prefix, problems) => {
    const paths = under(prefix, problems).map((problem) => ({ ...problem, path: written(problem.path, shape) }));
    findings.add([], paths);
  },
});

function written(path: PropertyPath, shape: LabShape): PropertyPath {
  const [section, name, rules, index, list] = path;
  if (section !== 'networkSecurityGroups' || typeof index !== 'number' || !Object.hasOwn(SINGULAR, list ?? ''))
    return path;
  const singular = SINGULAR[list as List];
  const rule = shape.networkSecurityGroups[String(name)]?.securityRules[index];
  return rule?.[singular] === undefined ? path : [section, name!, rules!, index, singular];
}

/** Reads a group; mistakes go to the findings. */
export function resolveSecurityGroup(
  name: string,
  shape: SecurityGroupShape,
  findings: Findings,
): NetworkSecurityGroup {
  const at = ['networkSecurityGroups', name];
  const securityRules = shape.securityRules.map((rule, index): SecurityRule => {
    const path = [...at, 'securityRules', index];
    if (shape.securityRules.findIndex((other) => other.name === rule.name) < index) {
      findings.error('CONFIG_NAME', `another rule is named '${rule.name}' too`, [...path, 'name']);
    }
    return {
      name: rule.name,
      priority: rule.priority,
      direction: rule.direction,
      access: rule.access,
      protocol: rule.protocol,
      sourceAddressPrefixes: listOf(rule, 'sourceAddressPrefixes', path, findings),
      sourcePortRanges: listOf(rule, 'sourcePortRanges', path, findings),
      destinationAddressPrefixes: listOf(rule, 'destinationAddressPrefixes', path, findings),
      destinationPortRanges: listOf(rule, 'destinationPortRanges', path, findings),
    };
  });
  return { name, securityRules };
}
