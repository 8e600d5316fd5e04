import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const nodeGlobals = { console: 'readonly', performance: 'readonly', URL: 'readonly', Buffer: 'readonly' };
const timers = { setTimeout: 'readonly', clearTimeout: 'readonly', setInterval: 'readonly', clearInterval: 'readonly' };
const globals = { ...nodeGlobals, ...timers };

export default defineConfig(
  globalIgnores(['dist/', 'build/', 'coverage/', 'fixtures/']),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    files: ['src/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],

      // Octets are read as b[i]! on the packet path: noUncheckedIndexedAccess makes every such read `number | undefined`,
      // and a real check there would cost what it cannot find (each header is checked once, before its accessors).
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Numbers in messages are what they look like; objects, arrays and undefined stay errors.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // `() => counter.add()` as a callback is no confusion.
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // `for (;;)` and `while (true)` with a break in the middle are how cursors are read.
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
    },
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      // One concept a file. Where a longer file is right, its disable comment says why.
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/cli/**'],
    rules: {
      // Standard output may carry a capture: only the command prints.
      'no-console': 'error',
    },
  },
  {
    files: ['**/*.{js,mjs,cjs}'],
    languageOptions: {
      globals: { ...globals, process: 'readonly', module: 'writable', require: 'readonly', __dirname: 'readonly' },
    },
  },
);
