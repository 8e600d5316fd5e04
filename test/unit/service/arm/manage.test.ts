import assert from 'node:assert/strict';
import { armCode } from '../../../../src/service/arm/refusal.js';
import { Verdict } from '../../../../src/service/arm/judge.js';
import { modelOf } from '../../../../src/service/arm/model.js';
import { formatAddress } from '../../../../src/wire/address.js';
import { viewOf } from '../../../../src/service/arm/view.js';
import { G, Held, subnet, withNetwork } from './sequence.js';

const frontend = `${G}/loadBalancers/lb/frontendIPConfigurations/f`;
const nat = (...names: string[]): object[] => names.map((name) => ({ name, properties: { subnet: subnet('nat') } }));

function withService(properties: object = {}): Held {
  const held = withNetwork();
  held.put('loadBalancers/lb', { frontendIPConfigurations: [{ name: 'f', properties: { subnet: subnet() } }] });
  service(held, properties);
  return held;
}

const service = (held: Held, properties: object = {}, name = 'web'): Record<string, unknown> =>
  held.put(`privateLinkServices/${name}`, {
    loadBalancerFrontendIpConfigurations: [{ id: frontend }],
    ipConfigurations: nat('one'),
    ...properties,
  }).properties;

const endpoint = (
  held: Held,
  name: string,
  target = `${G}/privateLinkServices/web`,
  list = 'manualPrivateLinkServiceConnections',
) =>
  held.put(`privateEndpoints/${name}`, {
    subnet: subnet('nat'),
    [list]: [{ name, properties: { privateLinkServiceId: target } }],
  });

const connectionsOf = (held: Held): string[] =>
  [...held.documents.values()].filter(({ id }) => id.includes('/privateEndpointConnections/')).map(({ id }) => id);

const stateOf = (held: Held, name: string): unknown => {
  const view = viewOf(held.get(`privateEndpoints/${name}`)!, held.documents) as {
    properties: {
      manualPrivateLinkServiceConnections: { properties: { privateLinkServiceConnectionState: { status: string } } }[];
    };
  };
  return view.properties.manualPrivateLinkServiceConnections[0]?.properties.privateLinkServiceConnectionState.status;
};

