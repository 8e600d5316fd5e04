/** Packets from a stream of pcapng, as they come, to where they are to be kept. */
import type { Readable } from 'node:stream';
import { CaptureReader } from '../capture/reader.js';
import { StreamSource } from '../capture/source.js';
import type { CaptureOutput } from './capture-output.js';

/**
 * Ends with the stream, or when the output has `most` packets; the output is then still open.
 * @param name of the stream, told in errors
 * @param onComment told of packets that have one
 * @throws CulvertError of the reader or the output
 */
export async function copyCapture(
  octets: Readable,
  name: string,
  output: CaptureOutput,
  most: number,
  onComment: (comment: string) => void = () => undefined,
): Promise<void> {
  const reader = await CaptureReader.fromSource(new StreamSource(octets, name), name);
  const { interfaces } = reader;
  let described = 0;
  const describe = (): void => {
    for (; described < interfaces.length; described++) output.addInterface(interfaces[described]!);
  };
  do {
    describe();
    while (output.packets < most && reader.next()) {
      describe();
      const { slab, offset, capturedLength, originalLength, seconds, nanoseconds, interfaceIndex } = reader;
      const comment = reader.comment();
      if (comment !== '') onComment(comment);
      output.write(slab, offset, capturedLength, originalLength, seconds, nanoseconds, interfaceIndex, comment);
    }
    output.flush();
  } while (output.packets < most && (await reader.fill()));
}
