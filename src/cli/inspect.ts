/** `culvert inspect`: a capture decoded, a line a packet; one stream's content; or counts. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { CulvertError } from '../errors.js';
import { parseAddressFilter, parseFlowFilter, parsePortFilter, parseProtocolFilter } from '../inspect/filter.js';
import type { InspectFlags } from './inspect-flags.js';

const HELP = `
A line: frame, time, {interface, VLAN, MPLS}, #stream, packet, | PROXY header, ! notes.
Relative sequence numbers count from the SYN's, which is 0. Streams are numbered from 1 over the whole capture, per
interface; a filter does not change their numbers.

Examples:
  culvert inspect out.pcap --port 443
  culvert inspect out.pcap --flow 10.0.0.5:40000,10.9.0.4:443
  culvert inspect out.pcap --follow 3
  culvert inspect out.pcap --json | jq 'select(.proxy) | .proxy.linkId'

Exit codes: 0 done; 2 the command line is wrong; 3 the file cannot be read or is no capture; 4 its tail is truncated or
corrupt, everything before was shown; 6 the output cannot be written.`;

/** Adds the command to the program. */
export function registerInspect(program: Command): void {
  program
    .command('inspect')
    .description('show what is in a capture: packets, streams, PROXY headers and their LINKIDs')
    .argument('<file>', 'pcap or pcapng, .gz or not; - is standard input')
    .addOption(
      new Option('--time <style>', 'since the first packet, date in UTC, or since the line before')
        .choices(['relative', 'absolute', 'delta'])
        .default('relative'),
    )
    .option('--absolute-seq', 'sequence numbers as they stand in the packet')
    .option('--json', 'a JSON object a line')
    .addOption(listOption('--address <address[/prefix]>', 'only packets from or to it', parseAddressFilter))
    .addOption(listOption('--port <port>', 'only packets from or to it', parsePortFilter))
    .addOption(listOption('--flow <A:p,B:q>', 'only packets between these ends', parseFlowFilter))
    .addOption(listOption('--protocol <name>', 'only tcp, udp or icmp', parseProtocolFilter))
    .addOption(new Option('--limit <n>', 'stop after n packets').argParser(count).default(Infinity, 'all'))
    .addOption(new Option('--follow <n>', 'the content of TCP stream #n, both directions').argParser(count))
    .addOption(new Option('--stats', 'counts instead of packets').conflicts('follow'))
    .addHelpText('after', HELP)
    .action(async (file: string, flags: InspectFlags) => {
      const { runInspect } = await import('./inspect-action.js');
      await runInspect(file, flags);
    });
}

/** An option that may be repeated. */
function listOption(flags: string, description: string, parse: (text: string) => unknown): Option {
  return new Option(flags, `${description} (may be repeated)`)
    .argParser((text: string, before: readonly unknown[]): readonly unknown[] => {
      try {
        return [...before, parse(text)];
      } catch (error) {
        if (error instanceof CulvertError) throw new InvalidArgumentError(error.message);
        throw error;
      }
    })
    .default([], 'any');
}

function count(text: string): number {
  const n = Number(text);
  if (/^\d+$/.test(text) && n >= 1 && Number.isSafeInteger(n)) return n;
  throw new InvalidArgumentError('It is not a whole number from 1.');
}
