import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { resourcesOf } from '../../../src/client/template/template.js';
import { parseExpression } from '../../../src/client/template/expression.js';
import { repositoryRoot } from '../../support/machine.js';
import { codeOf, GROUP, target, valueOf } from './template-value.js';

describe('ARM templates: expressions', () => {
  const cases: [string, unknown][] = [
    ['plain', 'plain'],
    ["[[not('one')]", "[not('one')]"],
    ["['it''s']", "it's"],
    ["[concat('a', 'b', 1)]", 'ab1'],
    ["[concat(createArray(1), createArray('x'))]", [1, 'x']],
    ["[format('{0}-{1:D3}{{}}', 'a', 7)]", 'a-007{}'],
    ["[resourceId('Microsoft.Network/loadBalancers', 'lb')]", `${GROUP}/providers/Microsoft.Network/loadBalancers/lb`],
    [
      "[resourceId('s2', 'g2', 'Microsoft.Network/virtualNetworks/subnets', 'v', 's')]",
      '/subscriptions/s2/resourceGroups/g2/providers/Microsoft.Network/virtualNetworks/v/subnets/s',
    ],
    [
      "[resourceId('g2', 'Microsoft.Network/loadBalancers', 'lb')]",
      '/subscriptions/s1/resourceGroups/g2/providers/Microsoft.Network/loadBalancers/lb',
    ],
    ['[subscription().subscriptionId]', 's1'],
    ['[resourceGroup().location]', 'westeurope'],
    ['[resourceGroup().id]', GROUP],
    ["[resourceGroup()['name']]", 'g'],
    ["[if(equals(1, 1), 'yes', div(1, 0))]", 'yes'],
    ["[toUpper(last(split('a,b', ',')))]", 'B'],
    ['[add(2, mul(3, -1))]', -1],
    ["[createObject('a', range(1, 3)).a[2]]", 3],
    ["[replace('a-b-c', '-', '')]", 'abc'],
    ["[join(createArray('a', 1), ', ')]", 'a, 1'],
    ["[contains(createArray(1, 'x'), 'x')]", true],
  ];
  for (const [expression, value] of cases) {
    it(`${expression} is ${JSON.stringify(value)}`, () => {
      assert.deepEqual(valueOf(expression), value);
    });
  }

  const wrong: [string, string][] = [
    ["[nosuch('a')]", 'TEMPLATE_FUNCTION'],
    ['[concat(]', 'TEMPLATE_EXPRESSION'],
    ["[concat('a') 'b']", 'TEMPLATE_EXPRESSION'],
    ["['open]", 'TEMPLATE_EXPRESSION'],
    ['[toLower()]', 'TEMPLATE_EXPRESSION'],
    ['[div(1, 0)]', 'TEMPLATE_EXPRESSION'],
    ['[createArray(1)[1]]', 'TEMPLATE_EXPRESSION'],
    ['[resourceGroup().nothing]', 'TEMPLATE_EXPRESSION'],
    ["[resourceId('lb')]", 'TEMPLATE_EXPRESSION'],
    ['[copyIndex()]', 'TEMPLATE_EXPRESSION'],
    ["[if('yes', 1, 2)]", 'TEMPLATE_EXPRESSION'],
    ["[reference('elsewhere')]", 'TEMPLATE_REFERENCE'],
    ["[parameters('nothing')]", 'TEMPLATE_PARAMETER'],
    ["[variables('nothing')]", 'TEMPLATE_VARIABLE'],
    [`[${'concat('.repeat(70)}'a'${')'.repeat(70)}]`, 'TEMPLATE_EXPRESSION'],
    [`['${'a'.repeat(25_000)}']`, 'TEMPLATE_EXPRESSION'],
  ];
  for (const [expression, code] of wrong) {
    it(`${expression.slice(0, 40)} is ${code}`, () => {
      assert.equal(
        codeOf(() => valueOf(expression)),
        code,
      );
    });
  }

  it('names the place of a mistake, and what there is', () => {
    assert.throws(
      () => valueOf("[guid('a')]"),
      /^CulvertError: resources\[0\]\.properties\.value: the function 'guid' is not supported; there is add, and,/,
    );
  });

  it('does not overflow the stack, however deep it is nested', () => {
    const deep = `[${'a('.repeat(8000)}${')'.repeat(8000)}]`;
    assert.equal(
      codeOf(() => parseExpression(deep, 'here')),
      'TEMPLATE_EXPRESSION',
    );
  });
});

