/** Where everything that happens goes: changes to the audit log and to those who listen, the gateway's notices to them too. */
import type { Log } from '../gateway/log.js';
import { AuditLog } from './audit.js';
import { eventsOf, tellingLog } from './event-sources.js';
import { EventHub } from './events.js';
import type { ResourceManager } from './manager.js';
import type { Store } from './store.js';

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

  /** Brings the audit log up to what was changed, and keeps it there. */
  follow(manager: ResourceManager, store: Store): void {
    this.record(store);
    manager.onCommitted((committed) => {
      this.record(store);
      for (const event of eventsOf(committed)) this.events.publish(event);
    });
  }

  private record(store: Store): void {
    try {
      // First of all: while it cannot be opened there may be more to log with each change, which is not looked at then.
      this.audit.open();
      store.logged(this.audit.append(store.unlogged()));
    } catch (error) {
      // The change is made: whoever asked for it must hear so. The state keeps what the log has not.
      this.log.error('the audit log cannot be written', { why: (error as Error).message });
    }
  }

  close(): void {
    this.audit.close();
  }
}
