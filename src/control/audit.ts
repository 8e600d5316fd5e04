/**
 * The audit log: one JSON object a line for each resource that a change made, changed or deleted, with who asked for it,
 * what it was and what it is. A line is on the disk before the change is answered. When a file is full it becomes
 * FILE.1, the older ones move on, and the oldest goes.
 */
import { closeSync, fdatasyncSync, fstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import type { ArmDocument } from '../service/arm/documents.js';
import { keyOf } from '../service/arm/resource-id.js';
import { isSame } from '../service/arm/steps.js';
import type { Caller } from './caller.js';
import type { Committed } from './manager.js';

export interface AuditEntry {
  readonly time: string;
  /** Null: culvert itself. */
  readonly who: Caller | null;
  readonly action: 'create' | 'change' | 'delete';
  readonly id: string;
  readonly before: ArmDocument | null;
  readonly after: ArmDocument | null;
}

export interface AuditLimits {
  /** Octets of a file, about. */
  readonly maxOctets: number;
  /** Full files that are kept beside the current one. */
  readonly kept: number;
}

const LIMITS: AuditLimits = { maxOctets: 16 << 20, kept: 4 };

/** What a change did, resource by resource. */
export function entriesOf({ change, before, after }: Committed, who: Caller | null, time = new Date()): AuditEntry[] {
  const keys = [...change.remove, ...change.put.map((document) => keyOf(document.id))];
  return [...new Set(keys)].flatMap((key) => {
    const [was, is] = [before.get(key) ?? null, after.get(key) ?? null];
    const { id } = is ?? was ?? { id: undefined };
    // Some requests write what was there before, under a new etag.
    if (id === undefined || (was !== null && is !== null && isSame(was, is))) return [];
    const action = was === null ? 'create' : is === null ? 'delete' : 'change';
    return { time: time.toISOString(), who, action, id, before: was, after: is };
  });
}

export class AuditLog {
  private readonly file: string;
  private readonly limits: AuditLimits;
  private descriptor: number | null = null;

  constructor(file: string, limits: AuditLimits = LIMITS) {
    this.file = file;
    this.limits = limits;
  }

  /** @throws Error of the file system */
  append(entries: readonly AuditEntry[]): void {
    if (entries.length === 0) return;
    this.descriptor ??= openSync(this.file, 'a', 0o600);
    const text = Buffer.from(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
    for (let at = 0; at < text.length;) at += writeSync(this.descriptor, text, at);
    fdatasyncSync(this.descriptor);
    if (fstatSync(this.descriptor).size >= this.limits.maxOctets) this.rotate();
  }

  private rotate(): void {
    this.close();
    const { kept } = this.limits;
    if (kept === 0) rmSync(this.file);
    for (let number = kept; number > 0; number--) {
      const from = number === 1 ? this.file : `${this.file}.${String(number - 1)}`;
      try {
        renameSync(from, `${this.file}.${String(number)}`);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
  }

  close(): void {
    if (this.descriptor !== null) closeSync(this.descriptor);
    this.descriptor = null;
  }
}
