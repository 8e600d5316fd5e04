/** Where everything that happens goes: changes to the audit log and to those who listen, the gateway's notices to them too. */
import type { Log } from '../gateway/log.js';
import { AuditLog, entriesOf } from './audit.js';
import { currentCaller } from './caller.js';
import { eventsOf, tellingLog } from './event-sources.js';
import { EventHub } from './events.js';
import type { ResourceManager } from './manager.js';

export class Told {
  readonly events = new EventHub();
  /** A log whose notices of the gateway are events too. */
  readonly log: Log;
  private readonly audit: AuditLog;

  /** @param auditFile where the audit log goes */
  constructor(auditFile: string, log: Log) {
    this.audit = new AuditLog(auditFile);
    this.log = tellingLog(log, this.events);
  }

  follow(manager: ResourceManager): void {
    manager.onCommitted((committed) => {
      const entries = entriesOf(committed, currentCaller());
      try {
        this.audit.append(entries);
      } catch (error) {
        // The change is made: whoever asked for it must hear so.
        this.log.error('the audit log cannot be written', { why: (error as Error).message });
      }
      for (const event of eventsOf(entries, committed)) this.events.publish(event);
    });
  }

  close(): void {
    this.audit.close();
  }
}
