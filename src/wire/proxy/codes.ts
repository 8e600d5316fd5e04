import { CulvertError } from '../../errors.js';

/** Every code that the PROXY protocol codec throws. */
export const PROXY_ERROR_CODES = [
  // Decoding, either version
  'PROXY_RANGE', // start, end or maxLength is not a range of the buffer
  'PROXY_NO_SIGNATURE', // the stream does not begin with a PROXY header
  'PROXY_TOO_LONG', // longer than the caller's maxLength
  'PROXY_TRUNCATED', // the stream ended inside the header
  'PROXY_READER_DONE', // a chunk was pushed after the header was complete
  // Decoding version 1
  'PROXY_V1_TOO_LONG', // no CRLF within 107 octets
  'PROXY_V1_LINE_END', // CR without LF, or LF without CR
  'PROXY_V1_PROTOCOL', // not TCP4, TCP6 or UNKNOWN
  'PROXY_V1_FIELDS', // not four fields, each after one space
  'PROXY_V1_ADDRESS', // an address is not one of the line's family
  'PROXY_V1_PORT', // a port is not 0 to 65535 in plain decimal
  // Decoding version 2
  'PROXY_BAD_VERSION', // version nibble is not 2
  'PROXY_BAD_COMMAND', // command nibble is not LOCAL or PROXY
  'PROXY_BAD_FAMILY', // family and transport octet is unassigned
  'PROXY_ADDRESS_TOO_SHORT', // length does not hold the family's addresses
  'PROXY_TLV_OVERRUN', // a TLV runs past the end of the header
  'PROXY_CRC32C_LENGTH', // CRC32C TLV is not 4 octets
  'PROXY_CRC32C_DUPLICATE', // more than one CRC32C TLV
  'PROXY_CRC32C_MISMATCH', // the checksum is wrong
  'PROXY_UNIQUE_ID_TOO_LONG', // UNIQUE_ID TLV over 128 octets
  'PROXY_SSL_TOO_SHORT', // SSL TLV under 5 octets
  'PROXY_SSL_TLV_OVERRUN', // a TLV inside SSL runs past its end
  // Reading one TLV
  'PROXY_AZURE_TLV_LENGTH', // Azure LINKID TLV is not 5 octets
  'PROXY_AWS_TLV_TEXT', // AWS endpoint id is empty or not ASCII
  'PROXY_GCP_TLV_LENGTH', // GCP connection id TLV is not 8 octets
  'PROXY_AUTHORITY_TEXT', // AUTHORITY is not UTF-8
  // Encoding
  'PROXY_ENCODE_ADDRESS', // an address is not one of the header's family
  'PROXY_ENCODE_PORT', // a port is not an integer 0 to 65535
  'PROXY_ENCODE_PATH', // a UNIX path is over 108 octets or holds a zero octet
  'PROXY_ENCODE_FAMILY', // the header has no form in the version asked for
  'PROXY_ENCODE_TLV', // a TLV's type or value is out of range
  'PROXY_ENCODE_TOO_LONG', // over 65535 octets after the fixed part
  'PROXY_ENCODE_ALIGNMENT', // alignTo is not an integer 1 to 4096
] as const;

export type ProxyErrorCode = (typeof PROXY_ERROR_CODES)[number];

/** A coded error at an octet of the header, counted from 0 at the header's first octet. */
export function malformed(code: ProxyErrorCode, offset: number, message: string): CulvertError {
  return new CulvertError(code, `${message} (octet ${offset} of the PROXY header)`, { offset });
}

/** A coded error about an argument or a value to encode; `path` names it. */
export function invalid(code: ProxyErrorCode, path: string, message: string): CulvertError {
  return new CulvertError(code, `${path}: ${message}`, { path });
}
