/** Processes as they are known in records: by number and start time together, since numbers come back. */
import { readFileSync } from 'node:fs';

/** Start time of a process that is alive, in the kernel's ticks since boot (proc(5), stat, field 22), or null. */
export function startTimeOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The command may hold spaces and brackets: the fields are counted from its end.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}

/** Whether the process that is on record still runs. */
export function isSameProcess(record: { readonly pid: number; readonly startTime: string }): boolean {
  const startTime = startTimeOf(record.pid);
  return startTime !== null && startTime === record.startTime;
}
