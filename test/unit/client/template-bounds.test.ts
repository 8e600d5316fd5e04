import assert from 'node:assert/strict';
import { resourcesOf } from '../../../src/client/template/template.js';
import { TypedText } from '../../../src/client/template/parameters.js';
import { codeOf, target, valueOf } from './template-value.js';

describe('ARM templates: bounds', () => {
  const loop = (name: string, input: unknown): object => ({ copy: [{ name, count: 800, input }] });
  /** Each variable is made of the one before. */
  const chain = (first: unknown, count: number, of: (before: string) => unknown): object => ({
    variables: Object.fromEntries(
      Array.from({ length: count }, (_, i) => [
        `v${String(i)}`,
        i === 0 ? first : of(`variables('v${String(i - 1)}')`),
      ]),
    ),
  });
  const outcome = (expression: string, rest: object = {}): string => codeOf(() => valueOf(expression, rest));
  const long = `'${'x'.repeat(1000)}'`;

  it('hold texts that double each other', () => {
    const doubled = chain('x'.repeat(1000), 40, (before) => `[concat(${before}, ${before})]`);
    assert.equal(outcome("[variables('v39')]", doubled), 'TEMPLATE_EXPRESSION');
    assert.equal(
      outcome("[replace(replace(variables('v9'), 'x', 'yy'), 'y', variables('v5'))]", doubled),
      'TEMPLATE_EXPRESSION',
    );
    assert.equal(outcome("[join(range(0, 10000), variables('v5'))]", doubled), 'TEMPLATE_EXPRESSION');
    assert.equal(outcome(`[format('${'{0}'.repeat(4000)}', ${long})]`), 'TEMPLATE_EXPRESSION');
  });

  it('hold lists of lists, which are small until they are written', () => {
    const ten = (before: string): string => `[createArray(${Array.from({ length: 10 }, () => before).join(', ')})]`;
    const heavy = { code: 'TEMPLATE_TOO_LARGE', message: /a value has at most 1048576 characters$/ };
    assert.throws(() => valueOf("[string(variables('v11'))]", chain('[range(0, 10)]', 12, ten)), heavy);
    const nested = chain('x', 12, (before) => ({
      a: `[${before}]`,
      b: `[${before}]`,
      c: Array(10).fill(`[${before}]`),
    }));
    assert.throws(() => valueOf("[length(variables('v11'))]", nested), heavy);
  });

  it('hold what files have in one another over any number of levels', () => {
    const deep = (levels: number): unknown => {
      let value: unknown = 1;
      for (let n = 0; n < levels; n++) value = [value];
      return value;
    };
    const list = { type: 'array' };
    const chained: { child?: unknown } = {};
    for (let n = 0, at = chained; n < 100_000; n++) at = at.child = {};
    const node = { type: 'object', nullable: true, properties: { child: { $ref: '#/definitions/node' } } };
    const code = (declared: object, given: unknown): string =>
      codeOf(() => valueOf('a', { definitions: { node }, parameters: { p: declared } }, { p: given }));
    assert.equal(code(list, deep(200)), 'none');
    const codes = [
      code(list, deep(100_000)),
      code({ type: 'string' }, deep(100_000)),
      code(list, new TypedText(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)),
      code({ $ref: '#/definitions/node' }, chained),
      code({ ...list, allowedValues: [deep(100_000)] }, [1]),
      code({ $ref: deep(100_000) }, [1]),
      code({ ...list, minLength: deep(100_000) }, [1]),
    ];
    assert.deepEqual(
      codes,
      codes.map(() => 'TEMPLATE_TOO_DEEP'),
    );
  });

  it('hold loops in loops', () => {
    const value = loop('a', loop('b', loop('c', { x: 1 })));
    const network = { type: 'Microsoft.Network/virtualNetworks', name: 'n', properties: value };
    assert.equal(
      codeOf(() => resourcesOf({ resources: [network] }, target, new Map())),
      'TEMPLATE_TOO_LARGE',
    );
  });

  it('hold what loops do again and again', () => {
    const variables = { long: '[range(0, 10000)]' };
    const value = loop('a', loop('b', "[equals(variables('long'), createArray(1))]"));
    const network = { type: 'Microsoft.Network/virtualNetworks', name: 'n', properties: value };
    assert.equal(
      codeOf(() => resourcesOf({ variables, resources: [network] }, target, new Map())),
      'TEMPLATE_TOO_LARGE',
    );
  });

  it('hold all resources together', () => {
    const network = {
      type: 'Microsoft.Network/virtualNetworks',
      name: "[format('n{0}', copyIndex())]",
      copy: { name: 'l', count: 800 },
      properties: { value: '[range(0, 1000)]' },
    };
    assert.equal(
      codeOf(() => resourcesOf({ resources: [network] }, target, new Map())),
      'TEMPLATE_TOO_LARGE',
    );
  });

  it('hold the depth of values, and of what needs each other', () => {
    const wrapped = chain('x', 100, (before) => `[createArray(${before})]`);
    assert.equal(outcome("[variables('v99')]", wrapped), 'TEMPLATE_TOO_DEEP');
    const deep = chain('x', 200, (before) => `[${'concat('.repeat(60)}${before}${')'.repeat(60)}]`);
    assert.equal(outcome("[variables('v199')]", deep), 'TEMPLATE_TOO_DEEP');
    let literal: unknown = 'x';
    for (let i = 0; i < 100_000; i++) literal = [literal];
    assert.equal(
      codeOf(() => valueOf("[parameters('p')]", { parameters: { p: { type: 'array' } } }, { p: literal })),
      'TEMPLATE_TOO_DEEP',
    );
  });
});
