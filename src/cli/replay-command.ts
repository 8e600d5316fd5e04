/** `culvert replay`: the command line. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { DEFAULT_BACKEND_NET, DEFAULT_NAT_POOL, type ReplayFlags } from './replay-flags.js';

/** @returns the exit code */
export type ReplayAction = (input: string, flags: ReplayFlags) => Promise<number>;

const EXAMPLES = `
Examples:
  culvert replay in.pcap --adopt --provider out.pcap --consumer ret.pcap --check
  culvert replay in.pcapng --config lab.yaml --provider out.pcapng --consumer ret.pcapng --json
  tcpdump -w - | culvert replay - --adopt --linkid 7 --provider - > out.pcap

Exit codes: 0 done, 1 --check found a problem, 2 usage, 3 unreadable input, 4 truncated or corrupt input (what came
before it was translated), 5 configuration, 6 output not writable, 70 a fault of culvert's, 130 and 143 interrupted.`;

/** @param action gives what the subcommand does, when it is called */
export function registerReplayWith(program: Command, action: () => Promise<ReplayAction>): void {
  program
    .command('replay')
    .description('translate a capture: the consumer side in, the provider side and the return traffic out')
    .argument('<capture>', 'pcap or pcapng, .gz too; - for standard input')
    .option('--config <lab>', 'lab file (YAML or JSON) with services, endpoints and backends')
    .option('--adopt', 'no configuration: every server in the capture becomes a private endpoint')
    .option('--provider <file>', 'write the provider side here: translated and lifted packets (.pcapng, else pcap)')
    .option('--consumer <file>', 'write the return traffic to the consumer here')
    .option('--provider-in <file>', 'capture of the provider’s side, merged by time, in place of lifting')
    .option('--network <name>', 'consumer network of the capture; else pcapng interface names tell')
    .option('--nat-pool <pool>', `with --adopt: NAT addresses, CIDR or list (${DEFAULT_NAT_POOL})`)
    .option('--backend-net <cidr>', `with --adopt: backends get addresses from here (${DEFAULT_BACKEND_NET})`)
    .option('--linkid <n>', 'with --adopt: one LINKID for all; else one a service, from 1001 on', unsigned32)
    .addOption(
      new Option('--dialect <name>', 'with --adopt: whose PROXY header').choices(['azure', 'aws', 'gcp', 'custom']),
    )
    .option('--tlv <type=value>', 'with --dialect custom: a TLV, 0xEA=text or 0xEA=0x0a0b; repeatable', tlv, undefined)
    .option('--crc32c', 'with --dialect custom: add a checksum TLV')
    .option('--no-proxy', 'with --adopt: NAT alone, no header')
    .addOption(
      new Option('--timeouts <profile>', 'with --adopt: idle limits (capture)').choices(['azure', 'rfc', 'capture']),
    )
    .addOption(
      new Option('--midstream <policy>', 'TCP without a SYN (translate with --adopt)').choices(['drop', 'translate']),
    )
    .addOption(new Option('--fast-open <policy>', 'SYN with data (carry with --adopt)').choices(['strip', 'carry']))
    .option('--seed <n>', 'decides the order of NAT ports (1)', unsigned32)
    .option('--fix-checksums', 'repair wrong TCP and UDP checksums instead of keeping them wrong')
    .option('--check', 'verify the outputs by an independent pass')
    .option('--json', 'print the report as JSON')
    .option('--quiet', 'print nothing but errors')
    .addHelpText('after', EXAMPLES)
    .action(async (input: string, flags: ReplayFlags) => {
      const replay = await action();
      process.exitCode = await replay(input, flags);
    });
}

function unsigned32(text: string): number {
  const n = /^(0x[0-9a-f]{1,8}|[0-9]{1,10})$/i.test(text) ? Number(text) : -1;
  if (n < 0 || n > 0xffffffff) throw new InvalidArgumentError('It is a number from 0 to 4294967295.');
  return n;
}

type Tlvs = NonNullable<ReplayFlags['tlv']>;

function tlv(text: string, before: Tlvs | undefined): Tlvs {
  const match = /^(0x[0-9a-f]{1,2}|[0-9]{1,3})=(.*)$/is.exec(text);
  const type = match === null ? -1 : Number(match[1]);
  if (match === null || type > 255) throw new InvalidArgumentError('It is TYPE=VALUE, the type from 0 to 255.');
  const value = match[2]!;
  const hex = /^0x((?:[0-9a-f]{2})*)$/i.exec(value);
  return [...(before ?? []), { type, value: hex === null ? Buffer.from(value) : Buffer.from(hex[1]!, 'hex') }];
}
