import type { Gate } from '../../auth/gate.ts';
import type { GatewayLimits, GatewaySettings } from '../../http/gateway-quirks.ts';
import type { Registry } from '../../registry/registry.ts';

/** What the routes below `/v2/_stowage` work with. */
export type StowageOptions = GatewaySettings & GatewayLimits & { registry: Registry; gate: Gate };
