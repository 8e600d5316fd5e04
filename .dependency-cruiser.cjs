// Which part may import which. Imports run one way: a layer may import those before it in this list, and no other.
// A type is an import like any other here.
const layers = [
  'errors.ts',
  'package-root.ts',
  'wire',
  'packet',
  'capture',
  'device',
  'flow',
  'balance',
  'translate',
  'service',
  'config',
  'check',
  'inspect',
  'replay',
  'gateway',
  'client',
  'control',
  'lab',
  'cli',
];

const at = (names) =>
  `^src/(${names.map((name) => (name.endsWith('.ts') ? name.replace('.', '\\.') + '$' : name + '/')).join('|')})`;

const oneWay = layers.slice(0, -1).map((layer, index) => ({
  name: `one-way-${layer.replace('.ts', '')}`,
  comment: `src/${layer} may not import a later layer: the order is ${layers.join(', ')}`,
  severity: 'error',
  from: { path: at([layer]) },
  to: { path: at(layers.slice(index + 1)) },
}));

// The pure core: octets, tables and the time come in as arguments, so that a replay gives the same octets everywhere.
const pure = ['errors.ts', 'wire', 'packet', 'flow', 'balance', 'translate', 'service'];

module.exports = {
  forbidden: [
    ...oneWay,
    {
      name: 'a-known-layer',
      comment: 'every folder of src is a layer: give a new one its place in .dependency-cruiser.cjs',
      severity: 'error',
      from: {},
      to: { path: '^src/', pathNot: [at(layers), '^src/index\\.ts$'] },
    },
    {
      name: 'a-known-layer-imports',
      comment: 'every folder of src is a layer: give a new one its place in .dependency-cruiser.cjs',
      severity: 'error',
      from: { path: '^src/', pathNot: [at(layers), '^src/index\\.ts$'] },
      to: {},
    },
    {
      name: 'no-cycles',
      comment: 'two files that need each other are one concept, or a third one is missing',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'the-door-is-for-users',
      comment: 'src/index.ts is the public door: inside, import the file that has it',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^src/index\\.ts$' },
    },
    {
      name: 'the-wire-door-is-for-others',
      comment: 'inside wire/, import the file that has it, not the door',
      severity: 'error',
      from: { path: '^src/wire/', pathNot: '^src/wire/index\\.ts$' },
      to: { path: '^src/wire/index\\.ts$' },
    },
    {
      name: 'src-stands-alone',
      comment: 'the product never imports its tests, benchmarks or scripts',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|scripts)/' },
    },
    {
      name: 'no-development-tools-in-the-product',
      comment: 'who installs the package does not get these',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'the-core-does-no-input-or-output',
      comment: 'files, sockets, clocks and processes belong to capture, device, gateway, control and cli',
      severity: 'error',
      from: { path: at(pure) },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(buffer|crypto)$' },
    },
    {
      name: 'resolvable',
      comment: 'the imported file or package is not there',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'node', 'default'] },
  },
};
