/** Where the package's own files are that are no modules: its manifest, its native part. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CulvertError } from './errors.js';

/**
 * The package's root folder. Modules run from dist/src, or bundled from dist/bin, so it is looked for upwards.
 * @throws CulvertError INSTALLATION_INCOMPLETE
 */
export function packageRoot(): string {
  const start = path.dirname(fileURLToPath(import.meta.url));
  for (let folder = start; ; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, 'package.json'))) return folder;
    if (folder === path.dirname(folder))
      throw new CulvertError(
        'INSTALLATION_INCOMPLETE',
        `no package.json in ${start} or above it: culvert runs from within its package, as npm installs it`,
      );
  }
}
