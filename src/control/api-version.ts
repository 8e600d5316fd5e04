/** Which api-versions of Azure's routes are taken: any date from 2019-04-01 on for Microsoft.Network, any at all around it. */
import { HttpError } from './answer.js';

const FIRST = '2019-04-01';
const FORM = /^(\d{4}-\d{2}-\d{2})(-preview|-alpha|-beta)?$/i;

function isDate(text: string): boolean {
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

/** @throws HttpError MissingApiVersionParameter, InvalidApiVersionParameter */
export function checkApiVersion(query: URLSearchParams, path: readonly string[]): void {
  const version = query.get('api-version');
  if (version === null || version === '') {
    const what = 'The api-version query parameter (?api-version=) is required for all requests.';
    throw new HttpError(400, 'MissingApiVersionParameter', what);
  }
  const date = FORM.exec(version)?.[1];
  const ofNetwork = path.some((segment, i) => i > 1 && segment.toLowerCase() === 'microsoft.network');
  if (date !== undefined && isDate(date) && (!ofNetwork || date >= FIRST)) return;
  const what =
    `The api-version '${version.slice(0, 40)}' is invalid. Any date from ${FIRST} on is taken, ` +
    `for example 2025-05-01, with or without -preview.`;
  throw new HttpError(400, 'InvalidApiVersionParameter', what);
}
