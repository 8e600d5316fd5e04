/** Sections of a lab file with resources, in the order in which one needs another. */
export const labSections = [
  'networkSecurityGroups',
  'virtualNetworks',
  'loadBalancers',
  'networkInterfaces',
  'privateLinkServices',
  'privateEndpoints',
] as const;

export type LabSection = (typeof labSections)[number];
