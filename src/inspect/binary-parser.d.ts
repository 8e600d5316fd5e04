/** What of binary-parser is used here; the package's own types cannot be reached through its `exports`. */
declare module 'binary-parser' {
  export class Parser {
    endianness(order: 'big' | 'little'): this;
    bit1(name: string): this;
    bit4(name: string): this;
    bit13(name: string): this;
    uint8(name: string): this;
    uint16(name: string): this;
    uint32(name: string): this;
    parse(octets: Uint8Array): unknown;
  }
}
