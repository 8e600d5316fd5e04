/** The result as a picture: one group of bars a row, each as long as its contender is fast beside the kernel. */

export interface Bar {
  readonly contender: string;
  /** 1: as good as the kernel; 2: twice as good. */
  readonly ratio: number;
  readonly label: string;
}

export interface Group {
  readonly name: string;
  readonly bars: readonly Bar[];
}

const COLOURS: Readonly<Record<string, string>> = {
  culvert: '#1f6feb',
  nftables: '#8b949e',
  haproxy: '#d29922',
  nginx: '#3fb950',
};
const LEFT = 130;
const WIDTH = 620;
const RIGHT = 120;
const BAR = 14;
const GAP = 12;

const text = (x: number, y: number, words: string, more = ''): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}"${more}>${words.replace(/&/g, '&amp;').replace(/</g, '&lt;')}</text>`;

/** An SVG document. */
export function plot(title: string, groups: readonly Group[]): string {
  const longest = Math.max(1, ...groups.flatMap((group) => group.bars.map((bar) => bar.ratio)));
  const scale = WIDTH / longest;
  const parts: string[] = [text(10, 20, title, ' font-weight="bold"')];
  let y = 40;
  for (const { name, bars } of groups) {
    parts.push(text(LEFT - 8, y + (bars.length * BAR) / 2 + 4, name, ' text-anchor="end"'));
    for (const { contender, ratio, label } of bars) {
      const width = (ratio * scale).toFixed(1);
      const fill = COLOURS[contender] ?? '#000';
      parts.push(
        `<rect x="${String(LEFT)}" y="${String(y)}" width="${width}" height="${String(BAR - 2)}" fill="${fill}"/>`,
        text(LEFT + ratio * scale + 5, y + BAR - 4, `${contender} ${label}`),
      );
      y += BAR;
    }
    y += GAP;
  }
  const one = (LEFT + scale).toFixed(1);
  parts.push(`<line x1="${one}" x2="${one}" y1="32" y2="${String(y)}" stroke="#57606a" stroke-dasharray="3 3"/>`);
  const size = `width="${String(LEFT + WIDTH + RIGHT)}" height="${String(y + 10)}"`;
  const style = 'font-family="sans-serif" font-size="11"';
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} ${style}>\n<rect width="100%" height="100%" fill="#fff"/>\n${parts.join('\n')}\n</svg>\n`;
}
