/** `culvert pls`, `culvert pe`, `culvert connections`: the resources of a running management interface. */
import { type Command, Option } from 'commander';
import { addClientOptions, addScopeOptions, collect } from './client-flags.js';
import type { CreateEndpointFlags, CreateServiceFlags, DecideFlags, ResourceFlags } from './resources-action.js';

const HELP = `
A resource is named by its name or its whole id, in any case of letters. Names are looked for in all subscriptions, or
where --subscription and --resource-group say. docs/clients.md has examples.

Exit codes: 0 done; 2 the command line is wrong; 8 no management interface can be asked; 9 it refused, and said why.`;

type Action<F> = (name: string, flags: F) => Promise<void>;

const command = (parent: Command, name: string, description: string): Command =>
  addScopeOptions(addClientOptions(parent.command(name).description(description))).addHelpText('after', HELP);

const load = () => import('./resources-action.js');

function addListShowDelete(parent: Command, kind: 'pls' | 'pe', what: string): void {
  command(parent, 'list', `all ${what}s, as a table`).action(async (flags: ResourceFlags) => {
    await (await load())[kind].list(flags);
  });
  command(parent, 'show', `one ${what}`)
    .argument('<name>')
    .action((async (name, flags) => (await load())[kind].show(name, flags)) satisfies Action<ResourceFlags>);
  command(parent, 'delete', `delete a ${what}`)
    .argument('<name>')
    .action((async (name, flags) => (await load())[kind].remove(name, flags)) satisfies Action<ResourceFlags>);
}

export function registerResources(program: Command): void {
  registerServices(program.command('pls').description('private link services of a running management interface'));
  registerEndpoints(program.command('pe').description('private endpoints of a running management interface'));
  registerConnections(program.command('connections').description('who asks for, and has, a private link service'));
}

function registerServices(pls: Command): void {
  addListShowDelete(pls, 'pls', 'private link service');
  command(pls, 'create', 'create a private link service, or change what is given of one')
    .argument('<name>')
    .addOption(
      new Option('--frontend <balancer/frontend>', 'the load balancer frontend it leads to').conflicts('destination'),
    )
    .option('--destination <address>', 'Direct Connect: the address it leads to')
    .option('--subnet <network/subnet>', 'where its NAT addresses are')
    .option('--nat-ip <address>', 'a NAT address, or several; the first is the primary one', collect)
    .option('--nat-ips <count>', 'so many NAT addresses, free ones of the subnet')
    .option('--proxy-protocol', 'begin each TCP stream with a PROXY v2 header')
    .option('--no-proxy-protocol', 'no header')
    .option('--visibility <subscription>', "who may ask for a connection, or '*'", collect)
    .option('--auto-approval <subscription>', 'whose connections are approved at once', collect)
    .option('--location <region>', 'the region of its virtual network, if absent')
    .action((async (name, flags) => (await load()).createService(name, flags)) satisfies Action<CreateServiceFlags>);
}

function registerEndpoints(pe: Command): void {
  addListShowDelete(pe, 'pe', 'private endpoint');
  command(pe, 'create', 'create a private endpoint: ask for a connection')
    .argument('<name>')
    .requiredOption('--subnet <network/subnet>', 'where its address is')
    .requiredOption('--service <service>', 'name, id or alias of the private link service')
    .option('--address <address>', 'its address; absent: a free one of the subnet')
    .option('--message <text>', 'what the provider is told')
    .option('--location <region>', 'the region of its virtual network, if absent')
    .action((async (name, flags) => (await load()).createEndpoint(name, flags)) satisfies Action<CreateEndpointFlags>);
}

function registerConnections(connections: Command): void {
  const named = (name: string, description: string): Command =>
    command(connections, name, description)
      .argument('<connection>', "its name, its endpoint's name, its LINKID or its id")
      .option('--service <name>', 'of this service alone');
  command(connections, 'list', 'all connections, as a table')
    .option('--service <name>', 'of this service alone')
    .action(async (flags: DecideFlags) => {
      await (await load()).listAllConnections(flags);
    });
  named('show', 'one connection').action((async (name, flags) =>
    (await load()).showConnection(name, flags)) satisfies Action<DecideFlags>);
  for (const decision of ['approve', 'reject'] as const) {
    named(decision, `${decision} a connection`)
      .option('--description <text>', 'what the consumer is told')
      .action((async (name, flags) => (await load()).decide(decision, name, flags)) satisfies Action<DecideFlags>);
  }
  named('delete', 'end a connection for good').action((async (name, flags) =>
    (await load()).removeConnection(name, flags)) satisfies Action<DecideFlags>);
}
