/** Tables with a head, and sizes and times that people read. */

/** A resource of the management interface is shown by its name, the last part of its id. */
const shownText = (cell: string): string => (cell.startsWith('/subscriptions/') ? cell.split('/').at(-1)! : cell);

/** Numbers stand to the right, texts to the left. */
export function columns(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const shown = rows.map((row) =>
    row.map((cell) => (typeof cell === 'number' ? cell.toLocaleString('en-US') : shownText(cell))),
  );
  const widths = head.map((title, i) => Math.max(title.length, ...shown.map((row) => row[i]!.length)));
  const line = (cells: readonly string[], row: readonly (string | number)[] | undefined): string =>
    cells
      .map((cell, i) => (typeof row?.[i] === 'number' ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd();
  return [line(head, rows[0]), ...shown.map((cells, i) => line(cells, rows[i]))].join('\n');
}

const UNITS = ['octets', 'KiB', 'MiB', 'GiB', 'TiB'];

export function octets(n: number): string {
  let unit = 0;
  let value = n;
  for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024;
  return unit === 0 ? String(n) : `${value.toFixed(1)} ${UNITS[unit]!}`;
}

export function span(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${String(seconds)} s`;
  if (seconds < 3600) return `${String(Math.floor(seconds / 60))} min`;
  const hours = Math.floor(seconds / 3600);
  return hours < 48 ? `${String(hours)} h` : `${String(Math.floor(hours / 24))} d`;
}

/** By how much a number grew in a second; 0 for one that was not there before. */
export const perSecond = (now: number, before: number | undefined, seconds: number): number =>
  before === undefined ? 0 : Math.max(0, (now - before) / seconds);

/** The same of octets, to read. */
export const octetsPerSecond = (now: number, before: number | undefined, seconds: number): string =>
  `${octets(Math.round(perSecond(now, before, seconds)))}/s`;
