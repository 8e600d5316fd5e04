import assert from 'node:assert/strict';
import type { Held } from './sequence.js';
import { subnet, withNetwork } from './sequence.js';

interface Configuration {
  readonly properties: { readonly privateIPAddress: string; readonly privateIPAllocationMethod: string };
}

const nic = (held: Held, name: string, properties: object = {}): Configuration => {
  const configuration = { name: 'ip', properties: { subnet: subnet(), ...properties } };
  const made = held.put(`networkInterfaces/${name}`, { ipConfigurations: [configuration] });
  return (made.properties['ipConfigurations'] as Configuration[])[0]!;
};
const addressOf = (configuration: Configuration): string => configuration.properties.privateIPAddress;

describe('service: addresses of a subnet', () => {
  it('go to who asks first, from the fifth on, and the last one to nobody', () => {
    const held = withNetwork();
    assert.deepEqual(
      ['x', 'y', 'z'].map((name) => addressOf(nic(held, name))),
      ['10.0.0.4', '10.0.0.5', '10.0.0.6'],
    );
    assert.throws(() => nic(held, 'w'), { code: 'SubnetIsFull', status: 400 });
    held.delete('networkInterfaces/y');
    assert.equal(addressOf(nic(held, 'w')), '10.0.0.5');
  });

  it('stay with who has them', () => {
    const held = withNetwork();
    nic(held, 'x');
    const second = nic(held, 'y');
    held.delete('networkInterfaces/x');
    assert.deepEqual(nic(held, 'y'), second);
    assert.equal(second.properties.privateIPAllocationMethod, 'Dynamic');
  });

  it('may go to another configuration of who has them', () => {
    const held = withNetwork();
    nic(held, 'x');
    nic(held, 'y');
    const renamed = { name: 'other', properties: { subnet: subnet() } };
    const made = held.put('networkInterfaces/x', { ipConfigurations: [renamed] });
    assert.equal(addressOf((made.properties['ipConfigurations'] as Configuration[])[0]!), '10.0.0.4');
  });

  it('are taken as asked for, unless they are another’s, elsewhere or no addresses', () => {
    const held = withNetwork();
    const asked = nic(held, 'x', { privateIPAddress: '10.0.0.6' });
    assert.deepEqual([addressOf(asked), asked.properties.privateIPAllocationMethod], ['10.0.0.6', 'Static']);
    const codes: Readonly<Record<string, string>> = {
      '10.0.0.6': 'PrivateIPAddressInUse',
      '10.0.0.8': 'PrivateIPAddressNotInSubnet',
      '10.0.0.06': 'AddressInvalid',
      'fe80::1': 'Ipv4Only',
    };
    for (const [privateIPAddress, code] of Object.entries(codes)) {
      assert.throws(() => nic(held, 'y', { privateIPAddress }), { code, status: 400 }, privateIPAddress);
    }
    const none = { privateIPAllocationMethod: 'static' };
    assert.throws(() => nic(held, 'y', none), {
      code: 'InvalidRequestFormat',
      message: /Static needs privateIPAddress/,
    });
  });

  it('pass over those of the hosts in the namespace, which an interface may name', () => {
    const held = withNetwork({ 'culvert-hosts': '10.0.0.4, 10.0.0.5' });
    assert.equal(addressOf(nic(held, 'x')), '10.0.0.6');
    assert.equal(addressOf(nic(held, 'y', { privateIPAddress: '10.0.0.4' })), '10.0.0.4');
  });

  it('are not to be had in a subnet that is not there', () => {
    const held = withNetwork();
    assert.throws(() => nic(held, 'x', { subnet: subnet('b') }), { code: 'InvalidResourceReference' });
    assert.throws(() => nic(held, 'x', { subnet: { id: 'a' } }), { code: 'InvalidResourceReference' });
  });
});
