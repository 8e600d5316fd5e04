import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { edited, example, good, mistakes, only, repositoryFile } from './helpers.js';
import { parseAddress } from '../../../src/wire/address.js';

const red = 'addressSpace: [10.0.0.0/16]\n    subnets: { default: 10.0.0.0/24 }\n  blue:';
const network = (line: string): string => edited([red, `${line}\n    ${red}`]);
const section = (text: string): string => `${example}\ngateway: ${text}\n`;

describe('config: what culvert up needs', () => {
  it('is all in the example of the documentation', () => {
    const lab = good(readFileSync(repositoryFile('fixtures/labs/live.yaml'), 'utf8'));
    assert.deepEqual(lab.warnings, []);
    assert.equal(lab.gateway.metricsPort, 9464);
  });

  it('has a default for everything', () => {
    const { gateway } = good(example);
    assert.deepEqual(
      { metricsPort: gateway.metricsPort, socket: gateway.socket, offload: gateway.offload },
      { metricsPort: null, socket: null, offload: true },
    );
    assert.deepEqual(gateway.networks.get('red'), { namespace: null, device: 'cv-red', mtu: 1500, hosts: [] });
  });

  it('reads what is written', () => {
    const lab = good(
      edited([red, `namespace: ns1\n    hosts: [10.0.0.7, 10.0.0.8]\n    mtu: 9000\n    device: tun7\n    ${red}`]) +
        '\ngateway: { metricsPort: 9100, socket: /run/x.sock, offload: false }\n',
    );
    assert.deepEqual(lab.gateway.networks.get('red'), {
      namespace: 'ns1',
      device: 'tun7',
      mtu: 9000,
      hosts: [parseAddress('10.0.0.7'), parseAddress('10.0.0.8')],
    });
    assert.equal(lab.gateway.metricsPort, 9100);
    assert.equal(lab.gateway.offload, false);
  });

  it('cuts long default names of interfaces, and numbers those that would be one', () => {
    const lab = good(
      edited(
        ['  red:\n', '  consumer-network-red:\n'],
        ['  blue:\n', '  consumer-network-blue:\n'],
        ['subnet: red/default, address: 10.0.0.4', 'subnet: consumer-network-red/default, address: 10.0.0.4'],
        ['subnet: blue/default', 'subnet: consumer-network-blue/default'],
        ['subnet: red/default', 'subnet: consumer-network-red/default'],
      ),
    );
    const names = [...lab.gateway.networks.values()].map(({ device }) => device);
    assert.deepEqual(names, ['cv-consumer-net', 'cv-consumer-n-2', 'cv-provider']);
  });

  const refused: readonly (readonly [string, string, string])[] = [
    ['a host outside every subnet', 'ADDRESS_OUTSIDE_SUBNET', network('hosts: [10.0.9.5]')],
    ['a host with the address of an endpoint', 'ADDRESS_IN_USE', network('hosts: [10.0.0.4]')],
    ['a host twice', 'ADDRESS_IN_USE', network('hosts: [10.0.0.9, 10.0.0.9]')],
    ['a host that is no address', 'ADDRESS_INVALID', network('hosts: [10.0.0]')],
    ['an MTU below 576', 'SETTING_RANGE', network('mtu: 575')],
    ['a namespace that is a path', 'CONFIG_NAME', network('namespace: a/b')],
    ['a namespace that looks like an option', 'CONFIG_NAME', network('namespace: -n')],
    ['an interface name of 16 octets', 'CONFIG_NAME', network('device: abcdefghijklmnop')],
    ['an interface name that the kernel would number', 'CONFIG_NAME', network("device: 'tun%d'")],
    ['a warning beyond 100 %', 'SETTING_RANGE', section('{ natPortsWarningPercent: 101 }')],
    ['a warning at half a percent', 'SETTING_RANGE', section('{ natPortsWarningPercent: 0.5 }')],
    ['a port beyond 65535', 'SETTING_RANGE', section('{ metricsPort: 65536 }')],
    ['a socket path longer than the kernel takes', 'SETTING_RANGE', section(`{ socket: /${'x'.repeat(107)} }`)],
    ['a key that it does not know', 'CONFIG_UNKNOWN_KEY', section('{ metricport: 1 }')],
  ];
  for (const [what, code, text] of refused) {
    it(`refuses ${what} (${code})`, () => {
      assert.equal(only(text).code, code);
    });
  }

  it('refuses a NAT address and a frontend as hosts of the provider', () => {
    const text = edited([
      'addressSpace: [10.200.0.0/16]',
      'hosts: [10.200.1.4, 10.200.0.10, 10.200.2.4]\n    addressSpace: [10.200.0.0/16]',
    ]);
    assert.deepEqual(
      mistakes(text).map(({ code, path }) => [code, path]),
      [
        ['ADDRESS_IN_USE', 'virtualNetworks.provider.hosts[0]'],
        ['ADDRESS_IN_USE', 'virtualNetworks.provider.hosts[1]'],
      ],
    );
  });

  it('refuses networks with the same addresses in one namespace, and an interface name twice', () => {
    const both = (line: string): string => edited([red, `${line}\n    ${red}\n    ${line}`]);
    assert.equal(only(both('namespace: one')).code, 'NAMESPACE_OVERLAP');
    assert.equal(only(both('device: one')).code, 'CONFIG_NAME');
  });
});
