import type { InputIndex, Stream } from './input.js';
import type { Transport } from './packet.js';
import { SYN } from './packet.js';

/**
 * Follows which of several streams of one tuple a file is at, when all of them are known beforehand: a SYN tells, and
 * the stream stays until another SYN does.
 */
export class CurrentStream {
  private readonly current = new Map<readonly Stream[], Stream>();
  private readonly index: InputIndex;

  constructor(index: InputIndex) {
    this.index = index;
  }

  /** @param streams always the same array for the same tuple */
  of(streams: readonly Stream[] | undefined, t: Transport): Stream | undefined {
    if (streams === undefined) return undefined;
    if ((t.flags & SYN) !== 0) {
      const begun = streams.find((s) => s.isn === t.sequence && s.kind !== 'middle');
      if (begun !== undefined) this.current.set(streams, begun);
      return begun;
    }
    const now = this.current.get(streams);
    return (now && this.index.streamOf([now], t.sequence)) ?? this.index.streamOf(streams, t.sequence);
  }
}