describe('ARM templates: loops', () => {
  const network = (more: object): unknown => {
    const whole = { type: 'Microsoft.Network/virtualNetworks', name: "[format('v{0}', copyIndex())]", ...more };
    return resourcesOf({ resources: [whole] }, target, new Map()).map(({ body }) => body['properties']);
  };
  const parts = (input: string): object => ({ properties: { copy: [{ name: 'parts', count: 2, input }] } });

  it('of properties leave the nameless copyIndex to the loop of the resource', () => {
    const looped = {
      copy: { name: 'nets', count: 2 },
      ...parts("[format('{0}-{1}', copyIndex(), copyIndex('parts'))]"),
    };
    assert.deepEqual(network(looped), [{ parts: ['0-0', '0-1'] }, { parts: ['1-0', '1-1'] }]);
    const offsets = { copy: { name: 'nets', count: 1 }, ...parts("[add(copyIndex(10), copyIndex('parts', 5))]") };
    assert.deepEqual(network(offsets), [{ parts: [15, 16] }]);
  });

  it('of properties and of variables alone have no nameless copyIndex', () => {
    assert.throws(() => network({ name: 'v', ...parts('[copyIndex()]') }), { code: 'TEMPLATE_EXPRESSION' });
    const variables = { copy: [{ name: 'list', count: 2, input: '[copyIndex()]' }] };
    assert.throws(() => valueOf("[variables('list')]", { variables }), { code: 'TEMPLATE_EXPRESSION' });
  });
});

