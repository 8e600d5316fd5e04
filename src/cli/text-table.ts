/** Columns of text: the first to the left, numbers to the right. */
export function textTable(rows: readonly (readonly [string, string | number, string?])[]): string {
  const names = Math.max(...rows.map(([name]) => name.length));
  const values = Math.max(...rows.map(([, value]) => shown(value).length));
  return rows
    .map(([name, value, note]) => `${name.padEnd(names)}  ${shown(value).padStart(values)}  ${note ?? ''}`.trimEnd())
    .join('\n');
}

const shown = (value: string | number): string => (typeof value === 'number' ? value.toLocaleString('en-US') : value);
