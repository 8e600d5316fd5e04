/**
 * The lab's networks and services. Two consumers have the same address and the same endpoints' addresses; all that tells
 * them apart is the interface that their packets come from.
 */
import { stringify } from 'yaml';

/** Of both consumers. */
export const CLIENT = '10.0.0.5';
export const NAT = '10.200.1.4';

export const CONSUMERS = ['red', 'blue'] as const;
export type Consumer = (typeof CONSUMERS)[number];
export type Network = Consumer | 'provider';

/** Where servers run. The first has all of Debian's; `red` and `blue` each belong to one consumer's own service. */
export const BACKEND = { main: '10.200.2.4', red: '10.200.2.5', blue: '10.200.2.6' } as const;

/** Private endpoints; each address is there in both consumers' networks. */
export const ENDPOINT = {
  /** Of the service with all the servers. */
  main: '10.0.0.9',
  /** Leads each consumer to a service of its own. */
  own: '10.0.0.10',
  /** Of a service without the PROXY header. */
  plain: '10.0.0.11',
  /** Its connection was never approved. */
  pending: '10.0.0.12',
  /** Its approval is withdrawn while it is used. */
  withdrawn: '10.0.0.13',
} as const;

/** No endpoint. */
export const NOBODY = '10.0.0.77';

export const LINK_ID = {
  red: { main: 1001, own: 1003, plain: 1005, pending: 1007, withdrawn: 1009 },
  blue: { main: 1002, own: 1004, plain: 1006, pending: 1008, withdrawn: 1010 },
} as const;

/** What a consumer connects to, and where the server behind it listens. */
interface Port {
  readonly frontend: number;
  readonly backend: number;
  readonly protocol: 'Tcp' | 'Udp';
}
const port = (frontend: number, backend: number, protocol: Port['protocol'] = 'Tcp'): Port => ({
  frontend,
  backend,
  protocol,
});

export const PORT = {
  ssh: port(22, 2222),
  smtp: port(25, 2525),
  dnsUdp: port(53, 5353, 'Udp'),
  dnsTcp: port(53, 5354),
  http: port(80, 8080),
  https: port(443, 8443),
  mariadb: port(3306, 3306),
  linkId: port(7000, 7000),
  haproxy: port(8081, 8081),
} as const;

/** iperf3 serves one client at a time: each consumer has its own. */
export const IPERF = {
  red: [port(5201, 5201), port(5201, 5201, 'Udp')],
  blue: [port(5202, 5202), port(5202, 5202, 'Udp')],
} as const;

export interface LabNames {
  /** By which `culvert status` knows it. */
  readonly gateway: string;
  readonly namespace: Readonly<Record<Network, string>>;
  readonly device: Readonly<Record<Network, string>>;
}

export const namesOf = (lab: string): LabNames => ({
  gateway: `culvert-${lab}`,
  namespace: { red: `culvert-${lab}-red`, blue: `culvert-${lab}-blue`, provider: `culvert-${lab}-provider` },
  device: { red: 'cv-red', blue: 'cv-blue', provider: 'cv-provider' },
});

/**
 * The lab file.
 * @param withdrawn whose endpoint `withdrawn` is no longer approved
 */
export function labFile({ namespace, device }: LabNames, withdrawn: readonly Consumer[] = []): string {
  const consumer = (name: Consumer): object => ({
    addressSpace: ['10.0.0.0/16'],
    subnets: { default: '10.0.0.0/24' },
    namespace: namespace[name],
    hosts: [CLIENT],
    device: device[name],
  });
  const rules = (frontend: string, ports: readonly Port[]): object[] =>
    ports.map((each) => ({
      name: `${frontend}-${each.frontend}-${each.protocol}`,
      frontend,
      backendPool: frontend,
      protocol: each.protocol,
      frontendPort: each.frontend,
      backendPort: each.backend,
    }));
  const service = (name: string, nat: string, enableProxyProtocol: boolean): object => ({
    subnet: 'provider/nat',
    ipConfigurations: [nat],
    loadBalancerFrontend: `${enableProxyProtocol ? 'lb' : 'plain-lb'}/${name}`,
    enableProxyProtocol,
    visibility: ['*'],
    autoApproval: ['*'],
  });
  const endpoint = (
    who: Consumer,
    which: keyof typeof ENDPOINT,
    privateLinkService: string,
    status: string,
  ): object => ({
    [`${who}-${which}`]: {
      subnet: `${who}/default`,
      address: ENDPOINT[which],
      privateLinkService,
      linkIdentifier: LINK_ID[who][which],
      status,
    },
  });
  return stringify({
    virtualNetworks: {
      red: consumer('red'),
      blue: consumer('blue'),
      provider: {
        addressSpace: ['10.200.0.0/16'],
        subnets: {
          frontend: '10.200.0.0/24',
          nat: { addressPrefix: '10.200.1.0/24', privateLinkServiceNetworkPolicies: 'Disabled' },
          backend: '10.200.2.0/24',
        },
        namespace: namespace.provider,
        hosts: Object.values(BACKEND),
        device: device.provider,
      },
    },
    loadBalancers: {
      lb: {
        virtualNetwork: 'provider',
        frontends: { main: '10.200.0.10', red: '10.200.0.11', blue: '10.200.0.12' },
        backendPools: { main: [BACKEND.main], red: [BACKEND.red], blue: [BACKEND.blue] },
        rules: [...rules('main', Object.values(PORT)), ...rules('red', [PORT.linkId]), ...rules('blue', [PORT.linkId])],
      },
      // Azure sends the header with the probes of all services of a load balancer once one of them has it.
      'plain-lb': {
        virtualNetwork: 'provider',
        frontends: { plain: '10.200.0.13' },
        backendPools: { plain: [BACKEND.main] },
        rules: rules('plain', [...IPERF.red, ...IPERF.blue]),
      },
    },
    privateLinkServices: {
      main: service('main', NAT, true),
      red: service('red', '10.200.1.5', true),
      blue: service('blue', '10.200.1.6', true),
      plain: service('plain', '10.200.1.7', false),
    },
    privateEndpoints: Object.assign(
      {},
      ...CONSUMERS.flatMap((who) => [
        endpoint(who, 'main', 'main', 'Approved'),
        endpoint(who, 'own', who, 'Approved'),
        endpoint(who, 'plain', 'plain', 'Approved'),
        endpoint(who, 'pending', 'main', 'Pending'),
        endpoint(who, 'withdrawn', 'main', withdrawn.includes(who) ? 'Rejected' : 'Approved'),
      ]),
    ) as object,
  });
}
