/**
 * The interfaces and namespaces of a gateway: made for a plan, changed for the next plan, and all removed at the end.
 * Whatever is made is on record before it is there, and struck out after it is gone (run-state.ts).
 */
import type { AttachedDevice, DataPlane } from './data-plane.js';
import type { Log } from './log.js';
import type { Machine } from './machine.js';
import { type NetworkPlan, sameInterface } from './plan.js';
import { PROBE_ROUTE } from './probes/tcp-stack.js';
import type { RunState } from './run-state.js';

export interface Attachment {
  plan: NetworkPlan;
  readonly device: AttachedDevice;
}

export class Attachments {
  private readonly machine: Machine;
  private readonly state: RunState;
  private readonly log: Log;
  private readonly plane: DataPlane;
  private readonly attached = new Map<string, Attachment>();

  constructor(machine: Machine, state: RunState, log: Log, plane: DataPlane) {
    this.machine = machine;
    this.state = state;
    this.log = log;
    this.plane = plane;
  }

  /** What there is, as the plans that would make it. */
  get plans(): NetworkPlan[] {
    return [...this.attached.values()].map(({ plan }) => plan);
  }

  /**
   * Makes what a network needs.
   * @throws CulvertError of the namespace's or the device's making; nothing but a namespace on record is left then
   */
  open(plan: NetworkPlan, offload: boolean): Attachment {
    if (plan.namespace !== null) this.needNamespace(plan.namespace);
    const device = this.plane.attach(plan, offload);
    const attachment = { plan, device };
    this.attached.set(plan.name, attachment);
    const { tso4, uso4 } = device.offload;
    if (offload && !(tso4 && uso4)) {
      this.log.warn('the kernel has not all offloads; packets go one by one', { device: device.name, tso4, uso4 });
    }
    return attachment;
  }

  close(network: string): void {
    if (!this.attached.delete(network)) return;
    this.plane.detach(network);
  }

  /** Removes the namespaces that we, or a killed run before us, made and that no network uses. */
  sweep(): void {
    const used = new Set([...this.attached.values()].map(({ plan }) => plan.namespace));
    for (const name of [...this.state.namespaces]) {
      if (used.has(name)) continue;
      try {
        if (this.machine.hasNamespace(name)) this.machine.removeNamespace(name);
        this.state.removeNamespace(name);
      } catch (error) {
        // It stays on record, so that the next start tries again.
        this.log.warn('a namespace could not be removed', { namespace: name, why: (error as Error).message });
      }
    }
  }

  closeAll(): void {
    for (const network of [...this.attached.keys()]) this.close(network);
    this.sweep();
  }

  /** Takes the route to the probes from interfaces that are not to have it, since a namespace has one such route. */
  freeProbeRoute(plans: readonly NetworkPlan[]): void {
    for (const attachment of this.attached.values()) {
      const { plan, device } = attachment;
      if (!plan.routes.includes(PROBE_ROUTE) || this.isProbed(attachment, plans)) continue;
      try {
        this.machine.removeRoute(plan.namespace, device.name, PROBE_ROUTE);
      } catch (error) {
        // It is gone already: somebody else removed it.
        this.log.warn('the route to the probes could not be removed', {
          network: plan.name,
          why: (error as Error).message,
        });
      }
      attachment.plan = { ...plan, routes: plan.routes.filter((route) => route !== PROBE_ROUTE) };
    }
  }

  /** Gives it to the interfaces that are to have it. @throws CulvertError IP_COMMAND_* */
  giveProbeRoute(plans: readonly NetworkPlan[]): void {
    for (const attachment of this.attached.values()) {
      const { plan, device } = attachment;
      if (plan.routes.includes(PROBE_ROUTE) || !this.isProbed(attachment, plans)) continue;
      this.machine.addRoute(plan.namespace, device.name, PROBE_ROUTE);
      attachment.plan = { ...plan, routes: [...plan.routes, PROBE_ROUTE] };
    }
  }

  /** Whether an interface has the route to the probes by these plans; one that waits to move keeps what it has. */
  private isProbed({ plan }: Attachment, plans: readonly NetworkPlan[]): boolean {
    const next = plans.find(({ name }) => name === plan.name);
    if (next === undefined) return false;
    return (next.namespace === plan.namespace ? next : plan).routes.includes(PROBE_ROUTE);
  }

  /** What keeps a running interface from being what the lab now says. */
  differs(plan: NetworkPlan): boolean {
    const attachment = this.attached.get(plan.name);
    return attachment !== undefined && !sameInterface(attachment.plan, plan);
  }

  private needNamespace(name: string): void {
    if (this.machine.hasNamespace(name)) return; // also one of a killed run: servers may still run in it
    this.state.addNamespace(name);
    this.machine.addNamespace(name);
  }
}
