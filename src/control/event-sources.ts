/** Where events come from: changes of the resources, and what the gateway tells in its log. */
import type { Log, LogFields } from '../gateway/log.js';
import { notices } from '../gateway/log.js';
import { allOf, connectionType } from '../service/arm/documents.js';
import { statusOf } from '../service/arm/private-link-service.js';
import type { Connection } from '../service/arm/documents.js';
import { documentOf } from '../service/arm/documents.js';
import type { AuditEntry } from './audit-entry.js';
import type { EventFields, EventHub } from './events.js';
import type { Committed } from './manager.js';

/** A change as events: one for each resource, and for connections what became of them. */
export function eventsOf(committed: Committed): EventFields[] {
  return [...committed.entries.map(eventOf), ...drains(committed)];
}

function eventOf({ action, id, before, after }: AuditEntry): EventFields {
  const document = after ?? before;
  if (document?.type !== connectionType) return { type: 'resource', action, resource: id };
  const connection = document as Connection;
  return {
    type: 'connection',
    resource: id,
    status: after === null ? 'Disconnected' : statusOf(connection),
    ...(before === null ? {} : { before: statusOf(before) }),
    privateEndpoint: connection.properties.privateEndpoint?.id,
    linkIdentifier: connection.properties.linkIdentifier,
  };
}

/** NAT addresses that take no new flows from now on. */
function drains({ change, before, after }: Committed): EventFields[] {
  const changed = new Set(change.put.map(({ id }) => id));
  return allOf(after, 'privateLinkServices').flatMap((service) => {
    if (!changed.has(service.id)) return [];
    const old = documentOf(before, service.id, 'privateLinkServices');
    const now = (service.properties.ipConfigurations ?? []).map((each) => each.properties.privateIPAddress);
    return (old?.properties.ipConfigurations ?? [])
      .map((each) => each.properties.privateIPAddress)
      .filter((address) => !now.includes(address))
      .map((address) => ({ type: 'nat-drain', state: 'draining', service: service.id, address }));
  });
}

const gatewayEvents: ReadonlyMap<string, EventFields> = new Map([
  [notices.backendUp, { type: 'backend', state: 'up' }],
  [notices.backendDown, { type: 'backend', state: 'down' }],
  [notices.portsRunOut, { type: 'nat-ports', state: 'running-out' }],
  [notices.portsFree, { type: 'nat-ports', state: 'free' }],
  [notices.drained, { type: 'nat-drain', state: 'drained' }],
]);

/** A log whose notices are events too. */
export function tellingLog(log: Log, events: EventHub): Log {
  const tell = (message: string, fields: LogFields = {}): void => {
    const event = gatewayEvents.get(message);
    if (event !== undefined) events.publish({ ...fields, ...event });
  };
  const write =
    (level: keyof Log) =>
    (message: string, fields?: LogFields): void => {
      log[level](message, fields);
      tell(message, fields);
    };
  return { info: write('info'), warn: write('warn'), error: write('error') };
}
