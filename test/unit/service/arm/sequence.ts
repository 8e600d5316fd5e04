/** Identifiers in a sequence, so that a test's documents are the same each time. */
import type { ArmDocument, Change, Documents, Draw } from '../../../../src/service/arm/documents.js';
import { judge } from '../../../../src/service/arm/judge.js';
import type { Judged } from '../../../../src/service/arm/judge.js';
import { deleteResource, decideConnection, putResource } from '../../../../src/service/arm/manage.js';
import { parseResourceId } from '../../../../src/service/arm/resource-id.js';
import type { ResourceId } from '../../../../src/service/arm/resource-id.js';

export class Sequence implements Draw {
  private count = 0;

  guid(): string {
    return `00000000-0000-4000-8000-${(++this.count).toString(16).padStart(12, '0')}`;
  }

  uint32(): number {
    return ++this.count;
  }
}

export const G = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Network';

/** Documents that change as the management interface changes them. */
export class Held {
  documents: Documents = new Map();
  readonly draw = new Sequence();

  private make(change: Change): Judged {
    const judged = judge(this.documents, change);
    this.documents = judged.documents;
    return judged;
  }

  private request(
    path: string,
    body: object,
  ): { id: ResourceId; body: Record<string, unknown>; documents: Documents; draw: Draw } {
    const id = parseResourceId(path.startsWith('/') ? path : `${G}/${path}`)!;
    return { id, body: body as Record<string, unknown>, documents: this.documents, draw: this.draw };
  }

  put(path: string, properties: object = {}, rest: object = {}): ArmDocument {
    const request = this.request(path, { location: 'west', ...rest, properties });
    return this.make(putResource(request)).documents.get(this.keyOf(path))!;
  }

  delete(path: string): void {
    this.make(deleteResource(this.request(path, {}).id, this.documents, this.draw));
  }

  decide(path: string, status: string): void {
    this.make(decideConnection(this.request(path, { properties: { privateLinkServiceConnectionState: { status } } })));
  }

  get(path: string): ArmDocument | undefined {
    return this.documents.get(this.keyOf(path));
  }

  private keyOf(path: string): string {
    return (path.startsWith('/') ? path : `${G}/${path}`).toLowerCase();
  }
}

export const subnet = (name = 'a', network = 'net'): { id: string } => ({
  id: `${G}/virtualNetworks/${network}/subnets/${name}`,
});

/** A network with a subnet of a few addresses and one of many. */
export function withNetwork(tags: Record<string, string> = {}): Held {
  const held = new Held();
  const nat = { addressPrefix: '10.0.1.0/24', privateLinkServiceNetworkPolicies: 'Disabled' };
  held.put(
    'virtualNetworks/net',
    {
      addressSpace: { addressPrefixes: ['10.0.0.0/16'] },
      subnets: [
        { name: 'a', properties: { addressPrefix: '10.0.0.0/29' } },
        { name: 'nat', properties: nat },
      ],
    },
    { tags },
  );
  return held;
}
