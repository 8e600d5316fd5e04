/** Holds what servers saw against the truth. */
import assert from 'node:assert/strict';
import { CLIENT, type Consumer, ENDPOINT, LINK_ID } from '../topology.js';
import { eventually, type Stage } from './check.js';

/** What a server says of a connection; parts that it does not tell are left out. */
export interface Seen {
  /** `address:port`, or the address alone. */
  readonly source: string;
  readonly destination?: string;
  readonly linkId?: number;
}

/**
 * Holds what a server saw against the truth: the port that the consumer's kernel used, the endpoint that was asked for,
 * the LINKID of that endpoint; and the header on the server's own interface.
 * @param port of the endpoint
 * @param which endpoint
 */
export async function judge(
  { consumers, provider }: Stage,
  who: Consumer,
  port: number,
  seen: Seen,
  which: keyof typeof ENDPOINT = 'main',
): Promise<string> {
  const endpoint = `${ENDPOINT[which]}:${port}`;
  const linkId = LINK_ID[who][which];
  const used = (): readonly string[] => [...(consumers[who].connections.get(endpoint) ?? [])];
  const [address, sourcePort] = seen.source.split(':');
  assert.equal(address, CLIENT, `the server saw a connection from ${seen.source}`);
  const sources = (): string[] => (sourcePort === undefined ? [...used()] : [seen.source]);
  if (!(await eventually(() => used().length > 0 && sources().every((each) => used().includes(each))))) {
    assert.fail(`the server saw ${seen.source}, but the consumer connected from ${used().join(', ')}`);
  }
  if (seen.destination !== undefined) assert.equal(seen.destination, endpoint);
  if (seen.linkId !== undefined) assert.equal(seen.linkId, linkId, 'the LINKID that the server saw');
  const onWire = (): number[] => sources().flatMap((each) => [...(provider.headers.get(`${each} ${endpoint}`) ?? [])]);
  await eventually(() => onWire().includes(linkId));
  assert.ok(
    onWire().includes(linkId),
    `headers on the server's interface have LINKIDs ${onWire().join(', ') || 'none'}`,
  );
  const told = seen.linkId === undefined ? `LINKID ${linkId} on its wire` : `LINKID ${seen.linkId}`;
  return `${seen.source}${seen.destination === undefined ? '' : ` > ${seen.destination}`}, ${told}`;
}

/** The LINKID in a TLV's value: 0x01, then four octets, the lowest first. */
export function linkIdOfTlv(value: Buffer): number {
  assert.ok(value.length === 5 && value[0] === 1, `the server saw another TLV: ${value.toString('hex')}`);
  return value.readUInt32LE(1);
}

/** As our own servers say it. */
const LINK_ID_LINE = /LINKID (\d+) from (\S+) to (\S+?)(?: at (\S+))?\r?\n/;

export function parseLine(text: string): Seen & { readonly backend: string | undefined } {
  const [, linkId, source, destination, backend] = LINK_ID_LINE.exec(text) ?? [];
  assert.ok(source !== undefined && destination !== undefined, `the server answered '${text}'`);
  return { linkId: Number(linkId), source, destination, backend };
}
