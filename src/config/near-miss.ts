/** Finds the name that was probably meant. */

/** Damerau's distance with adjacent swaps (optimal string alignment): insert, delete, replace, swap. */
function distance(a: string, b: string): number {
  const rows: number[][] = Array.from({ length: a.length + 1 }, (_, i) => [i]);
  for (let j = 1; j <= b.length; j++) rows[0]![j] = j;
  for (let i = 1; i <= a.length; i++) {
    const row = rows[i]!;
    const above = rows[i - 1]!;
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, rows[i - 2]![j - 2]! + 1);
      row[j] = cost;
    }
  }
  return rows[a.length]![b.length]!;
}

/** The candidate nearest to `name`, letter case aside, or null if none is near: a third of its letters may be wrong. */
export function nearMiss(name: string, candidates: Iterable<string>): string | null {
  if (name.length > 100) return null;
  const wanted = name.toLowerCase();
  let best: string | null = null;
  let bestDistance = Math.floor(name.length / 3) + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - name.length) >= bestDistance) continue;
    const d = distance(wanted, candidate.toLowerCase());
    if (d < bestDistance) {
      best = candidate;
      bestDistance = d;
    }
  }
  return best;
}

/** `: did you mean x?`, or a list of what there is. */
export function suggestion(name: string, candidates: readonly string[]): string {
  const near = nearMiss(name, candidates);
  if (near !== null) return `: did you mean '${near}'?`;
  if (candidates.length === 0) return '; there is none';
  const shown = candidates.slice(0, 12).join(', ');
  return `; there ${candidates.length === 1 ? 'is' : 'are'} ${shown}${candidates.length > 12 ? ', ...' : ''}`;
}
