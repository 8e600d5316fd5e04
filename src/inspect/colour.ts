/** Colours of a terminal (ECMA-48 SGR), or none. */
export interface Palette {
  readonly dim: (text: string) => string;
  readonly stream: (text: string) => string;
  readonly protocol: (text: string) => string;
  readonly proxy: (text: string) => string;
  readonly note: (text: string) => string;
  readonly client: (text: string) => string;
  readonly server: (text: string) => string;
}

const same = (text: string): string => text;
const sgr =
  (code: string) =>
  (text: string): string =>
    text === '' ? '' : `\u001b[${code}m${text}\u001b[0m`;

export const PLAIN: Palette = {
  dim: same,
  stream: same,
  protocol: same,
  proxy: same,
  note: same,
  client: same,
  server: same,
};

export const COLOURED: Palette = {
  dim: sgr('2'),
  stream: sgr('36'),
  protocol: sgr('1'),
  proxy: sgr('32'),
  note: sgr('33'),
  client: sgr('31'),
  server: sgr('34'),
};