describe('service: private link services over the interface', () => {
  it('keep their alias, their interface and their NAT addresses by name', () => {
    const held = withService();
    const first = held.get('privateLinkServices/web')!.properties;
    const second = service(held, { ipConfigurations: nat('two', 'one'), fqdns: ['a.example'] });
    assert.equal(second['alias'], first['alias']);
    assert.deepEqual(second['networkInterfaces'], first['networkInterfaces']);
    const addresses = (
      second['ipConfigurations'] as { name: string; properties: { privateIPAddress: string; primary: boolean } }[]
    ).map(({ name, properties: { privateIPAddress, primary } }) => [name, privateIPAddress, primary]);
    assert.deepEqual(addresses, [
      ['two', '10.0.1.5', true],
      ['one', '10.0.1.4', false],
    ]);
  });

  it('have the primary NAT address first in the model, and the others in their order', () => {
    const held = withService();
    const configurations = nat('one', 'two', 'three', 'four') as { properties: { primary?: boolean } }[];
    configurations[2]!.properties.primary = true;
    service(held, { ipConfigurations: configurations });
    const verdict = new Verdict(held.documents);
    const [model] = modelOf(held.documents, verdict).privateLinkServices.values();
    assert.deepEqual(model!.ipConfigurations.map(formatAddress), ['10.0.1.6', '10.0.1.4', '10.0.1.5', '10.0.1.7']);
  });

  it('have one primary NAT address', () => {
    const held = withService();
    const both = nat('one', 'two').map((each) => ({ ...each, properties: { subnet: subnet('nat'), primary: true } }));
    assert.throws(() => service(held, { ipConfigurations: both }), {
      code: 'InvalidRequestFormat',
      message: /'one', 'two': exactly one/,
    });
  });

  it('never lose their last NAT address, nor have a ninth', () => {
    const digits = ['1', '2', '3', '4', '5', '6', '7', '8'];
    const held = withService();
    assert.throws(() => service(held, { ipConfigurations: [] }), { code: 'NatIpCount' });
    assert.throws(() => service(held, { ipConfigurations: undefined }), { code: 'NatIpCount' });
    assert.throws(() => service(held, { ipConfigurations: nat(...digits, '9') }), { code: 'NatIpCount' });
    service(held, { ipConfigurations: nat(...digits) });
  });

  it('lead where they led', () => {
    const held = withService();
    const none = { loadBalancerFrontendIpConfigurations: [] };
    assert.throws(() => service(held, none), { code: 'PropertyChangeNotAllowed' });
    assert.throws(() => service(held, { ...none, destinationIPAddress: '10.0.0.9' }), {
      code: 'PropertyChangeNotAllowed',
    });
    assert.throws(() => service(held, { ...none, destinationIPAddress: '10.0.0.9' }, 'direct'), { code: 'NatIpCount' });
    const two = [{ id: frontend }, { id: frontend }];
    assert.throws(() => service(held, { loadBalancerFrontendIpConfigurations: two }, 'other'), {
      message: /exactly one/,
    });
  });

  it('have a load balancer frontend to themselves, with a pool of interfaces', () => {
    const held = withService();
    assert.throws(() => service(held, {}, 'second'), {
      code: 'FrontendInUse',
      message: new RegExp(`'${G}/privateLinkServices/web'`),
    });
    const pool = {
      name: 'p',
      properties: { loadBalancerBackendAddresses: [{ name: 'b', properties: { ipAddress: '10.0.0.6' } }] },
    };
    const rule = {
      frontendIPConfiguration: { id: frontend },
      backendAddressPool: { id: `${G}/loadBalancers/lb/backendAddressPools/p` },
      protocol: 'Tcp',
      frontendPort: 1,
      backendPort: 1,
    };
    const properties = {
      frontendIPConfigurations: [{ name: 'f', properties: { subnet: subnet() } }],
      backendAddressPools: [pool],
      loadBalancingRules: [{ name: 'r', properties: rule }],
    };
    assert.throws(() => held.put('loadBalancers/lb', properties), { code: 'PrivateLinkServiceNeedsNicBackendPool' });
  });

  it('go only when no connection waits or is approved, and leave endpoints disconnected', () => {
    const held = withService();
    endpoint(held, 'e');
    const [connection] = connectionsOf(held);
    assert.throws(() => held.delete('privateLinkServices/web'), {
      code: 'PrivateLinkServiceHasConnections',
      status: 409,
    });
    held.decide(connection!, 'Rejected');
    held.delete('privateLinkServices/web');
    assert.equal(stateOf(held, 'e'), 'Disconnected');
    assert.deepEqual(connectionsOf(held), []);
    // One of the same name is another service.
    service(held);
    endpoint(held, 'e');
    assert.equal(stateOf(held, 'e'), 'Disconnected');
  });
});

describe('service: resource groups that come with a resource', () => {
  it('have names that a group of its own may have', () => {
    const put = (group: string): unknown =>
      new Held().put(`/subscriptions/s/resourceGroups/${group}/providers/Microsoft.Network/networkSecurityGroups/n`);
    assert.throws(() => put('g(x)'), { code: 'InvalidResourceName', message: /resource group/ });
    put('g-x');
  });
});

describe('service: load balancers over the interface', () => {
  it('join in their rules parts of their own alone', () => {
    const held = withNetwork();
    const parts = {
      frontendIPConfigurations: [{ name: 'f', properties: { subnet: subnet() } }],
      backendAddressPools: [{ name: 'p' }],
      probes: [{ name: 'q', properties: { protocol: 'Tcp', port: 1 } }],
    };
    held.put('loadBalancers/other', parts);
    const rule = (frontend: string, pool: string, probe: string): void => {
      const of = (balancer: string, part: string): object => ({ id: `${G}/loadBalancers/${balancer}/${part}` });
      const properties = {
        frontendIPConfiguration: of(frontend, 'frontendIPConfigurations/f'),
        backendAddressPool: of(pool, 'backendAddressPools/p'),
        probe: of(probe, 'probes/q'),
        protocol: 'Tcp',
        frontendPort: 1,
        backendPort: 1,
      };
      held.put('loadBalancers/lb', { ...parts, loadBalancingRules: [{ name: 'r', properties }] });
    };
    const refused = { code: 'InvalidResourceReference', message: /loadBalancers\/other/ };
    assert.throws(() => rule('other', 'lb', 'lb'), refused);
    assert.throws(() => rule('lb', 'other', 'lb'), refused);
    assert.throws(() => rule('lb', 'lb', 'other'), refused);
    rule('LB', 'Lb', 'lB');
  });
});

