/** What the control side and its workers say to one another. */
import type { MessagePort } from 'node:worker_threads';
import type { CulvertError } from '../../errors.js';
import type { TranslatorOptions } from '../../translate/options.js';
import type { Topology } from '../../translate/topology.js';
import type { FlowQuery, FlowReport } from '../flow-report.js';
import type { LocalPlane } from '../local-plane.js';
import type { SteeringMemory } from './steering.js';

/** What a worker's plane is asked; it answers at once. */
export type Asked =
  | 'attach'
  | 'detach'
  | 'assign'
  | 'send'
  | 'apply'
  | 'natAddresses'
  | 'settle'
  | 'setHealth'
  | 'serves'
  | 'takesFlows'
  | 'liveFlows'
  | 'portUse'
  | 'report'
  | 'close';

export type ArgumentsOf<A extends Asked> = Parameters<LocalPlane[A]>;
export type AnswerOf<A extends Asked> = ReturnType<LocalPlane[A]>;

/** To a worker: a question, or the flows, which take a while. */
export type Call = { readonly ask: Asked; readonly args: readonly unknown[] } | { readonly flows: FlowQuery };

/** On the port for answers. */
export type Answer =
  | { readonly value: unknown }
  | { readonly error: { readonly code: string | null; readonly message: string } }
  /** No answer comes any more. */
  | { readonly died: string };

/** From a worker, unasked. */
export type Told =
  | { readonly told: 'ready' }
  | { readonly told: 'tick' }
  | { readonly told: 'lost'; readonly device: string }
  /** A packet for the probes' address of a network. */
  | { readonly told: 'own'; readonly network: string; readonly packet: Uint8Array; readonly partial: boolean }
  | { readonly told: 'flows'; readonly report: FlowReport };

/** Octets that count for a packet for the probes while it waits, its message's own included. */
export const owedFor = (packet: Uint8Array): number => packet.length + 256;

export interface ThreadData {
  /** Of the worker, 0 to workers - 1. */
  readonly index: number;
  readonly workers: number;
  readonly memory: SteeringMemory;
  /** By worker, 32-bit words: what it has told of packets for the probes and the control side has not taken (`owedFor`). */
  readonly owed: SharedArrayBuffer;
  /** Whole ones; the worker takes its share. */
  readonly topology: Topology;
  readonly options: Partial<TranslatorOptions>;
  /** To each other worker, for waking it; null: to itself. */
  readonly wakers: readonly (MessagePort | null)[];
}

export interface ThreadEvents {
  told(what: Told): void;
  died(error: CulvertError): void;
}

/** A worker, as its gateway knows it. */
export interface PacketThread {
  /**
   * Asks, so that several can be asked at a time.
   * @returns what waits for the answer; to be called in the order of the questions
   */
  ask<A extends Asked>(what: A, ...args: ArgumentsOf<A>): () => AnswerOf<A>;
  /** It is told when it has looked them through. */
  askFlows(query: FlowQuery): void;
  end(): Promise<void>;
}

export type StartThread = (data: ThreadData, events: ThreadEvents) => Promise<PacketThread>;
