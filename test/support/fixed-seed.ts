/**
 * Required by mocha before all tests (.mocharc.json): properties draw the same cases in every run, so that who fails is the
 * change and not the draw. CULVERT_SEED=NUMBER draws others; `npm run fuzz` always does.
 */
import process from 'node:process';
import fc from 'fast-check';

fc.configureGlobal({ seed: Number(process.env['CULVERT_SEED'] ?? 20_261_122) });
