import assert from 'node:assert/strict';
import { TypedText } from '../../../src/client/template/parameters.js';
import { parametersOfFile } from '../../../src/client/template/parameters-file.js';
import { codeOf, valueOf } from './template-value.js';

describe('ARM templates: parameters and variables', () => {
  const parameters = {
    size: { type: 'int', allowedValues: [1, 2] },
    name: { type: 'string', defaultValue: "[toLower('ABC')]" },
  };

  it('take what is given, else their default', () => {
    assert.equal(valueOf("[parameters('NAME')]", { parameters }, { size: 1 }), 'abc');
    assert.equal(valueOf("[parameters('size')]", { parameters }, { size: 2 }), 2);
  });

  it('refuse what is missing, unknown, of another type, or not allowed', () => {
    const codes = [{}, { size: 1, more: 1 }, { size: 'x' }, { size: 3 }].map((given) =>
      codeOf(() => valueOf('a', { parameters }, given)),
    );
    assert.deepEqual(
      codes,
      Array.from({ length: 4 }, () => 'TEMPLATE_PARAMETER'),
    );
  });

  const secrets: [string, object, unknown][] = [
    ['too short', { type: 'securestring', minLength: 20 }, 'hunter2'],
    ['not allowed', { type: 'secureString', allowedValues: ['a'] }, 'hunter2'],
    ['of another type', { type: 'secureObject' }, new TypedText('hunter2')],
    ['a number', { type: 'secureString' }, { hunter2: 1 }],
    ['inside of a list', { type: 'array', items: { type: 'secureString', maxLength: 1 } }, ['hunter2']],
    ['of the definitions', { $ref: '#/definitions/secret' }, 'hunter2'],
    ['inside of an object', { type: 'secureObject', properties: { a: { type: 'int' } } }, { a: 'hunter2' }],
    ['another in an object', { type: 'secureObject', additionalProperties: { type: 'int' } }, { a: 'hunter2' }],
    [
      'in a list in an object',
      { type: 'secureObject', properties: { a: { type: 'array', items: { type: 'int' } } } },
      { a: ['hunter2'] },
    ],
  ];
  for (const [what, declared, given] of secrets) {
    it(`are not printed where a secret is ${what}`, () => {
      const definitions = { secret: { type: 'secureString', maxLength: 3 } };
      assert.throws(
        () => valueOf('a', { parameters: { pw: declared }, definitions }, { pw: given }),
        (error: Error) => {
          assert.match(error.message, /^parameters\.pw.*: the secret value is /);
          assert.doesNotMatch(JSON.stringify(error) + error.message, /hunter2/);
          return true;
        },
      );
    });
  }

  it('are made by loops, and never of themselves', () => {
    const variables = {
      copy: [{ name: 'list', count: 3, input: "[concat('n', copyIndex('list', 1))]" }],
      a: "[variables('b')]",
      b: "[variables('a')]",
    };
    assert.deepEqual(valueOf("[variables('list')]", { variables }), ['n1', 'n2', 'n3']);
    assert.equal(
      codeOf(() => valueOf("[variables('a')]", { variables })),
      'TEMPLATE_CYCLE',
    );
  });

  it('are null where they may be and nothing is given', () => {
    const nullable = { maybe: { type: 'string', nullable: true } };
    assert.equal(valueOf("[parameters('maybe')]", { parameters: nullable }), null);
    assert.equal(valueOf("[parameters('maybe')]", { parameters: nullable }, { maybe: null }), null);
    assert.equal(valueOf("[parameters('name')]", { parameters: { name: parameters.name } }, { name: null }), 'abc');
  });

  const limited: [string, object, unknown, unknown][] = [
    ['minLength', { type: 'string', minLength: 3 }, 'abc', 'ab'],
    ['maxLength', { type: 'string', maxLength: 3 }, 'abc', 'abcd'],
    ['maxLength of a list', { type: 'array', maxLength: 1 }, [1], [1, 2]],
    ['minValue', { type: 'int', minValue: 3 }, 3, 2],
    ['maxValue', { type: 'int', maxValue: 3 }, 3, 4],
    ['allowedValues of a list', { type: 'array', allowedValues: ['a', 'b'] }, ['b'], ['c']],
    ['the type of items', { type: 'array', items: { type: 'string' } }, ['a'], [1]],
    ['the type of properties', { type: 'object', properties: { a: { type: 'int' } } }, { A: 1 }, { a: 'x' }],
    ['properties that must be there', { type: 'object', properties: { a: { type: 'int' } } }, { a: 1 }, {}],
    ['properties that none knows', { type: 'object', additionalProperties: false }, {}, { a: 1 }],
    ['the type of other properties', { type: 'object', additionalProperties: { type: 'int' } }, { a: 1 }, { a: 'x' }],
    ['types of its own', { $ref: '#/definitions/short' }, 'ab', 'abc'],
  ];
  for (const [what, declared, good, bad] of limited) {
    it(`keep ${what}`, () => {
      const rest = { parameters: { p: declared }, definitions: { short: { type: 'string', maxLength: 2 } } };
      assert.deepEqual(valueOf("[parameters('p')]", rest, { p: good }), good);
      assert.throws(() => valueOf("[parameters('p')]", rest, { p: bad }), { code: 'TEMPLATE_PARAMETER' });
    });
  }

  it('of types that cannot be checked are refused', () => {
    const odd = [{ $ref: '#/definitions/a' }, { type: 'array', prefixItems: [] }, { type: 'string', minLength: '3' }];
    for (const declared of odd) {
      const rest = { parameters: { p: declared }, definitions: { a: { $ref: '#/definitions/a' } } };
      assert.throws(() => valueOf("[parameters('p')]", rest, { p: 'x' }), { code: 'TEMPLATE_PARAMETER' });
    }
  });

  it('that are typed on the command line are read by their type', () => {
    const typed = (type: string, text: string): unknown =>
      valueOf("[parameters('p')]", { parameters: { p: { type } } }, { p: new TypedText(text) });
    assert.equal(typed('string', '42'), '42');
    assert.equal(typed('secureString', 'true'), 'true');
    assert.equal(typed('int', '42'), 42);
    assert.deepEqual(typed('array', '["a"]'), ['a']);
    assert.throws(() => typed('int', 'many'), { code: 'TEMPLATE_PARAMETER' });
  });

  it('of a file have values, and no secrets of a vault', () => {
    const read = (json: unknown): unknown => [...parametersOfFile(json, 'p.json')];
    assert.deepEqual(read({ parameters: { a: { value: 1 }, b: { value: null } } }), [
      ['a', 1],
      ['b', null],
    ]);
    const wrong = [[], {}, { parameters: 5 }, ...[null, 1, {}, { reference: {} }].map((a) => ({ parameters: { a } }))];
    for (const json of wrong) assert.throws(() => read(json), { code: 'TEMPLATE_PARAMETERS' });
    assert.throws(() => read({ parameters: { a: { reference: { secretName: 's' } } } }), /parameters\.a: no Key Vault/);
  });
});