describe('service: private endpoints over the interface', () => {
  it('keep their interface, whose name cannot be changed', () => {
    const held = withService();
    const put = (customNetworkInterfaceName: string): unknown =>
      held.put('privateEndpoints/e', {
        customNetworkInterfaceName,
        subnet: subnet('nat'),
        privateLinkServiceConnections: [
          { name: 'e', properties: { privateLinkServiceId: `${G}/privateLinkServices/web` } },
        ],
      });
    put('one');
    assert.throws(() => put('two'), { code: 'PropertyChangeNotAllowed', message: /customNetworkInterfaceName/ });
    put('ONE');
  });

  it('have names as long as any, whatever the name of their interface becomes', () => {
    const held = withService();
    endpoint(held, 'e'.repeat(80));
    assert.throws(() => endpoint(held, 'e'.repeat(81)), { code: 'InvalidResourceName' });
    const properties = {
      customNetworkInterfaceName: 'n'.repeat(81),
      subnet: subnet('nat'),
      privateLinkServiceConnections: [
        { name: 'f', properties: { privateLinkServiceId: `${G}/privateLinkServices/web` } },
      ],
    };
    assert.throws(() => held.put('privateEndpoints/f', properties), { code: 'InvalidResourceName' });
  });

  it('wait, unless their subscription is approved beforehand', () => {
    const held = withService();
    endpoint(held, 'e');
    assert.equal(stateOf(held, 'e'), 'Pending');
    service(held, { visibility: { subscriptions: ['S'] }, autoApproval: { subscriptions: ['S'] } });
    endpoint(held, 'f');
    assert.equal(stateOf(held, 'f'), 'Approved');
    assert.equal(stateOf(held, 'e'), 'Pending');
  });

  it('keep connection and LINKID when they are put again', () => {
    const held = withService();
    endpoint(held, 'e');
    const connection = connectionsOf(held);
    endpoint(held, 'e');
    assert.deepEqual(connectionsOf(held), connection);
  });

  it('ask for exactly one service, by id, or by alias if they wait', () => {
    const held = withService();
    const alias = String(held.get('privateLinkServices/web')!.properties['alias']);
    endpoint(held, 'e', alias.toUpperCase());
    assert.throws(() => endpoint(held, 'f', alias, 'privateLinkServiceConnections'), {
      code: 'InvalidRequestFormat',
      message: /by alias/,
    });
    assert.throws(() => endpoint(held, 'f', 'nothing'), {
      code: 'PrivateLinkServiceAliasNotFound',
      message: /not of the form/,
    });
    assert.throws(() => endpoint(held, 'f', `${G}/privateLinkServices/none`), { code: 'InvalidResourceReference' });
    const none = { subnet: subnet('nat') };
    assert.throws(() => held.put('privateEndpoints/f', none), { code: 'PrivateEndpointConnectionCount' });
  });

  it('are what makes a connection, not its provider', () => {
    const held = withService();
    const path = `${G}/privateLinkServices/web/privateEndpointConnections/mine`;
    assert.throws(() => held.decide(path, 'Approved'), { code: 'ConnectionNotFound', status: 404 });
  });

  it('stay with their subnet and their service', () => {
    const held = withService();
    endpoint(held, 'e');
    assert.throws(() => endpoint(held, 'e', 'x.00000000-0000-4000-8000-000000000000.west.azure.privatelinkservice'), {
      code: 'PropertyChangeNotAllowed',
    });
    const moved = {
      subnet: subnet(),
      manualPrivateLinkServiceConnections: [
        { name: 'e', properties: { privateLinkServiceId: `${G}/privateLinkServices/web` } },
      ],
    };
    assert.throws(() => held.put('privateEndpoints/e', moved), {
      code: 'PropertyChangeNotAllowed',
      message: /'subnet'/,
    });
  });

  it('never share a LINKID, whatever is drawn', () => {
    const held = withService();
    const drawn = [5, 5, 0, 6];
    held.draw.uint32 = () => drawn.shift()!;
    endpoint(held, 'e');
    endpoint(held, 'f');
    const links = connectionsOf(held).map((id) => held.documents.get(id.toLowerCase())?.properties['linkIdentifier']);
    assert.deepEqual(links, ['5', '6']);
  });

  it('are where their network is', () => {
    const held = withService();
    const wish = { name: 'e', properties: { privateLinkServiceId: `${G}/privateLinkServices/web` } };
    const properties = { subnet: subnet('nat'), privateLinkServiceConnections: [wish] };
    const elsewhere = (): unknown => held.put('privateEndpoints/e', properties, { location: 'east' });
    assert.throws(elsewhere, { code: 'InvalidResourceReference', message: /in 'east', the virtual network in 'west'/ });
    held.put('privateEndpoints/e', properties, { location: 'We st' });
  });

  it('keep their connection when visibility shrinks', () => {
    const held = withService({ visibility: { subscriptions: ['*'] } });
    const other = '/subscriptions/t/resourceGroups/g/providers/Microsoft.Network';
    const network = {
      addressSpace: { addressPrefixes: ['10.9.0.0/16'] },
      subnets: [{ name: 'a', properties: { addressPrefix: '10.9.0.0/24' } }],
    };
    held.put(`${other}/virtualNetworks/n`, network);
    const wish = { name: 'e', properties: { privateLinkServiceId: `${G}/privateLinkServices/web` } };
    const ask = (name: string): unknown =>
      held.put(`${other}/privateEndpoints/${name}`, {
        subnet: { id: `${other}/virtualNetworks/n/subnets/a` },
        privateLinkServiceConnections: [wish],
      });
    ask('e');
    service(held, { visibility: { subscriptions: [] } });
    assert.equal(connectionsOf(held).length, 1);
    assert.throws(() => ask('f'), { code: 'EndpointNotVisible', status: 403 });
  });
});

