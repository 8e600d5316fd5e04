/** Curves over a logarithmic axis, as an SVG document. */

export interface Curve {
  readonly name: string;
  /** In the order of x, which is positive. */
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

const WIDTH = 640;
const HEIGHT = 320;
const LEFT = 60;
const RIGHT = 110;
const TOP = 40;
const BOTTOM = 50;
const COLOURS = ['#1f6feb', '#d29922', '#3fb950', '#8b949e'];

const text = (x: number, y: number, words: string, anchor: 'start' | 'middle' | 'end'): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${words}</text>`;

/** The least of 1, 2 or 5 times a power of ten that is not below `n`. */
function roundUp(n: number): number {
  const power = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 5, 10].map((k) => k * power).find((k) => k >= n)!;
}

/** @param xName, yName what the axes show, with units */
export function curves(title: string, xName: string, yName: string, lines: readonly Curve[]): string {
  const points = lines.flatMap((line) => line.points);
  const from = Math.log10(Math.min(...points.map((p) => p.x)));
  const to = Math.log10(Math.max(...points.map((p) => p.x)));
  const top = roundUp(Math.max(...points.map((p) => p.y)));
  const right = WIDTH - RIGHT;
  const bottom = HEIGHT - BOTTOM;
  const atX = (x: number): number => LEFT + ((Math.log10(x) - from) / (to - from || 1)) * (right - LEFT);
  const atY = (y: number): number => bottom - (y / top) * (bottom - TOP);
  const parts = [text(LEFT, 20, title, 'start'), text((LEFT + right) / 2, HEIGHT - 10, xName, 'middle')];
  parts.push(text(LEFT, TOP - 8, yName, 'middle'));
  for (const x of new Set(points.map((p) => p.x))) {
    parts.push(text(atX(x), bottom + 18, x.toLocaleString('en-US'), 'middle'));
  }
  for (let k = 0; k <= 4; k++) {
    const y = (top * k) / 4;
    parts.push(text(LEFT - 8, atY(y) + 4, String(y), 'end'));
    const line = atY(y).toFixed(1);
    parts.push(`<line x1="${String(LEFT)}" x2="${String(right)}" y1="${line}" y2="${line}" stroke="#d0d7de"/>`);
  }
  lines.forEach((line, i) => {
    const colour = COLOURS[i % COLOURS.length]!;
    const path = line.points.map((p) => `${atX(p.x).toFixed(1)},${atY(p.y).toFixed(1)}`).join(' ');
    parts.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    for (const p of line.points) {
      parts.push(`<circle cx="${atX(p.x).toFixed(1)}" cy="${atY(p.y).toFixed(1)}" r="3" fill="${colour}"/>`);
    }
    const last = line.points.at(-1);
    if (last !== undefined) parts.push(text(right + 8, atY(last.y) + 4, line.name, 'start'));
  });
  const size = `width="${String(WIDTH)}" height="${String(HEIGHT)}" font-family="sans-serif" font-size="11"`;
  const back = '<rect width="100%" height="100%" fill="#fff"/>';
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size}>\n${back}\n${parts.join('\n')}\n</svg>\n`;
}
