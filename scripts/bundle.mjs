// Bundles the command: dist/src/cli/main.js and what it loads become one file in dist/bin, with a launcher and V8's code
// cache beside it. Of a hundred modules, Node takes some 0.3 ms each to find, read and link; compiling what a run needs
// takes 15 ms more. What a subcommand loads when it is called is evaluated then. Of npm's packages only the one that every
// start needs comes in, with its licence. Where a worker's thread begins is a file of its own. Runs after the compiler.
import { copyFileSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { root, run } from './run.mjs';

const INSIDE = 'commander';
const { dependencies, optionalDependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const outside = Object.keys({ ...dependencies, ...optionalDependencies }).filter((name) => name !== INSIDE);

const outdir = path.join(root, 'dist', 'bin');
rmSync(outdir, { recursive: true, force: true });
await build({
  entryPoints: {
    command: path.join(root, 'dist', 'src', 'cli', 'main.js'),
    'packet-worker': path.join(root, 'dist', 'src', 'gateway', 'workers', 'packet-worker.js'),
  },
  outdir,
  outExtension: { '.js': '.cjs' },
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  external: outside,
  // Code from a cache cannot ask for modules later on; it can require them.
  supported: { 'dynamic-import': false },
  banner: { js: "'use strict'; const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
  define: { 'import.meta.url': 'moduleUrl' },
  logLevel: 'warning',
});
copyFileSync(path.join(root, 'node_modules', INSIDE, 'LICENSE'), path.join(outdir, `LICENSE.${INSIDE}`));
const launcher = path.join(outdir, 'culvert.cjs');
copyFileSync(path.join(root, 'scripts', 'launcher.cjs'), launcher);
const { ok, why } = run([process.execPath, path.join(root, 'scripts', 'code-cache.cjs'), launcher]);
if (!ok) {
  console.error(`culvert's code cache could not be made (${why})`);
  process.exitCode = 1;
}