describe('service: references', () => {
  it('lead to what is there', () => {
    const held = withService();
    const id = (path: string): { id: string } => ({ id: `${G}/${path}` });
    const rule = {
      frontendIPConfiguration: id('loadBalancers/lb/frontendIPConfigurations/f'),
      backendAddressPool: id('loadBalancers/lb/backendAddressPools/none'),
      protocol: 'Tcp',
      frontendPort: 1,
      backendPort: 1,
    };
    const pools = [id('loadBalancers/lb/backendAddressPools/none')];
    const cases: [string, object][] = [
      [
        'loadBalancers/lb',
        {
          frontendIPConfigurations: [{ name: 'f', properties: { subnet: subnet() } }],
          loadBalancingRules: [{ name: 'r', properties: rule }],
        },
      ],
      [
        'networkInterfaces/n',
        {
          ipConfigurations: [{ name: 'ip', properties: { subnet: subnet(), loadBalancerBackendAddressPools: pools } }],
        },
      ],
      [
        'virtualNetworks/net/subnets/b',
        { addressPrefix: '10.0.9.0/24', networkSecurityGroup: id('networkSecurityGroups/none') },
      ],
      [
        'privateLinkServices/other',
        {
          loadBalancerFrontendIpConfigurations: [id('loadBalancers/lb/frontendIPConfigurations/none')],
          ipConfigurations: nat('n'),
        },
      ],
    ];
    for (const [path, properties] of cases) {
      assert.throws(
        () => held.put(path, properties),
        { code: 'InvalidResourceReference', message: /none referenced by/ },
        path,
      );
    }
  });
});

