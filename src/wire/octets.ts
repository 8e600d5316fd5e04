/**
 * Network-order integers in a Buffer, read and written octet by octet. Plain indexing is what the JIT turns into
 * single loads; `readUInt16BE` and `DataView` cost several times as much in a packet path. No bounds are checked.
 */

/** Unsigned 16-bit integer at `at`, network order. */
export const get16 = (b: Buffer, at: number): number => (b[at]! << 8) | b[at + 1]!;

/** 32-bit integer at `at`, network order, as a signed int32 (the form in which all tables keep addresses). */
export const get32 = (b: Buffer, at: number): number =>
  (b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!;

export const set16 = (b: Buffer, at: number, value: number): void => {
  b[at] = value >>> 8;
  b[at + 1] = value;
};

export const set32 = (b: Buffer, at: number, value: number): void => {
  b[at] = value >>> 24;
  b[at + 1] = value >>> 16;
  b[at + 2] = value >>> 8;
  b[at + 3] = value;
};
