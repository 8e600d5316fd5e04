/**
 * The one place where documents change. Changes come one after the other: each is planned from the documents as the last
 * one left them, judged with all the rest, written to the disk, and only then seen by others and by the gateway.
 */
import type { LabConfig } from '../config/index.js';
import type { Change, Documents } from '../service/arm/documents.js';
import { judge } from '../service/arm/judge.js';
import type { RefusalDetail } from '../service/arm/refusal.js';
import { type AuditEntry, entriesOf } from './audit-entry.js';
import { currentCaller } from './caller.js';
import { type LabBase, labOf } from './lab.js';
import type { Store } from './store.js';

/** What the gateway does with the resources; absent where resources are managed alone. */
export interface Runtime {
  /**
   * Refuses what this machine cannot run, before it is written, and makes ready what can be run.
   * @returns takes back what it made, where the change is not made after all
   * @throws CulvertError
   */
  prepare(lab: LabConfig): () => void;
  /** Makes it so. */
  apply(lab: LabConfig): void;
}

/** A change that was made. */
export interface Committed {
  readonly change: Change;
  readonly before: Documents;
  readonly after: Documents;
  readonly warnings: readonly RefusalDetail[];
  readonly entries: readonly AuditEntry[];
}

export interface ManagerOptions {
  readonly store: Store;
  readonly base: LabBase;
}

export class ResourceManager {
  private readonly store: Store;
  private readonly base: LabBase;
  private current: Documents;
  private runtime: Runtime | null = null;
  private last: Promise<unknown> = Promise.resolve();
  private readonly listeners = new Set<(committed: Committed) => void>();

  /** @throws Refusal if the stored documents break a rule: by hand, or by an older version */
  constructor({ store, base }: ManagerOptions) {
    this.store = store;
    this.base = base;
    this.current = store.all();
    this.lab();
  }

  get documents(): Documents {
    return this.current;
  }

  /** The lab that the documents are. */
  lab(): LabConfig {
    return labOf(judge(this.current, { put: [], remove: [] }), this.base);
  }

  /** From now on the gateway follows every change. */
  attach(runtime: Runtime): void {
    this.runtime = runtime;
  }

  /** Told of every change that was made, after it was. @returns a function that ends it */
  onCommitted(listener: (committed: Committed) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /**
   * Makes a change.
   * @param plan what is to change, from the documents of that moment; it may refuse by throwing
   * @throws Refusal, CulvertError: nothing was changed then
   */
  change(plan: (documents: Documents) => Change): Promise<Committed> {
    const result = this.last.then(() => this.make(plan));
    this.last = result.catch(() => undefined);
    return result;
  }

  /**
   * What a change would come to, without making it.
   * @throws Refusal, CulvertError as the change would
   */
  preview(plan: (documents: Documents) => Change): Promise<Pick<Committed, 'change' | 'warnings'>> {
    return this.last.then(() => {
      const change = plan(this.current);
      const judged = judge(this.current, change);
      this.runtime?.prepare(labOf(judged, this.base))();
      return { change, warnings: judged.warnings };
    });
  }

  private async make(plan: (documents: Documents) => Change): Promise<Committed> {
    const before = this.current;
    const change = plan(before);
    if (change.put.length === 0 && change.remove.length === 0) {
      return { change, before, after: before, warnings: [], entries: [] };
    }
    const judged = judge(before, change);
    const lab = labOf(judged, this.base);
    const entries = entriesOf(change, before, judged.documents, currentCaller());
    const undo = this.runtime?.prepare(lab);
    try {
      await this.store.write(change, entries);
    } catch (error) {
      undo?.();
      throw error;
    }
    this.current = judged.documents;
    this.runtime?.apply(lab);
    const committed = { change, before, after: judged.documents, warnings: judged.warnings, entries };
    for (const listener of this.listeners) listener(committed);
    return committed;
  }

  /** Waits for the change that is under way. */
  async close(): Promise<void> {
    await this.last;
    await this.store.close();
  }
}
