/** The work of `culvert inspect`. */
import { CaptureReader } from '../capture/index.js';
import { CulvertError } from '../errors.js';
import { COLOURED, PLAIN } from '../inspect/colour.js';
import { inspect, type InspectMode } from '../inspect/inspect.js';
import { EXIT } from './exit-codes.js';
import type { InspectFlags } from './inspect-flags.js';
import { LineOutput } from './line-output.js';
import { isTerminal, tell } from './print.js';

/** @throws CulvertError as `CaptureReader.open` does; USAGE */
export async function runInspect(file: string, flags: InspectFlags): Promise<void> {
  const reader = await CaptureReader.open(file);
  const output = new LineOutput();
  try {
    const { isStreamMissing, streams, hasForgottenFlows } = await inspect(
      reader,
      {
        mode: modeOf(flags),
        json: flags.json === true,
        time: flags.time,
        absoluteSequence: flags.absoluteSeq === true,
        filter: { addresses: flags.address, ports: flags.port, flows: flags.flow, protocols: flags.protocol },
        limit: flags.limit,
        palette: isColoured() ? COLOURED : PLAIN,
      },
      output,
    );
    output.settle();
    if (hasForgottenFlows) {
      tell('culvert: more flows at a time than are remembered: some may have been counted or numbered twice\n');
    }
    if (reader.warning !== null) {
      tell(`culvert: ${reader.warning.code}: ${reader.warning.message}\n`);
      process.exitCode = EXIT.truncatedInput;
    }
    if (isStreamMissing) throw new CulvertError('USAGE', missing(flags, streams));
  } finally {
    await reader.close();
  }
}

function modeOf(flags: InspectFlags): InspectMode {
  if (flags.follow !== undefined) return { kind: 'follow', stream: flags.follow };
  return { kind: flags.stats === true ? 'stats' : 'packets' };
}

function missing({ follow, address, port, flow, protocol }: InspectFlags, streams: number): string {
  const isFiltered = address.length + port.length + flow.length + protocol.length > 0;
  const filtered = isFiltered ? ', and the filter may leave it out' : '';
  return `--follow ${String(follow)}: no packet of such a stream; the capture has ${streams} TCP streams${filtered}`;
}

/** See no-color.org. */
function isColoured(): boolean {
  const { NO_COLOR, TERM } = process.env;
  return isTerminal('stdout') && (NO_COLOR === undefined || NO_COLOR === '') && TERM !== 'dumb';
}
