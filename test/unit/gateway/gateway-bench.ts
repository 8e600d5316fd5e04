/** A gateway over a scripted machine, with one UDP service that two consumers with the same address reach. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { CulvertError } from '../../../src/errors.js';
import { findSocket } from '../../../src/gateway/control-client.js';
import { Gateway } from '../../../src/gateway/gateway.js';
import { LocalPlane } from '../../../src/gateway/local-plane.js';
import type { LogFields } from '../../../src/gateway/log.js';
import type { Pump } from '../../../src/gateway/pump.js';
import { datagram } from '../../support/dissect.js';
import { udpPacket } from '../../support/packets.js';
import { ScriptedMachine } from './scripted-machine.js';

export interface LabText {
  /** NAT addresses, as written. */
  readonly nat?: string;
  readonly backends?: string;
  readonly status?: string;
  readonly translation?: string;
  readonly gateway?: string;
}

export const labText = ({
  nat = '10.200.1.4',
  backends = '10.200.2.4',
  status = 'Approved',
  translation = '{}',
  gateway = '{}',
}: LabText = {}): string => `
virtualNetworks:
  red: { addressSpace: [10.0.0.0/16], subnets: { default: 10.0.0.0/24 }, namespace: red }
  blue: { addressSpace: [10.0.0.0/16], subnets: { default: 10.0.0.0/24 }, namespace: blue }
  provider:
    addressSpace: [10.200.0.0/16]
    subnets:
      frontend: 10.200.0.0/24
      nat: { addressPrefix: 10.200.1.0/24, privateLinkServiceNetworkPolicies: Disabled }
      backend: 10.200.2.0/24
    namespace: provider
loadBalancers:
  lb:
    virtualNetwork: provider
    frontends: { web: 10.200.0.10 }
    backendPools: { web: [${backends}] }
    rules:
      - { name: all, frontend: web, protocol: All, frontendPort: 0, backendPool: web, backendPort: 0 }
privateLinkServices:
  web:
    subnet: provider/nat
    ipConfigurations: [${nat}]
    loadBalancerFrontend: lb/web
    visibility: ['*']
    autoApproval: ['*']
privateEndpoints:
  red-web: { subnet: red/default, address: 10.0.0.9, privateLinkService: web, status: ${status} }
  blue-web: { subnet: blue/default, address: 10.0.0.9, privateLinkService: web, status: ${status} }
translation: ${translation}
gateway: ${gateway}
`;

export class GatewayBench {
  readonly machine = new ScriptedMachine();
  readonly logged: { readonly level: string; readonly message: string; readonly fields: LogFields }[] = [];
  gateway!: Gateway;
  onFailure: (error: CulvertError) => void = () => undefined;
  private readonly folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-gateway-'));
  private readonly file = path.join(this.folder, 'lab.yaml');
  private passed = 0;

  async start(text: string): Promise<this> {
    writeFileSync(this.file, text);
    const note =
      (level: string) =>
      (message: string, fields: LogFields = {}): void => {
        this.logged.push({ level, message, fields });
      };
    this.gateway = await Gateway.start({
      lab: this.file,
      log: { info: note('info'), warn: note('warn'), error: note('error') },
      runDirectory: path.join(this.folder, 'run'),
      machine: this.machine,
      onFailure: (error) => {
        this.onFailure(error);
      },
    });
    return this;
  }

  /** Stops the clock that flows and ports age by, until the end: only `pass` moves it. Timers go on. */
  stopClock(): void {
    const stopped = performance.now();
    performance.now = () => stopped + this.passed;
  }

  pass(ms: number): void {
    this.passed += ms;
  }

  get pump(): Pump {
    const { plane } = this.gateway;
    if (!(plane instanceof LocalPlane)) throw new Error('no pump in this thread');
    return plane.pump;
  }

  /** Path of the control socket. */
  get socket(): string {
    return findSocket(this.file, path.join(this.folder, 'run'));
  }

  async stop(): Promise<void> {
    Reflect.deleteProperty(performance, 'now');
    try {
      await this.gateway.stop();
    } finally {
      rmSync(this.folder, { recursive: true, force: true });
    }
  }

  reload(text: string): boolean {
    writeFileSync(this.file, text);
    return this.gateway.reload();
  }

  /** Messages of the log that begin so. */
  told(message: string): { readonly level: string; readonly fields: LogFields }[] {
    return this.logged.filter((line) => line.message.startsWith(message));
  }

  /** A datagram of a consumer; @returns the NAT address that it went out from, or null if it did not. */
  send(network: string, sport: number, payload = 'hello'): string | null {
    const { written } = this.machine.device('provider');
    const before = written.length;
    this.machine.device(network).give(udpPacket({ src: '10.0.0.5', dst: '10.0.0.9', sport, dport: 53, payload }));
    return written.length === before ? null : datagram(written[before]!.packet).src;
  }

  /** The backend answers the last datagram that it got. @returns whether the consumer sees it */
  answer(network: string, payload = 'answer'): boolean {
    const provider = this.machine.device('provider');
    const { src, dst, sport, dport } = datagram(provider.written.at(-1)!.packet);
    const { written } = this.machine.device(network);
    const before = written.length;
    provider.give(udpPacket({ src: dst, dst: src, sport: dport, dport: sport, payload }));
    return written.length === before + 1;
  }
}