describe('service: application security groups', () => {
  const groups = [{ id: `${G}/applicationSecurityGroups/web` }];
  const code = 'ApplicationSecurityGroupsNotSupported';
  const rule = (properties: object): { name: string; properties: object } => ({
    name: 'r',
    properties: { protocol: 'Tcp', access: 'Allow', direction: 'Inbound', priority: 100, ...properties },
  });

  for (const side of ['sourceApplicationSecurityGroups', 'destinationApplicationSecurityGroups']) {
    it(`are refused in ${side} of a security rule, which would be one for all addresses`, () => {
      const held = withNetwork();
      const put = (value: unknown): unknown =>
        held.put('networkSecurityGroups/nsg', { securityRules: [rule({ [side]: value })] });
      assert.throws(() => put(groups), { code, message: new RegExp(`securityRules/r names .* in ${side}`) });
      assert.equal(held.get('networkSecurityGroups/nsg'), undefined);
      // As Azure's own answers have them.
      put([]);
      assert.throws(() => held.put('networkSecurityGroups/nsg/securityRules/r', rule({ [side]: groups }).properties), {
        code,
      });
    });
  }

  it('are refused for an interface and for an endpoint', () => {
    const held = withService({ visibility: { subscriptions: ['*'] } });
    const configuration = { subnet: subnet('nat'), applicationSecurityGroups: groups };
    assert.throws(
      () => held.put('networkInterfaces/nic', { ipConfigurations: [{ name: 'ip', properties: configuration }] }),
      { code },
    );
    const wish = { name: 'w', properties: { privateLinkServiceId: `${G}/privateLinkServices/web` } };
    const asked = { subnet: subnet('nat'), manualPrivateLinkServiceConnections: [wish] };
    assert.throws(() => held.put('privateEndpoints/pe', { ...asked, applicationSecurityGroups: groups }), { code });
    held.put('privateEndpoints/pe', { ...asked, applicationSecurityGroups: [] });
  });
});

describe('service: addresses over the interface', () => {
  const six = { subnet: subnet(), privateIPAddressVersion: 'IPv6' };
  const parts = (...properties: object[]): object[] =>
    properties.map((each, i) => ({ name: `p${i}`, properties: each }));

  it('are IPv4, of services, frontends and interfaces', () => {
    const held = withService();
    const refused = { code: 'Ipv4Only', message: /p0: privateIPAddressVersion is IPv6/ };
    assert.throws(() => service(held, { ipConfigurations: parts({ ...six, subnet: subnet('nat') }) }), refused);
    assert.throws(() => held.put('loadBalancers/six', { frontendIPConfigurations: parts(six) }), refused);
    assert.throws(() => held.put('networkInterfaces/six', { ipConfigurations: parts(six) }), refused);
    held.put('networkInterfaces/four', { ipConfigurations: parts({ ...six, privateIPAddressVersion: 'ipv4' }) });
  });

  it('of an interface are primary one at a time', () => {
    const held = withNetwork();
    const primaries = (...asked: (boolean | undefined)[]): unknown[] => {
      const properties = asked.map((primary) => ({
        subnet: subnet('nat'),
        ...(primary === undefined ? {} : { primary }),
      }));
      const { ipConfigurations } = held.put('networkInterfaces/n', {
        ipConfigurations: parts(...properties),
      }).properties;
      return (ipConfigurations as { properties: { primary: boolean } }[]).map((each) => each.properties.primary);
    };
    assert.deepEqual(primaries(undefined, true), [false, true]);
    assert.deepEqual(primaries(undefined, undefined), [true, false]);
    assert.deepEqual(primaries(false, false), [true, false]);
    assert.throws(() => primaries(true, true), { code: 'InvalidRequestFormat', message: /'p0', 'p1': exactly one/ });
  });
});

describe('service: network interfaces over the interface', () => {
  it('are in one network, and in pools of its load balancers alone, though others have the same addresses', () => {
    const held = withNetwork();
    held.put('virtualNetworks/far', {
      addressSpace: { addressPrefixes: ['10.0.0.0/16'] },
      subnets: [{ name: 'nat', properties: { addressPrefix: '10.0.1.0/24' } }],
    });
    held.put('loadBalancers/lb', {
      frontendIPConfigurations: [{ name: 'f', properties: { subnet: subnet() } }],
      backendAddressPools: [{ name: 'p' }],
    });
    const loadBalancerBackendAddressPools = [{ id: `${G}/loadBalancers/lb/backendAddressPools/p` }];
    const part = (name: string, network: string, more = {}): object => ({
      name,
      properties: { subnet: subnet('nat', network), ...more },
    });
    const member = (network: string): object => part('a', network, { loadBalancerBackendAddressPools });
    const code = armCode('INTERFACE_OTHER_NETWORK');
    const put = (...ipConfigurations: object[]) => held.put('networkInterfaces/nic', { ipConfigurations });
    assert.throws(() => put(member('far')), { code, message: /load balancer .* is in virtual network .*\/net'/ });
    assert.throws(() => put(part('a', 'net'), part('b', 'far')), { code });
    put(member('net'));
    assert.equal(held.get('networkInterfaces/nic')?.name, 'nic');
  });
});
