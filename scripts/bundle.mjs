// Bundles the command: dist/src/cli/main.js and what it loads become a few files in dist/bin. Node takes some 0.3 ms to
// find, read and link a module of its own, and the command has a hundred: bundled, it starts in two thirds of the time.
// What a subcommand loads when it is called stays a file of its own; npm packages stay outside. Runs after the compiler.
import { rmSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { root } from './run.mjs';

const outdir = path.join(root, 'dist', 'bin');
rmSync(outdir, { recursive: true, force: true });
await build({
  entryPoints: { culvert: path.join(root, 'dist', 'src', 'cli', 'main.js') },
  outdir,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  sourcemap: true,
  logLevel: 'warning',
});
