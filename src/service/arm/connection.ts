/** The life of a private endpoint connection, as its provider decides it. */
import type { ConnectionStatus } from '../resources.js';

/** Only these two are a provider's to choose; the others come about. */
export const decisions = ['Approved', 'Rejected'] as const;
export type Decision = (typeof decisions)[number];

/**
 * Why a decision cannot be taken, or null. Deciding again what is decided changes nothing; a rejected or disconnected
 * connection stays so, and its consumer asks anew with a new endpoint.
 */
export function refusedDecision(from: ConnectionStatus, to: Decision): string | null {
  if (from === 'Disconnected') {
    return 'a disconnected connection cannot come back: the consumer deletes the private endpoint and creates it anew';
  }
  if (from === 'Rejected' && to === 'Approved') {
    return 'a rejected connection cannot be approved: delete it, and let the consumer create the private endpoint anew';
  }
  return null;
}

/** Whether a service with a connection in this state may be deleted. */
export const blocksDeletion = (status: ConnectionStatus): boolean => status === 'Pending' || status === 'Approved';
