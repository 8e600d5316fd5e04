/**
 * One probe of one backend: a TCP handshake, or an HTTP GET that must be answered with exactly 200, over TLS for HTTPS.
 * Node's own HTTP and TLS speak over a connection of ours.
 */
import http from 'node:http';
import tls from 'node:tls';
import type { Probe } from '../../service/resources.js';
import { formatAddress } from '../../wire/address.js';
import { encode } from '../../wire/proxy/index.js';
import type { Clock } from './clock.js';
import type { TcpStack } from './tcp-stack.js';
import { TcpReset, TcpStream } from './tcp-stream.js';

export type Outcome =
  | { readonly healthy: true }
  | {
      readonly healthy: false;
      readonly reason: string;
      /** HTTP and HTTPS: another status than 200, or RST, which Azure does not wait to see again. */
      readonly definite: boolean;
    };

/** Who is probed, and how. */
export interface Probed {
  readonly probe: Probe;
  /** Address, unsigned. */
  readonly backend: number;
  /** A PROXY header without client information goes first. */
  readonly header: boolean;
}

/** "A connection of the proxy's own": what the PROXY protocol has for health checks (section 2.2, LOCAL). */
const LOCAL_HEADER = encode({ command: 'LOCAL', family: 'unspec', transport: 'unspec' });
/** Azure's limit for an answer; with a shorter interval, that. */
const MAX_ANSWER_MS = 30_000;
/** How long the server may take to end a connection once the outcome is known. */
const LINGER_MS = 5000;
/** Octets of an answer's body that are taken before the connection is reset. */
const MAX_BODY = 16384;
const NO_ANSWER = 'the server ended the connection without an answer';

export const answerMs = (probe: Probe): number => Math.min(1000 * probe.intervalInSeconds, MAX_ANSWER_MS);

/**
 * Starts a probe.
 * @param done called once, later, unless it is cancelled before
 * @returns cancels it: its connection is reset
 */
export function startProbe(
  stack: TcpStack,
  clock: Clock,
  probed: Probed,
  done: (outcome: Outcome) => void,
): () => void {
  let over = false;
  let cancelTimer: () => void = () => undefined;
  let drop: () => void = () => undefined;
  const finish = (outcome: Outcome): void => {
    if (over) return;
    over = true;
    cancelTimer();
    cancelTimer = clock.after(LINGER_MS, drop);
    done(outcome);
  };
  // Until there is an outcome the timer stays: one way or another a probe has one.
  const ended = (): void => {
    if (over) cancelTimer();
  };
  const ms = answerMs(probed.probe);
  cancelTimer = clock.after(ms, () => {
    finish({ healthy: false, reason: `no answer in ${String(ms / 1000)} s`, definite: false });
    cancelTimer();
    drop();
  });
  drop = (probed.probe.protocol === 'Tcp' ? probeTcp : probeHttp)(stack, probed, finish, ended);
  return () => {
    over = true;
    cancelTimer();
    drop();
  };
}

type Way = (stack: TcpStack, probed: Probed, finish: (outcome: Outcome) => void, ended: () => void) => () => void;

const probeTcp: Way = (stack, { probe, backend, header }, finish, ended) => {
  const connection = stack.connect(backend | 0, probe.port, {
    onOpen: () => {
      if (header) connection.write(LOCAL_HEADER);
      connection.end();
      finish({ healthy: true });
    },
    onData: () => undefined,
    onEnd: () => undefined,
    onDrain: () => undefined,
    onClose: (why) => {
      if (why !== 'closed') finish({ healthy: false, reason: new TcpReset(why).message, definite: false });
      ended();
    },
  });
  return () => {
    connection.abort();
    stack.forget(connection);
  };
};

const probeHttp: Way = (stack, { probe, backend, header }, finish, ended) => {
  const stream = new TcpStream(stack, backend | 0, probe.port);
  const fail = (error: Error): void => {
    finish({ healthy: false, reason: reasonOf(error), definite: error instanceof TcpReset });
  };
  stream.on('error', fail).on('close', ended);
  if (header) stream.write(LOCAL_HEADER);
  // Who the server says it is does not count: probes ask for an address, and self-signed certificates are usual there.
  const socket = probe.protocol === 'Https' ? tls.connect({ socket: stream, rejectUnauthorized: false }) : stream;
  socket.on('error', fail);
  const request = http.get({
    createConnection: () => socket,
    host: formatAddress(backend),
    port: probe.port,
    path: probe.requestPath ?? '/',
    headers: { 'user-agent': 'Load Balancer Agent' },
  });
  const judge = ({ statusCode = 0 }: http.IncomingMessage): void => {
    if (statusCode === 200) finish({ healthy: true });
    else finish({ healthy: false, reason: `HTTP status ${String(statusCode)}`, definite: true });
  };
  request.on('error', fail);
  request.on('close', () => fail(new Error(NO_ANSWER)));
  request.on('upgrade', (response) => {
    judge(response);
    stream.destroy();
  });
  request.on('response', (response) => {
    judge(response);
    let octets = 0;
    response.on('data', (part: Buffer) => {
      octets += part.length;
      if (octets > MAX_BODY) stream.destroy();
    });
    response.on('error', () => undefined); // a body cut short changes nothing any more
  });
  return () => stream.destroy();
};

function reasonOf(error: Error): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (error instanceof TcpReset) return error.message;
  if (code === 'ECONNRESET') return NO_ANSWER;
  if (code.startsWith('HPE_')) return 'the answer is no HTTP';
  if (code.startsWith('ERR_SSL') || code === 'EPROTO') return 'the TLS handshake failed';
  return error.message;
}
