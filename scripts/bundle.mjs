// Bundles the command: dist/src/cli/main.js and what it loads become one file in dist/bin, with a launcher and V8's code
// cache beside it, and the part of it that replays another (src/cli/replay-main.ts). Of a hundred modules, Node takes some
// 0.3 ms each to find, read and link; compiling what a run needs takes 15 ms more. What a subcommand loads when it is called
// is evaluated then. Of npm's packages only the one that every start needs comes in, with its licence. Where a worker's
// thread begins is a file of its own. Runs after the compiler.
import { copyFileSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { root, run } from './run.mjs';

const INSIDE = 'commander';
const { dependencies, optionalDependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const outside = Object.keys({ ...dependencies, ...optionalDependencies }).filter((name) => name !== INSIDE);

const outdir = path.join(root, 'dist', 'bin');
rmSync(outdir, { recursive: true, force: true });
/** Commander starts other programs where it is asked to, which it never is here: Node takes 1 ms to load that. */
const withoutPrograms = {
  name: 'without-programs',
  setup(bundler) {
    bundler.onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      importer.includes(`/node_modules/${INSIDE}/`) ? { path: 'none', namespace: 'without-programs' } : undefined,
    );
    bundler.onLoad({ filter: /./, namespace: 'without-programs' }, () => ({ contents: '' }));
  },
};

const from = (...names) => path.join(root, 'dist', 'src', ...names);
for (const entryPoints of [
  { command: from('cli', 'main.js'), 'packet-worker': from('gateway', 'workers', 'packet-worker.js') },
  // Alone, or modules would be wrapped here because they are loaded late there.
  { replay: from('cli', 'replay-main.js') },
]) {
  await build({
    entryPoints,
    outdir,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    external: outside,
    plugins: [withoutPrograms],
    // Code from a cache cannot ask for modules later on; it can require them.
    supported: { 'dynamic-import': false },
    banner: { js: "'use strict'; const moduleUrl = require('node:url').pathToFileURL(__filename).href;" },
    define: { 'import.meta.url': 'moduleUrl' },
    logLevel: 'warning',
  });
}
copyFileSync(path.join(root, 'node_modules', INSIDE, 'LICENSE'), path.join(outdir, `LICENSE.${INSIDE}`));
const launcher = path.join(outdir, 'culvert.cjs');
copyFileSync(path.join(root, 'scripts', 'launcher.cjs'), launcher);

// What a run compiles is what its cache will hold.
const capture = path.join(root, 'fixtures', 'loss-reorder', 'in.pcap');
for (const work of [
  ['replay', capture, '--adopt', '--quiet', '--provider', '/dev/null'],
  ['inspect', capture],
]) {
  const { ok, why } = run([process.execPath, path.join(root, 'scripts', 'code-cache.cjs'), launcher, ...work], {
    capture: true,
  });
  if (ok) continue;
  console.error(`the code cache of culvert ${work[0]} could not be made (${why})`);
  process.exitCode = 1;
}
