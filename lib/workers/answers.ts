import type { News } from '../concurrency/peers.ts';
import type { Config } from '../config/config.ts';
import type { TlsFiles } from '../server/serve.ts';
import type { OperationAnswer, OperationRequest } from '../v2/stowage/options.ts';

/** The limits that hold for all workers together. */
export type LimitName = 'uploads' | 'downloads';

/** A slot of a worker; `id` is unique in that worker. */
export type SlotName = { limit: LimitName; id: number };

/** News with its topic, as it travels. */
export type Told = { [T in keyof News]: { topic: T; news: News[T] } }[keyof News];

/** What a worker needs in order to serve. */
export type Start = {
  /** With a `secretKey` in any case. */
  config: Config;
  version: string;
  tlsFiles: TlsFiles | undefined;
  /** Descriptors of the listening socket. */
  sockets: number[];
  workers: number;
  /** Whether this worker logs what holds for all, runs the schedules, and does operations. */
  isFirst: boolean;
  /** Key of the HMACs by which right passwords are remembered. */
  passwordKey: Uint8Array;
};

/** What the coordinator answers. */
export type CoordinatorAnswers = {
  'acquire slot': { argument: SlotName & { caller: string }; result: undefined };
  'release slot': { argument: SlotName; result: undefined };
  /** How many bytes have moved since the last report, and whether the transfer waits for its client. */
  'report slots': {
    argument: (SlotName & { movedBytes: number; isWaitingForClient: boolean })[];
    result: undefined;
  };
  'check login': { argument: { name: string | undefined; address: string | undefined }; result: undefined };
  'login failed': { argument: { name: string | undefined; address: string | undefined }; result: undefined };
  'compare password': { argument: { password: string; hash: string }; result: boolean };
  'acquire lock': { argument: { id: number; key: string; isExclusive: boolean }; result: undefined };
  'release lock': { argument: { id: number }; result: undefined };
  /** Relayed to the first worker. */
  operate: { argument: OperationRequest; result: OperationAnswer };
  /** Passed on to the other workers. */
  tell: { argument: Told; result: undefined };
};

/** What a worker answers. */
export type WorkerAnswers = {
  /** Resolves once the worker serves. The result is its origin. */
  start: { argument: Start; result: string };
  /** Resolves when all transfers have ended. */
  stop: { argument: undefined; result: undefined };
  /** Resolves once the event loop of the worker has run it. */
  ping: { argument: undefined; result: undefined };
  /** Reads the certificate again. */
  'renew certificate': { argument: undefined; result: undefined };
  'cut off slot': { argument: SlotName; result: undefined };
  operate: { argument: OperationRequest; result: OperationAnswer };
  hear: { argument: Told; result: undefined };
};
