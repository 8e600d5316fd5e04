/** How an error ends the command: what is printed, and the exit code. */
import { CommanderError } from 'commander';
import { ApiError } from '../client/api-error.js';
import { CulvertError } from '../errors.js';
import { EXIT } from './exit-codes.js';
import { tell } from './print.js';

/** Codes of errors about something that could not be written. */
const OUTPUT_CODES = new Set([
  'CAPTURE_NOT_WRITABLE',
  'CAPTURE_NO_SPACE',
  'CAPTURE_WRITE_FAILED',
  'CAPTURE_RECORD_TOO_LARGE',
]);

/** Codes of errors about something that is not there, or not clear, on a management interface. */
const REFUSED_CODES = new Set(['CLIENT_NOT_FOUND', 'CLIENT_AMBIGUOUS', 'CLIENT_TIMEOUT']);

const NO_SERVER_CODES = new Set(['CLIENT_NO_SERVER', 'CLIENT_SEVERAL_SERVERS', 'CLIENT_UNREACHABLE', 'CLIENT_ANSWER']);

/** A mistake on the command line that commander itself cannot see. */
export class UsageError extends CulvertError {
  constructor(message: string) {
    super('USAGE', message);
  }
}

/** Prints what is to be said about `error`. @returns the exit code */
export function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage; // it has printed already
  if (!(error instanceof CulvertError)) {
    tell(`culvert: INTERNAL: this is a fault of culvert's: ${String((error as Error).stack)}\n`);
    return EXIT.internal;
  }
  if (error.code === 'CAPTURE_PIPE_CLOSED') return EXIT.ok; // whoever read the output has seen enough
  // A configuration error lists its findings itself, one a line.
  tell(`culvert: ${error.code}: ${error.message}\n`);
  return exitCodeOf(error);
}

function exitCodeOf(error: CulvertError): number {
  const { code } = error;
  if (error instanceof ApiError || REFUSED_CODES.has(code)) return EXIT.refused;
  if (NO_SERVER_CODES.has(code)) return EXIT.notRunning;
  if (code === 'CLIENT_URL' || code === 'CLIENT_FILE') return EXIT.usage;
  // In a lab file a wrong header is one of the findings of CONFIG_INVALID; alone it comes from the command line.
  if (
    code === 'USAGE' ||
    code === 'LAB_NAME' ||
    code === 'CONTROL_REQUEST' ||
    code === 'ADDRESS_POOL_INVALID' ||
    code.startsWith('PROXY_')
  )
    return EXIT.usage;
  if (code === 'INTERRUPTED') return EXIT.interrupted;
  if (code === 'TERMINATED') return EXIT.terminated;
  if (code.startsWith('CONFIG') || code.startsWith('TEMPLATE_')) return EXIT.badConfig;
  if (OUTPUT_CODES.has(code)) return EXIT.badOutput;
  if (code === 'LAB_NOT_RUNNING' || code.startsWith('CONTROL_NOT') || code.startsWith('CONTROL_SEVERAL'))
    return EXIT.notRunning;
  if (/^(GATEWAY|TUN|IP_COMMAND|CONTROL|LAB|LIVE_CAPTURE|API|STATE|INSTALLATION)_/.test(code)) return EXIT.badMachine;
  if (code.startsWith('CAPTURE')) return EXIT.badInput;
  return EXIT.internal;
}
