/** Tells when a file was changed, by whatever way an editor replaces it. */
import { type FSWatcher, statSync, watch } from 'node:fs';
import path from 'node:path';

/** Writers take a moment: the change is told when the file has been left alone for so long. */
const QUIET_MS = 200;

/** What a change of the content changes; empty: there is no such file. */
export function markOf(file: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(file);
    return `${String(mtimeMs)} ${String(size)} ${String(ino)}`;
  } catch {
    return '';
  }
}

export class LabWatcher {
  private readonly watcher: FSWatcher;
  private readonly file: string;
  private readonly onChange: () => void;
  private timer: NodeJS.Timeout | null = null;
  private seen: string;

  /**
   * Watches the folder, since many editors put a new file in the old one's place.
   * @param read its mark before it was last read: what has changed since is told too
   * @throws Error of fs.watch, where the system's limit of watches is reached
   */
  constructor(file: string, onChange: () => void, read = markOf(file)) {
    this.file = path.resolve(file);
    this.onChange = onChange;
    this.seen = read;
    this.watcher = watch(path.dirname(this.file), { persistent: false }, (_, name) => {
      if (name === null || name === path.basename(this.file)) this.changed();
    });
    this.watcher.on('error', () => this.close());
    if (markOf(this.file) !== read) this.changed();
  }

  close(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.watcher.close();
  }

  private changed(): void {
    if (this.timer === null) this.timer = setTimeout(() => this.look(), QUIET_MS);
    else this.timer.refresh();
  }

  private look(): void {
    this.timer = null;
    const mark = markOf(this.file);
    // Reading the file changes nothing; a file that is away for a moment comes back with an event of its own.
    if (mark === this.seen || mark === '') return;
    this.seen = mark;
    this.onChange();
  }
}
