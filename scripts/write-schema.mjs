// Writes schema/lab.schema.json from the schema in the code; run after a build. A test holds the two equal.
import { mkdirSync, writeFileSync } from 'node:fs';
import { labJsonSchema } from '../dist/src/config/index.js';

mkdirSync(new URL('../schema/', import.meta.url), { recursive: true });
writeFileSync(new URL('../schema/lab.schema.json', import.meta.url), `${JSON.stringify(labJsonSchema(), null, 2)}\n`);
