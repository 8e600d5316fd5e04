/** One output of a replay: a capture file of raw IPv4 packets, or, where none was asked for, a place to translate in. */
import { CaptureWriter, type WriterInterface } from '../capture/index.js';
import { LINK_RAW } from '../wire/link.js';

export class Output {
  /** Packets written, or that would have been. */
  packets = 0;
  private readonly writer: CaptureWriter | null;
  private readonly from: number;

  /**
   * @param path file name, `-`, or null for none; a name that ends in `.pcapng` gives that format
   * @param from region of the slab that the packets are put in
   * @param interfaces names and texts of pcapng's interfaces, one a network
   * @param comment of pcapng's section
   */
  constructor(
    path: string | null,
    slab: Buffer,
    from: number,
    to: number,
    nanoseconds: boolean,
    interfaces: readonly Omit<WriterInterface, 'linkType'>[],
    comment: string,
  ) {
    this.from = from;
    this.writer =
      path === null
        ? null
        : CaptureWriter.create(path, {
            format: path.endsWith('.pcapng') ? 'pcapng' : 'pcap',
            nanoseconds,
            linkType: LINK_RAW,
            slab,
            from,
            to,
            interfaces: interfaces.map((face) => ({ ...face, linkType: LINK_RAW })),
            comment,
          });
  }

  /** Where in the slab the next packet, of at most `length` octets, is to be put. */
  reserve(length: number): number {
    return this.writer === null ? this.from : this.writer.reserve(length);
  }

  commit(length: number, missing: number, seconds: number, nanoseconds: number, network: number, comment = ''): void {
    this.packets++;
    this.writer?.commit(length, length + missing, seconds, nanoseconds, network, comment);
  }

  /** Writes what is buffered. */
  flush(): void {
    this.writer?.flush();
  }

  close(): void {
    this.writer?.close();
  }

  abort(): void {
    this.writer?.abort();
  }
}
