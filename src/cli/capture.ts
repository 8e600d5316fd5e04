/** `culvert capture`: packets of an interface, to a file. */
import { type Command, Option } from 'commander';
import type { LiveFlags } from './capture-action.js';
import { size, withCaptureFlags } from './capture-flags.js';

const HELP = `
Captures through libpcap by the optional npm package cap, which is there if libpcap-dev was when culvert was installed.
It gives no times: packets have the time at which they were delivered. Nor does it tell of packets that were lost. Needs
root or CAP_NET_RAW. A name that ends in .pcap is written as pcap, others as pcapng. A file has its name once it is whole.

    culvert capture eth0 'tcp port 443' -w https.pcapng --rotate-size 100M --rotate-count 5
    culvert capture eth0 -w - | culvert inspect -
    culvert capture eth0 -w - -c 1000 | culvert replay - --adopt --provider provider.pcap

Ctrl-C ends it. Exit codes: 0 done; 2 the command line is wrong; 6 the file cannot be written; 7 the machine refuses it
(no such interface, a filter that is none, no privilege), or cap is not there.`;

export function registerCapture(program: Command): void {
  const command = program
    .command('capture')
    .description('write what an interface sends and receives to a file')
    .argument('<interface>', 'its name; any: all of them')
    .argument('[filter]', 'which packets, as tcpdump has it (pcap-filter)', '');
  withCaptureFlags(command)
    .option('--buffer <octets>', 'that the kernel keeps for packets until they are written', size, 16 << 20)
    .addOption(new Option('--direct', 'as pcapng to standard output, in this process').hideHelp())
    .addHelpText('after', HELP)
    .action(async (device: string, filter: string, flags: LiveFlags) => {
      const { capture } = await import('./capture-action.js');
      process.exitCode = await capture(device, filter, flags);
    });
}
