import type { Gate } from '../../auth/gate.ts';
import type { GatewayLimits, GatewaySettings } from '../../http/gateway-quirks.ts';
import type { CollectionOutcome, CollectOptions } from '../../registry/collector/collector.ts';
import type { Registry } from '../../registry/registry.ts';

/**
 * Starts a collection in this process, and logs how it ends.
 * @returns `undefined` if one runs already, or the process stops
 */
export type StartCollection = (options?: CollectOptions) => { outcome: Promise<CollectionOutcome> } | undefined;

/** What the routes below `/v2/_stowage` work with. */
export type StowageOptions = GatewaySettings &
  GatewayLimits & {
    registry: Registry;
    gate: Gate;
    /** Absent where this process runs no collector. */
    startCollection?: StartCollection;
    /** How often this process collects, if it does: without `everyMs` no schedule does. */
    gc: { everyMs?: number };
    /** Starts a collection in another process, where this one runs no collector. */
    requestCollection?: () => Promise<void>;
  };
