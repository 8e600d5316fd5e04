import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ConfigError, formatFinding, loadLab, parseLab } from '../../../src/config/index.js';
import { TIMEOUT_PROFILES, type Timeouts } from '../../../src/translate/options.js';
import { Tables } from '../../../src/translate/tables.js';
import { parseAddress } from '../../../src/wire/address.js';
import { edited, example, exampleFile, good, mistakes, only, repositoryFile, warningsOf } from './helpers.js';

describe('config: a good lab', () => {
  it('gives the translator consumers with equal addresses apart by network, with rules and destinations', () => {
    const { topology, warnings } = loadLab(exampleFile);
    assert.deepEqual(warnings, []);
    assert.deepEqual(topology.networks, ['red', 'blue', 'provider']);
    const [web, database] = topology.links;
    assert.deepEqual(web, {
      name: 'web',
      natAddresses: [parseAddress('10.200.1.4'), parseAddress('10.200.1.5')],
      natPortFirst: 1024,
      natPortCount: 64000,
      proxy: { dialect: 'azure' },
      rules: [
        {
          protocol: 6,
          frontendPort: 80,
          backendPort: 8080,
          backends: [parseAddress('10.200.2.4'), parseAddress('10.200.2.5')],
          distribution: 'Default',
          idleTimeoutMs: 240_000,
          tcpReset: false,
          probe: { name: 'lb/web', noHealthyBackends: 'AllProbedDown' },
        },
      ],
      destination: null,
      tcpIdleTimeoutMs: 300_000,
      udpIdleTimeoutMs: 300_000,
      endpoints: [
        { name: 'red-web', network: 0, address: parseAddress('10.0.0.4'), linkId: 1001, approved: true },
        { name: 'blue-web', network: 1, address: parseAddress('10.0.0.4'), linkId: 1002, approved: true },
      ],
    });
    assert.equal(database?.destination, parseAddress('10.200.3.4'));
    assert.deepEqual(database.rules, []);
  });

  it('reads the same lab from JSON, tabs and all', () => {
    const lab = {
      virtualNetworks: { a: { addressSpace: ['10.0.0.0/16'], subnets: { s: '10.0.0.0/24' } } },
      translation: { seed: 7 },
    };
    const { model, settings } = good(JSON.stringify(lab, null, '\t'));
    assert.equal(model.virtualNetworks.get('a')?.subscription, 'default');
    assert.equal(settings.seed, 7);
  });

  it('takes the smaller of the idle times of service and rule', () => {
    const idle = (service: string, rule: string): number | undefined =>
      good(
        edited(
          ['idleTimeoutInSeconds: 300', `idleTimeoutInSeconds: ${service}`],
          ['InMinutes: 4', `InMinutes: ${rule}`],
        ),
      ).topology.links[0]?.rules[0]?.idleTimeoutMs;
    assert.equal(idle('300', '4'), 240_000);
    assert.equal(idle('300', '10'), 300_000);
    assert.equal(idle('60', '30'), 60_000);
  });

  it('lets a profile or a single time override the idle times of the resources', () => {
    const rfc = good(edited(['profile: azure', 'profile: rfc']));
    assert.equal(rfc.topology.links[0]?.rules[0]?.idleTimeoutMs, 7_440_000);
    assert.equal(rfc.settings.udpMs, 300_000);
    const single = good(edited(['profile: azure', 'tcpEstablished: 1.5, portHold: 0']));
    assert.equal(single.topology.links[0]?.rules[0]?.idleTimeoutMs, 1500);
    assert.equal(single.settings.portHoldMs, 0);
    assert.equal(single.settings.udpMs, null);
  });

  for (const [profile, tcp, udp] of [
    ['azure', 300_000, 300_000],
    ['rfc', 7_440_000, 300_000],
    ['capture', 86_400_000, 86_400_000],
  ] as const) {
    it(`gives Direct Connect, which has no rules, the idle times of profile ${profile}, TCP and UDP apart`, () => {
      const tables = new Tables(good(edited(['profile: azure', `profile: ${profile}`])).topology, 1);
      const direct = tables.links.find((l) => l.spec.destination !== null)!;
      assert.equal(tables.rule(direct, 6, 5432)?.idleMs, tcp);
      assert.equal(tables.rule(direct, 17, 5432)?.idleMs, udp);
    });
  }

  it('lets a single time override the idle times of Direct Connect', () => {
    const text = edited(['profile: azure', 'tcpEstablished: 10, udp: 20']);
    const direct = good(text).topology.links.find((l) => l.destination !== null);
    assert.deepEqual([direct?.tcpIdleTimeoutMs, direct?.udpIdleTimeoutMs], [10_000, 20_000]);
  });

  it('means by a profile what the translator means by it', () => {
    for (const [profile, times] of Object.entries(TIMEOUT_PROFILES) as [string, Timeouts][]) {
      const { settings } = good(edited(['profile: azure', `profile: ${profile}`]));
      assert.equal(settings.tcpHalfOpenMs, times.tcpHalfOpenMs);
      assert.equal(settings.tcpClosingMs, times.tcpClosingMs);
      assert.equal(settings.fragmentMs, times.fragmentMs);
      assert.equal(settings.portHoldMs, times.portHoldMs);
      // The resources have idle times of their own, of which Azure's profile leaves the choice to them.
      assert.equal(settings.tcpEstablishedMs, profile === 'azure' ? null : times.tcpEstablishedMs);
      assert.equal(settings.udpMs, profile === 'azure' ? null : times.udpMs);
    }
  });

  it('compiles protocol All with port 0 into a TCP and a UDP rule for every port', () => {
    const text = edited(
      ['protocol: Tcp\n', 'protocol: All\n'],
      ['frontendPort: 80', 'frontendPort: 0'],
      ['backendPort: 8080', 'backendPort: 0'],
    );
    const rules = good(text).topology.links[0]?.rules;
    assert.deepEqual(
      rules?.map((rule) => [rule.protocol, rule.frontendPort]),
      [
        [6, 0],
        [17, 0],
      ],
    );
  });

  const NICS = [
    'networkInterfaces:',
    '  web-1:',
    '    ipConfigurations:',
    '      - { name: first, subnet: provider/backend, address: 10.200.2.4 }',
    '      - { name: second, subnet: provider/backend, address: 10.200.2.5, primary: true }',
    '',
  ].join('\n');
  const withNics = (...edits: readonly (readonly [string, string])[]): string =>
    edited(['privateLinkServices:\n', `${NICS}privateLinkServices:\n`], ...edits);

  it('takes interfaces for backends, by name or by address, and gives the translator their addresses', () => {
    const text = withNics(['[10.200.2.4, 10.200.2.5]', '[web-1/first, 10.200.2.5, 10.200.2.6]']);
    const { model, topology } = good(text);
    const addresses = ['10.200.2.4', '10.200.2.5', '10.200.2.6'].map(parseAddress);
    assert.deepEqual(model.loadBalancers.get('lb')?.backendPools.get('web'), addresses);
    assert.deepEqual(topology.links.find(({ name }) => name === 'web')?.rules[0]?.backends, addresses);
    const nic = model.networkInterfaces.get('web-1')!;
    assert.equal(nic.subscription, 'provider');
    assert.deepEqual(
      nic.ipConfigurations.map(({ name, primary }) => [name, primary]),
      [
        ['first', false],
        ['second', true],
      ],
    );
    assert.deepEqual(
      good(withNics([', primary: true', ''])).model.networkInterfaces.get('web-1')?.ipConfigurations[0]?.primary,
      true,
    );
  });

  it('takes for an address what is one, also where an interface has that name', () => {
    const { model } = good(withNics(['  web-1:\n', '  10.200.2.4:\n']));
    assert.equal(model.loadBalancers.get('lb')?.backendPools.get('web')?.[0], parseAddress('10.200.2.4'));
  });

  it('says of each mistake in an interface, or in the name of one, what would be right', () => {
    const said = (...edits: readonly (readonly [string, string])[]): string => {
      const { code, line, path, message } = only(withNics(...edits));
      assert.ok(line !== undefined && line > 0);
      return `${code} ${path ?? ''}: ${message}`;
    };
    const backend = (text: string): string => said(['[10.200.2.4, 10.200.2.5]', `[${text}]`]);
    const pool = 'loadBalancers.lb.backendPools.web[0]';
    assert.equal(
      backend('web-2/first'),
      `CONFIG_UNKNOWN_REFERENCE ${pool}: no network interface 'web-2': did you mean 'web-1'?`,
    );
    assert.equal(
      backend('web-1/frist'),
      `CONFIG_UNKNOWN_REFERENCE ${pool}: no ipConfiguration in network interface 'web-1': 'frist': did you mean 'first'?`,
    );
    assert.equal(
      backend('web-1'),
      `CONFIG_REFERENCE ${pool}: 'web-1' is not of the form network interface/ipConfiguration`,
    );
    assert.match(backend('10.200.2.0/24'), /^ADDRESS_INVALID .*: '10\.200\.2\.0\/24' is not an IPv4 address/);
    assert.match(backend('"fd00::/64"'), /^IPV4_ONLY /);
    const at = 'networkInterfaces.web-1.ipConfigurations';
    assert.equal(
      said(['name: second', 'name: First']),
      `CONFIG_NAME ${at}[1].name: another ipConfiguration is named 'First' too (case does not count)`,
    );
    assert.equal(
      said(['address: 10.200.2.4', 'address: 10.200.2.4, primary: true']),
      `CONFIG_VALUE ${at}[1].primary: 'first' is primary too; exactly one ipConfiguration can be`,
    );
    assert.match(
      said(['subnet: provider/backend', 'subnet: provider/bakend']),
      /^CONFIG_UNKNOWN_REFERENCE .*'backend'\?$/,
    );
    assert.match(said(['address: 10.200.2.4 }', 'address: 10.200.2.400 }']), /^ADDRESS_INVALID /);
    assert.match(
      said(['  web-1:\n', '  web-1:\n    id: /nowhere\n']),
      /^CONFIG_VALUE networkInterfaces\.web-1\.id: .*networkInterfaces\/NAME$/,
    );
    assert.match(
      said(['privateLinkServices:\n', '  none: { ipConfigurations: [] }\nprivateLinkServices:\n']),
      /at least one ipConfiguration$/,
    );
  });

  it('draws missing link identifiers and aliases from the seed, the same every time and apart from the written ones', () => {
    const text = edited([', linkIdentifier: 1001', '']);
    const first = good(text);
    assert.deepEqual(good(text).topology, first.topology);
    const drawn = first.model.privateEndpoints.get('red-web')?.linkIdentifier ?? 0;
    assert.ok(drawn >= 1 && drawn <= 0xffff_ffff && drawn !== 1002);
    const other = good(text.replace('seed: 1', 'seed: 2'));
    assert.notEqual(other.model.privateEndpoints.get('red-web')?.linkIdentifier, drawn);
    const alias = first.model.privateLinkServices.get('web')?.alias ?? '';
    assert.match(
      alias,
      /^web\.[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.local\.azure\.privatelinkservice$/,
    );
  });

  it('leaves the identifiers of other endpoints alone when one is added', () => {
    const before = good(edited([', linkIdentifier: 1001', '']));
    const extra = '  more: { subnet: red/default, address: 10.0.0.9, privateLinkService: web }\n\ntranslation:';
    const after = good(edited([', linkIdentifier: 1001', ''], ['\ntranslation:', extra]));
    const id = (lab: typeof before): number | undefined => lab.model.privateEndpoints.get('red-web')?.linkIdentifier;
    assert.equal(id(after), id(before));
  });

  it('starts a connection Approved when auto-approved, else Pending with a warning', () => {
    assert.deepEqual(warningsOf(example), []);
    const text = edited(['autoApproval: [consumer]', 'autoApproval: []']);
    assert.deepEqual(warningsOf(text), ['ENDPOINT_NOT_APPROVED', 'ENDPOINT_NOT_APPROVED']);
    assert.deepEqual(
      good(text).topology.links[0]?.endpoints.map((endpoint) => endpoint.approved),
      [false, false],
    );
    const approved = text.replace('linkIdentifier: 1001', 'status: Approved, linkIdentifier: 1001');
    assert.deepEqual(
      good(approved).topology.links[0]?.endpoints.map((endpoint) => endpoint.approved),
      [true, false],
    );
  });

  it('reads every PROXY dialect', () => {
    const dialect = (text: string): unknown => good(edited(['{ dialect: azure }', text])).topology.links[0]?.proxy;
    assert.deepEqual(dialect('{ dialect: gcp }'), { dialect: 'gcp' });
    assert.deepEqual(dialect('{ dialect: aws }'), { dialect: 'aws', endpointId: '' });
    assert.deepEqual(dialect('{ dialect: aws, endpointId: vpce-1 }'), { dialect: 'aws', endpointId: 'vpce-1' });
    assert.deepEqual(
      dialect('{ dialect: custom, crc32c: true, tlvs: [{ type: 0xE1, hex: 00ff }, { type: 2, text: é }] }'),
      {
        dialect: 'custom',
        crc32c: true,
        tlvs: [
          { type: 0xe1, value: Uint8Array.of(0, 255) },
          { type: 2, value: Uint8Array.of(0xc3, 0xa9) },
        ],
      },
    );
    assert.equal(
      good(edited(['enableProxyProtocol: true', 'enableProxyProtocol: false'])).topology.links[0]?.proxy,
      null,
    );
  });

  it('reads anchors and aliases', () => {
    const text = edited(
      ['addressSpace: [10.0.0.0/16]', 'addressSpace: &space [10.0.0.0/16]'],
      ['addressSpace: [10.0.0.0/16]', 'addressSpace: *space'],
    );
    const { virtualNetworks } = good(text).model;
    assert.deepEqual(virtualNetworks.get('blue')?.addressSpace, virtualNetworks.get('red')?.addressSpace);
    const wrong = mistakes(text.replace('&space [10.0.0.0/16]', '&space [10.0.0.0/16, 10.0.0.0/33]'));
    const where = wrong.map(({ line, path }) => `${String(line)} ${path ?? ''}`);
    assert.deepEqual(where, ['10 virtualNetworks.red.addressSpace[1]', '10 virtualNetworks.blue.addressSpace[1]']);
  });
});

describe('config: a lab with mistakes', () => {
  it('reports all of them in one run, each with code, line, path and what would be right', () => {
    let caught: unknown;
    try {
      loadLab(repositoryFile('fixtures/labs/mistakes.yaml'));
    } catch (error) {
      caught = error;
    }
    assert.ok(caught instanceof ConfigError);
    assert.equal(caught.code, 'CONFIG_INVALID');
    const found = caught.problems.map((p) => `${String(p.place.line)} ${p.code} ${p.place.path ?? ''}`);
    assert.deepEqual(found, [
      '6 CONFIG_UNKNOWN_REFERENCE virtualNetworks.red.subscription',
      '7 IPV4_ONLY virtualNetworks.red.addressSpace[1]',
      '9 CIDR_HOST_BITS virtualNetworks.red.subnets.default',
      '10 CONFIG_NAME virtualNetworks.red.subnets["a b"]',
      '13 CONFIG_UNKNOWN_KEY virtualNetworks.provider.adressSpace',
      '16 SUBNETS_OVERLAP virtualNetworks.provider.subnets.other',
      '17 SUBNET_OUTSIDE_ADDRESS_SPACE virtualNetworks.provider.subnets.far',
      '18 CONFIG_TYPE virtualNetworks.provider.subnets.odd',
      '23 CONFIG_VALUE loadBalancers.lb.sku',
      '25 ADDRESS_INVALID loadBalancers.lb.backendPools.web[1]',
      '26 PROBE_INTERVAL_RANGE loadBalancers.lb.probes.web.intervalInSeconds',
      '28 CONFIG_UNKNOWN_REFERENCE loadBalancers.lb.rules[0].frontend',
      '28 IDLE_TIMEOUT_RANGE loadBalancers.lb.rules[0].idleTimeoutInMinutes',
      '29 CONFIG_MISSING_KEY loadBalancers.lb.rules[1].name',
      '34 PrivateLinkServiceCannotBeCreatedInSubnetThatHasNetworkPoliciesEnabled privateLinkServices.web.ipConfigurations[0]',
      '36 SERVICE_TARGET privateLinkServices.web.destinationIPAddress',
      '37 CONFIG_TYPE privateLinkServices.web.enableProxyProtocol',
      '38 CONFIG_UNKNOWN_KEY privateLinkServices.web.visiblity',
      '38 CONFIG_UNKNOWN_REFERENCE privateLinkServices.web.visiblity[1]',
      '41 CONFIG_DUPLICATE_KEY privateLinkServices.web.idleTimeoutInSeconds',
      '44 LINK_IDENTIFIER_RANGE privateEndpoints.red.linkIdentifier',
      '45 CONFIG_VALUE privateEndpoints.blue.status',
      '46 CONFIG_UNKNOWN_REFERENCE privateEndpoints.green.privateLinkService',
      '49 CONFIG_UNKNOWN_KEY translation.maxflows',
      '50 SETTING_RANGE translation.timeouts.udp',
    ]);
    const lines = caught.problems.map(formatFinding);
    assert.match(
      lines.join('\n'),
      /mistakes\.yaml:38:5: CONFIG_UNKNOWN_KEY .*unknown key 'visiblity': did you mean 'visibility'\?/,
    );
    for (const line of lines) assert.ok(caught.message.includes(line), line);
  });

  it('gives the column of the value at fault', () => {
    try {
      parseLab('virtualNetworks:\n  a: { addressSpace: [10.0.0.0/33], subnets: {} }\n', 'x.yaml');
      assert.fail('a block of prefix 33 was taken');
    } catch (error) {
      assert.ok(error instanceof ConfigError);
      assert.deepEqual(error.problems[0]?.place, {
        file: 'x.yaml',
        line: 2,
        column: 23,
        path: 'virtualNetworks.a.addressSpace[0]',
      });
    }
  });

  it('says what a value is and what is needed', () => {
    const said = (value: string): string => only(`virtualNetworks: ${value}`).message;
    assert.equal(said(''), "'virtualNetworks' is nothing; a mapping is needed here");
    assert.equal(said('[]'), "'virtualNetworks' is a list; a mapping is needed here");
    assert.equal(said('1.50'), "'virtualNetworks' is the number 1.5; a mapping is needed here");
    assert.equal(said('true'), "'virtualNetworks' is true; a mapping is needed here");
    assert.equal(said('abc'), "'virtualNetworks' is the text 'abc'; a mapping is needed here");
    const item = only('virtualNetworks: { a: { addressSpace: [10.0.0.0/8, 10.1], subnets: {} } }');
    assert.equal(item.message, 'item 2 is the number 10.1; a text is needed here; quote it');
    assert.equal(
      only('virtualNetworks: {}\nseed: 1').message.slice(0, 41),
      "unknown key 'seed'; known here: subscript",
    );
  });

  it('takes numbers as names, as they are written', () => {
    const network = '{ addressSpace: [10.0.0.0/8], subnets: { 0x1: 10.0.0.0/24 } }';
    const { model } = good(`virtualNetworks: { 1.0: ${network} }`);
    assert.deepEqual([...model.virtualNetworks.keys()], ['1.0']);
    assert.deepEqual([...(model.virtualNetworks.get('1.0')?.subnets.keys() ?? [])], ['0x1']);
    assert.equal(mistakes(`virtualNetworks: { "1": ${network}, 1: ${network} }`)[0]?.code, 'CONFIG_DUPLICATE_KEY');
    for (const key of ['? ', 'null', '? [a]', '~']) {
      assert.equal(
        mistakes(`virtualNetworks: {}\n${key}\n: 1`.replace(/^(null|~)\n/m, '$1'))[0]?.code,
        'CONFIG_KEY',
        key,
      );
    }
  });

  it('refuses two names that differ in case alone', () => {
    const network = '{ addressSpace: [10.0.0.0/8], subnets: {} }';
    assert.equal(only(`virtualNetworks: { red: ${network}, Red: ${network} }`).path, 'virtualNetworks.Red');
  });

  it('says little when the whole is wrong: empty, text, list, other syntax', () => {
    assert.equal(only('').code, 'CONFIG_EMPTY');
    assert.equal(only('# nothing\n').code, 'CONFIG_EMPTY');
    assert.equal(only('just text').code, 'CONFIG_TYPE');
    assert.equal(only('[1]').code, 'CONFIG_TYPE');
    assert.equal(only('a: 1\n---\nb: 2').code, 'CONFIG_SYNTAX');
    assert.match(only('%YAML 1.1\n---\na: yes').message, /YAML 1\.2/);
    assert.match(only('virtualNetworks:\n\ta: 1\n').message, /tab/);
    assert.match(only('virtualNetworks: {}\nx: *y\n').message, /anchor/);
    assert.match(only('visibility: [*]').message, /quote it: '\*'/);
    assert.equal(only('{}').code, 'CONFIG_MISSING_KEY');
  });

  it('bounds depth and aliases instead of failing on them', () => {
    const bomb = [
      'a0: &a0 [1, 1]',
      ...Array.from({ length: 30 }, (_, i) => `a${String(i + 1)}: &a${String(i + 1)} [*a${String(i)}, *a${String(i)}]`),
    ];
    for (const text of [
      '['.repeat(20_000),
      '- '.repeat(20_000),
      '{a: '.repeat(20_000),
      'a: &x [*x]',
      bomb.join('\n'),
    ]) {
      assert.equal(only(text).code, 'CONFIG_TOO_LARGE', text.slice(0, 20));
    }
  });

  it('refuses keys that are no names, without touching any prototype', () => {
    assert.equal(mistakes('virtualNetworks: { __proto__: { addressSpace: [], subnets: {} } }')[0]?.code, 'CONFIG_KEY');
    assert.equal(mistakes('virtualNetworks: { constructor: 1 }')[0]?.code, 'CONFIG_TYPE');
    assert.equal(mistakes('virtualNetworks: {}\n<<: { a: 1 }')[0]?.code, 'CONFIG_KEY');
    assert.equal(mistakes('virtualNetworks: {}\n? [a]\n: 1')[0]?.code, 'CONFIG_KEY');
    assert.equal(
      only(edited(['privateLinkService: web, linkIdentifier: 1001', 'privateLinkService: toString'])).code,
      'CONFIG_UNKNOWN_REFERENCE',
    );
  });

  it('takes no tag that makes more of a value than JSON has, wherever it stands', () => {
    const text = 'virtualNetworks:\n  a: { addressSpace: [10.0.0.0/16], subnets: { x: !!binary "AA==" } }\n';
    assert.deepEqual(
      mistakes(text).map(({ code, line }) => [code, line]),
      [['CONFIG_SYNTAX', 2]],
    );
  });

  it('reports files that cannot be read as mistakes too', () => {
    const code = (path: string): string | undefined => {
      try {
        loadLab(path);
        return undefined;
      } catch (error) {
        return error instanceof ConfigError ? error.problems[0]?.code : String(error);
      }
    };
    assert.equal(code(repositoryFile('no-such-file.yaml')), 'CONFIG_UNREADABLE');
    assert.equal(code(repositoryFile('fixtures')), 'CONFIG_UNREADABLE');
    assert.equal(code(process.execPath), 'CONFIG_TOO_LARGE');
    assert.equal(code('/dev/zero'), 'CONFIG_TOO_LARGE', 'no size is told beforehand');
    assert.equal(code('/bin/true'), 'CONFIG_NOT_TEXT');
  });

  it('never throws anything but a ConfigError, whatever is done to the file', () => {
    const lines = example.split('\n');
    const junk = fc.constantFrom(
      '',
      ':',
      '[',
      '}',
      '"',
      '- x',
      'null',
      '0',
      '*a',
      '&a',
      '\t',
      '[]',
      '{}',
      '!!binary x',
      '1e999',
      '.nan',
    );
    const change = fc.tuple(fc.nat(lines.length - 1), fc.nat(60), fc.nat(12), junk);
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const text = [...lines];
        for (const [line, column, length, insert] of changes) {
          const old = text[line] ?? '';
          text[line] = old.slice(0, column) + insert + old.slice(column + length);
        }
        for (const { line, message } of mistakes(text.join('\n'))) {
          assert.ok(line !== undefined && line >= 1 && line <= lines.length + 1, String(line));
          assert.ok(!/undefined|\[object|NaN expected/.test(message), message);
        }
      }),
      { numRuns: 300 },
    );
  });
});
