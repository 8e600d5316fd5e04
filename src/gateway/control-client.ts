/** Asks a running gateway over its control socket. */
import net from 'node:net';
import type { Readable } from 'node:stream';
import { createInterface } from 'node:readline';
import { CulvertError } from '../errors.js';
import { labName, readRecord, runDirectory, runningLabs } from './run-state.js';

/**
 * The control socket of a lab.
 * @param lab name or file of the lab; undefined: the one that runs
 * @throws CulvertError CONTROL_NOT_RUNNING, CONTROL_SEVERAL_RUNNING
 */
export function findSocket(lab: string | undefined, directory = runDirectory()): string {
  if (lab !== undefined) {
    const name = labName(lab);
    const socket = readRecord(directory, name)?.socket;
    if (socket === undefined || socket === null) {
      throw new CulvertError('CONTROL_NOT_RUNNING', `no gateway of lab '${name}' runs: culvert up ${lab}`);
    }
    return socket;
  }
  const running = runningLabs(directory);
  if (running.length > 1) {
    const names = running.map(({ name }) => name).join(', ');
    throw new CulvertError('CONTROL_SEVERAL_RUNNING', `several gateways run; name one: ${names}`);
  }
  const socket = running[0]?.record.socket;
  if (socket === undefined || socket === null) {
    throw new CulvertError('CONTROL_NOT_RUNNING', 'no gateway runs: culvert up LAB');
  }
  return socket;
}

export class ControlClient {
  private readonly socket: net.Socket;
  private readonly lines: AsyncIterator<string>;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    this.lines = createInterface({ input: socket, crlfDelay: Infinity })[Symbol.asyncIterator]();
  }

  /** @throws CulvertError CONTROL_NOT_RUNNING, CONTROL_REFUSED */
  static async connect(socketPath: string): Promise<ControlClient> {
    const socket = await connect(socketPath);
    // A gateway that ends while we wait shows as the end of lines.
    socket.on('error', () => socket.destroy());
    return new ControlClient(socket);
  }

  /** @throws CulvertError with the gateway's own code, or CONTROL_NOT_RUNNING when it ends */
  async ask(request: object): Promise<unknown> {
    this.socket.write(`${JSON.stringify(request)}\n`);
    // The stream's end, or its failure: either way nobody is there any more.
    const next = await this.lines.next().catch((): IteratorResult<string> => ({ done: true, value: undefined }));
    if (next.done === true) throw new CulvertError('CONTROL_NOT_RUNNING', 'the gateway has ended');
    const answer = JSON.parse(next.value) as { ok?: unknown; error?: { code: string; message: string } };
    if (answer.error !== undefined) throw new CulvertError(answer.error.code, answer.error.message);
    return answer.ok;
  }

  close(): void {
    this.socket.destroy();
  }
}

export interface OpenTap {
  /** The tap's pcapng octets; reading ends some time after `stop`, or when the gateway ends. */
  readonly octets: Readable;
  readonly stop: () => void;
}

/**
 * Asks for a tap.
 * @throws CulvertError with the gateway's own code, or CONTROL_*
 */
export async function openTap(socketPath: string, request: object): Promise<OpenTap> {
  const socket = await connect(socketPath);
  socket.write(`${JSON.stringify({ command: 'tap', ...request })}\n`);
  let head = Buffer.alloc(0);
  while (!head.includes(10)) {
    const chunk = await new Promise<Buffer | null>((resolve) => {
      socket.once('data', resolve);
      socket.once('close', () => resolve(null));
    });
    socket.pause();
    if (chunk === null) throw new CulvertError('CONTROL_NOT_RUNNING', 'the gateway has ended');
    head = Buffer.concat([head, chunk]);
  }
  const end = head.indexOf(10);
  const { error } = JSON.parse(head.toString('utf8', 0, end)) as { error?: { code: string; message: string } };
  if (error !== undefined) {
    socket.destroy();
    throw new CulvertError(error.code, error.message);
  }
  socket.unshift(head.subarray(end + 1));
  socket.on('error', () => socket.destroy());
  return { octets: socket, stop: () => socket.write('{"command":"stop"}\n') };
}

async function connect(socketPath: string): Promise<net.Socket> {
  const socket = net.connect(socketPath);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EACCES') {
      const what = `control socket ${socketPath}: only the user who started the gateway may ask it`;
      throw new CulvertError('CONTROL_REFUSED', what, {}, { cause: error });
    }
    const what = `no gateway answers at ${socketPath} (${message})`;
    throw new CulvertError('CONTROL_NOT_RUNNING', what, {}, { cause: error });
  }
  return socket;
}