describe('ARM templates: resources', () => {
  const network = (name: string, more: object = {}): object => ({
    type: 'Microsoft.Network/virtualNetworks',
    name,
    ...more,
  });
  const ids = (...resources: object[]): string[] =>
    resourcesOf({ resources }, target, new Map()).map(({ id }) => id.split('/').slice(8).join('/'));

  it('come after what they depend on', () => {
    assert.deepEqual(
      ids(
        network('a', { dependsOn: ['b'] }),
        network('b', { dependsOn: ["[resourceId('Microsoft.Network/virtualNetworks', 'c')]"] }),
        network('c'),
      ),
      ['c', 'b', 'a'],
    );
  });

  it('are refused where they depend on each other, or on nothing that is there', () => {
    assert.equal(
      codeOf(() => ids(network('a', { dependsOn: ['b'] }), network('b', { dependsOn: ['a'] }))),
      'TEMPLATE_CYCLE',
    );
    assert.equal(
      codeOf(() => ids(network('a', { dependsOn: ['x'] }))),
      'TEMPLATE_DEPENDENCY',
    );
  });

  it('are left out where their condition says so, and repeated by loops', () => {
    const loop = network("[concat('n', copyIndex())]", { copy: { name: 'l', count: 2 } });
    assert.deepEqual(ids(loop, network('no', { condition: '[equals(1, 2)]' })), ['n0', 'n1']);
    assert.equal(
      codeOf(() => ids({ ...loop, copy: { name: 'l', count: 801 } })),
      'TEMPLATE_COPY',
    );
  });

  it('do not wait for what is left out by a condition or a loop, or is there already', () => {
    const no = { condition: '[false()]' };
    const id = "[resourceId('Microsoft.Network/virtualNetworks', 'no')]";
    assert.deepEqual(ids(network('a', { dependsOn: [id, 'no'] }), network('no', no)), ['a']);
    const other = { type: 'Microsoft.Other/things', name: "[uniqueString('x')]", ...no };
    assert.deepEqual(ids(network('a'), other), ['a']);
    assert.deepEqual(ids(network('a', { dependsOn: ['none'] }), network('b', { copy: { name: 'none', count: 0 } })), [
      'a',
    ]);
    const symbolic = {
      hub: { ...network('hub'), existing: true },
      hubs: { ...network('h'), existing: true, copy: { name: 'hubs', count: 2 } },
      spokes: { ...network("[format('s{0}', copyIndex())]", no), copy: { name: 'spokes', count: 2 } },
      own: network('own', { dependsOn: ['hub', 'hubs[1]', 'spokes', 'spokes[1]'] }),
    };
    assert.deepEqual(
      resourcesOf({ resources: symbolic }, target, new Map()).map(({ id }) => id.split('/').at(-1)),
      ['own'],
    );
  });

  it('have children that are made though the parent is left out', () => {
    const child = { type: 'subnets', name: 's' };
    assert.deepEqual(ids(network('v', { condition: false, resources: [child] })), ['v/subnets/s']);
  });

  it('tell the ids of their parts', () => {
    const { properties } = {
      properties: { subnets: [{ name: 'a', properties: { addressPrefix: '10.0.0.0/24' } }], plain: [{ x: 1 }] },
    };
    const user = network('z', {
      dependsOn: ['v'],
      properties: { subnet: "[reference('v').subnets[0].id]", plain: "[reference('v').plain]" },
    });
    const [, body] = resourcesOf({ resources: [network('v', { properties }), user] }, target, new Map());
    assert.deepEqual(body!.body['properties'], {
      subnet: `${GROUP}/providers/Microsoft.Network/virtualNetworks/v/subnets/a`,
      plain: [{ x: 1 }],
    });
  });

  describe('that refer to others', () => {
    const referring = (name: string, to: string, more: object = {}): object =>
      network(name, { ...more, properties: { label: `of ${name}`, seen: `[reference('${to}').label]` } });
    const leaf = (name: string, more: object = {}): object =>
      network(name, { location: 'north', properties: { label: `of ${name}` }, ...more });
    const seen = (...resources: object[]): unknown[] =>
      resourcesOf({ resources }, target, new Map()).map(({ id, body }) => [
        id.split('/').at(-1),
        (body['properties'] as { seen?: unknown }).seen,
      ]);

    it('see what is declared later, and come after it', () => {
      assert.deepEqual(seen(referring('a', 'b'), referring('b', 'c'), leaf('c')), [
        ['c', undefined],
        ['b', 'of c'],
        ['a', 'of b'],
      ]);
    });

    it('see one that others see too, and each turn of a loop', () => {
      const loop = { name: 'all', count: 2 };
      const looped = referring("[format('x{0}', copyIndex())]", 'z', { copy: loop });
      assert.deepEqual(seen(looped, referring('y', 'z'), leaf('z')), [
        ['z', undefined],
        ['x0', 'of z'],
        ['x1', 'of z'],
        ['y', 'of z'],
      ]);
    });

    it('see the whole resource if they ask for it', () => {
      const full = network('a', {
        properties: {
          where: "[reference('b', '2025-05-01', 'Full').location]",
          label: "[reference('b', '2025-05-01', 'full').properties.label]",
        },
      });
      const [, { body }] = resourcesOf({ resources: [full, leaf('b')] }, target, new Map()) as [
        unknown,
        { body: object },
      ];
      assert.deepEqual((body as { properties: unknown }).properties, { where: 'north', label: 'of b' });
    });

    const cycles: [string, object[], RegExp][] = [
      [
        'each other',
        [referring('a', 'b'), referring('b', 'c'), referring('c', 'b')],
        /resources\[1\] -> resources\[2\] -> resources\[1\]/,
      ],
      ['themselves', [referring('a', 'a')], /resources\[0\] -> resources\[0\]/],
      ['what depends on them', [referring('a', 'b'), leaf('b', { dependsOn: ['a'] })], /depend on each other/],
    ];
    for (const [what, resources, message] of cycles) {
      it(`are refused where they refer to ${what}`, () => {
        assert.throws(() => seen(...resources), { code: 'TEMPLATE_CYCLE', message });
      });
    }

    const wrong: [string, object[], RegExp][] = [
      [
        'what is left out',
        [referring('a', 'b'), leaf('b', { condition: false })],
        /names no resource that the template makes/,
      ],
      [
        'another one by their name',
        [leaf('b'), network("[reference('b').label]")],
        /not for its name, condition, loop or dependsOn/,
      ],
    ];
    for (const [what, resources, message] of wrong) {
      it(`are refused where they refer to ${what}`, () => {
        assert.throws(() => seen(...resources), { code: 'TEMPLATE_REFERENCE', message });
      });
    }

    describe('by names that several have', () => {
      const group = (name: string, more: object = {}): object => ({
        type: 'Microsoft.Network/networkSecurityGroups',
        name,
        properties: { label: `group ${name}` },
        ...more,
      });
      const symbolic = (resources: Record<string, object>): unknown[] =>
        resourcesOf({ languageVersion: '2.0', resources }, target, new Map()).map(({ id, body }) => [
          id.split('/').at(-1),
          (body['properties'] as { seen?: unknown }).seen,
        ]);

      it('mean the symbolic name, not what another one is called in the network', () => {
        const user = referring('user', 'hub', { dependsOn: ['hub'] });
        const resources = { spoke: leaf('hub', { dependsOn: ['hub'] }), hub: leaf('x'), user };
        assert.deepEqual(symbolic(resources), [
          ['x', undefined],
          ['hub', undefined],
          ['user', 'of x'],
        ]);
        assert.deepEqual(symbolic({ hub: group('x'), spoke: leaf('hub'), user: referring('user', 'spoke') }).at(-1), [
          'user',
          'of hub',
        ]);
      });

      it('make no circle of symbolic names and names of others', () => {
        const resources = {
          net: leaf('lb', { dependsOn: ['sg'] }),
          sg: group('net', { dependsOn: ['lb'] }),
          lb: group('other'),
        };
        assert.deepEqual(
          symbolic(resources).map((each) => (each as string[])[0]),
          ['other', 'net', 'lb'],
        );
      });

      it('mean the symbolic name of a loop, not what loops are called in copy', () => {
        const turns = leaf("[format('n{0}', copyIndex())]", { copy: { name: 'one', count: 2 } });
        const user = referring('user', 'one', { dependsOn: ['one', 'many'] });
        assert.deepEqual(symbolic({ many: turns, one: leaf('z'), user }).at(-1), ['user', 'of z']);
        const second = network('user', { properties: { seen: "[reference('many[1]').label]" } });
        assert.deepEqual(symbolic({ many: turns, user: second }).at(-1), ['user', "of [format('n{0}', copyIndex())]"]);
      });

      it('do not mean another one where the symbolic name is left out', () => {
        const resources = { hub: leaf('x', { condition: false }), spoke: leaf('hub'), user: referring('user', 'hub') };
        assert.throws(() => symbolic(resources), {
          code: 'TEMPLATE_REFERENCE',
          message: /resources\.spoke has a symbolic name, call it by that or by its id/,
        });
        const waits = { hub: leaf('x', { condition: false }), spoke: leaf('hub', { dependsOn: ['a'] }) };
        assert.equal(symbolic({ ...waits, a: leaf('a', { dependsOn: ['hub'] }) }).length, 2);
        assert.throws(() => symbolic({ spoke: leaf('hub'), a: leaf('a', { dependsOn: ['hub'] }) }), {
          code: 'TEMPLATE_DEPENDENCY',
          message: /resources\.spoke has a symbolic name/,
        });
      });

      it('say nothing of symbolic names where there are none', () => {
        const child = { type: 'subnets', name: 's' };
        assert.throws(() => seen(leaf('v', { resources: [child] }), referring('a', 's')), /what only the server knows/);
        assert.throws(() => seen(leaf('v', { dependsOn: ['v'] })), /'v' is no resource of this template$/);
      });

      it('are refused without symbolic names; an id says which', () => {
        const both = [group('web'), leaf('web')];
        const message = /may mean any of .*networkSecurityGroups\/web, .*virtualNetworks\/web: say which one/;
        assert.throws(() => seen(...both, referring('a', 'web')), { code: 'TEMPLATE_REFERENCE', message });
        const byId = "[reference(resourceId('Microsoft.Network/virtualNetworks', 'web')).label]";
        assert.deepEqual(seen(...both, network('a', { properties: { seen: byId } })).at(-1), ['a', 'of web']);
        const loop = leaf("[format('n{0}', copyIndex())]", { copy: { name: 'loop', count: 2 } });
        assert.throws(() => seen(loop, referring('a', 'loop')), { code: 'TEMPLATE_REFERENCE', message: /n0, .*n1/ });
      });
    });

    it('are refused in variables, which who uses them would not come after', () => {
      const variables = { label: "[reference('z').label]" };
      const user = network('a', { properties: { seen: "[variables('label')]" } });
      assert.throws(() => resourcesOf({ variables, resources: [user, leaf('z')] }, target, new Map()), {
        code: 'TEMPLATE_REFERENCE',
        message: /variables\.label: reference .*not, as in Azure, for a variable/,
      });
    });

    it('are evaluated once, however many refer to them', () => {
      const twice = Array.from({ length: 40 }, (_, i) =>
        network(`v${String(i)}`, {
          properties: {
            label: `[first(concat(reference('v${String(i + 1)}').label, reference('v${String(i + 1)}').label))]`,
          },
        }),
      );
      assert.equal(seen(...twice, leaf('v40')).length, 41);
    });

    it('do not overflow the stack, however many refer to the next one', () => {
      const chain = Array.from({ length: 800 }, (_, i) =>
        i === 799 ? leaf('v799') : referring(`v${String(i)}`, `v${String(i + 1)}`),
      );
      assert.throws(() => seen(...chain), { code: 'TEMPLATE_TOO_DEEP' });
      assert.equal(seen(...chain.slice(700)).length, 100);
    });
  });

  const malformed: [string, unknown, string][] = [
    ['resources that are a number', 5, 'TEMPLATE_RESOURCE'],
    ['no resources', undefined, 'TEMPLATE_RESOURCE'],
    ['a resource that is a text', ['x'], 'TEMPLATE_RESOURCE'],
    ['children that are a number', [network('v', { resources: 5 })], 'TEMPLATE_RESOURCE'],
    ['dependsOn that is a text', [network('v', { dependsOn: 'x' })], 'TEMPLATE_DEPENDENCY'],
    ['dependsOn that is an object', [network('v', { dependsOn: { a: 1 } })], 'TEMPLATE_DEPENDENCY'],
    ['a number in dependsOn', [network('v', { dependsOn: [5] })], 'TEMPLATE_DEPENDENCY'],
    ['a loop of a resource that is a list', [network('v', { copy: [{ name: 'x' }] })], 'TEMPLATE_COPY'],
    ['a loop without a name', [network('v', { copy: { count: 1 } })], 'TEMPLATE_COPY'],
    ['no name', [{ type: 'Microsoft.Network/virtualNetworks' }], 'TEMPLATE_RESOURCE'],
    ['an empty name', [network('')], 'TEMPLATE_RESOURCE'],
    ['a condition that is a text', [network('v', { condition: 'no' })], 'TEMPLATE_RESOURCE'],
  ];
  for (const [what, resources, code] of malformed) {
    it(`are refused with ${what}`, () => {
      assert.equal(
        codeOf(() => resourcesOf({ resources }, target, new Map())),
        code,
      );
    });
  }

  it('have children, inside or by full names', () => {
    const child = { type: 'subnets', name: 's' };
    assert.deepEqual(ids(network('v', { resources: [child] })), ['v', 'v/subnets/s']);
    assert.deepEqual(ids({ type: 'Microsoft.Network/virtualNetworks/subnets', name: 'v/s' }), ['v/subnets/s']);
  });

  it('of other types are refused with what there is, twice the same too', () => {
    assert.equal(
      codeOf(() => ids({ type: 'Microsoft.Compute/virtualMachines', name: 'vm' })),
      'TEMPLATE_TYPE',
    );
    assert.equal(
      codeOf(() => ids(network('a'), network('A'))),
      'TEMPLATE_RESOURCE',
    );
  });

  it('of a whole template have their bodies evaluated', () => {
    const file = path.join(repositoryRoot, 'fixtures', 'templates', 'private-link.json');
    const template: unknown = JSON.parse(readFileSync(file, 'utf8'));
    const resources = resourcesOf(template, target, new Map<string, unknown>([['natAddresses', 3]]));
    const service = resources.find(({ id }) => id.endsWith('/privateLinkServices/web'))!;
    const properties = service.body['properties'] as { ipConfigurations: { name: string }[]; autoApproval: unknown };
    assert.deepEqual(
      properties.ipConfigurations.map(({ name }) => name),
      ['nat-1', 'nat-2', 'nat-3'],
    );
    assert.deepEqual(properties.autoApproval, { subscriptions: ['s1'] });
    const endpoint = resources.at(-1)!.body['properties'] as {
      privateLinkServiceConnections: { properties: object }[];
    };
    assert.deepEqual(endpoint.privateLinkServiceConnections[0]!.properties, { privateLinkServiceId: service.id });
  });
});
