/** The name that the system gives an error, as `ENOSPC`; `UNKNOWN` where it gives none. */
export function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'UNKNOWN';
}
