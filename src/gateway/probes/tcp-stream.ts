/** A connection as a stream, so that Node's own TLS and HTTP can use it. */
import { Duplex } from 'node:stream';
import type { TcpConnection } from './tcp-connection.js';
import type { TcpStack } from './tcp-stack.js';

export class TcpStream extends Duplex {
  private readonly stack: TcpStack;
  private readonly connection: TcpConnection;
  private onDrain: (() => void) | null = null;
  private onClosed: (() => void) | null = null;

  /** @param peer int32 */
  constructor(stack: TcpStack, peer: number, peerPort: number) {
    super();
    this.stack = stack;
    this.connection = stack.connect(peer, peerPort, {
      onOpen: () => this.emit('connect'),
      onData: (octets) => {
        this.push(octets);
        this.connection.setUnread(this.readableLength);
      },
      onEnd: () => this.push(null),
      onDrain: () => {
        this.onDrain?.();
        this.onDrain = null;
      },
      onClose: (why) => {
        if (why === 'closed') this.onClosed?.();
        else this.destroy(new TcpReset(why));
      },
    });
  }

  override _read(): void {
    this.connection.setUnread(this.readableLength);
  }

  override _write(octets: Buffer, _: BufferEncoding, done: (error?: Error) => void): void {
    if (this.connection.write(octets)) done();
    else this.onDrain = done;
  }

  override _final(done: (error?: Error) => void): void {
    this.onClosed = done;
    this.connection.end();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (this.connection.state !== 'closed') {
      this.connection.abort();
      this.stack.forget(this.connection);
    }
    done(error);
  }
}

/** The peer answered with RST: to the SYN, or later. */
export class TcpReset extends Error {
  constructor(why: 'refused' | 'reset') {
    super(why === 'refused' ? 'connection refused' : 'connection reset');
  }
}
