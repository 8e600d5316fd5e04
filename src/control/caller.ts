/** Who asks for a change: known to whatever happens while a request is answered, without being handed through. */
import { AsyncLocalStorage } from 'node:async_hooks';

export interface Caller {
  /** IP address. */
  readonly address: string;
  /** The first 12 hexadecimal digits of the SHA-256 of the bearer token; null: none was sent. */
  readonly token: string | null;
  /** What the client calls itself. */
  readonly agent: string | null;
  /** As in the header x-ms-request-id of the answer. */
  readonly requestId: string;
  /** Method and path. */
  readonly request: string;
}

const callers = new AsyncLocalStorage<Caller>();

export const asCaller = <T>(caller: Caller, work: () => T): T => callers.run(caller, work);

/** Null: culvert itself, as when it takes a lab file. */
export const currentCaller = (): Caller | null => callers.getStore() ?? null;
