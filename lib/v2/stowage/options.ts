import type { Gate } from '../../auth/gate.ts';
import type { GatewayLimits, GatewaySettings } from '../../http/gateway-quirks.ts';
import type { CollectionOutcome, CollectOptions } from '../../registry/collector/collector.ts';
import type { Registry } from '../../registry/registry.ts';

/**
 * Starts a collection in this process, and logs how it ends.
 * @returns `undefined` if one runs already, or the process stops
 */
export type StartCollection = (options?: CollectOptions) => { outcome: Promise<CollectionOutcome> } | undefined;

/** `path` with its query, below `/v2/_stowage`. None of these requests has a body. */
export type OperationRequest = { method: string; path: string };
export type OperationAnswer = { status: number; headers: Record<string, string>; body: string };

/** Answers the request of a caller that may do this. @param signal aborts when the client goes away */
export type Operate = (request: OperationRequest, signal: AbortSignal) => Promise<OperationAnswer>;

/** What the routes of operations work with. */
export type OperationOptions = {
  registry: Registry;
  gate: Gate;
  /** Absent where this process runs no collector. */
  startCollection?: StartCollection;
  /** How often this server collects, if it does: without `everyMs` no schedule does. */
  gc: { everyMs?: number };
  /** Starts a collection in another process, where this one runs no collector. */
  requestCollection?: () => Promise<void>;
  /** Answers `/gc`, `/fsck` and `/usage` where one of several workers does the work; by default this process does. */
  operate?: Operate;
};

/** What the routes below `/v2/_stowage` work with. */
export type StowageOptions = GatewaySettings & GatewayLimits & OperationOptions;
