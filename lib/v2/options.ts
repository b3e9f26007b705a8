import type { Gate } from '../auth/gate.ts';
import type { TokenService } from '../auth/token-service.ts';
import type { GatewayLimits, GatewaySettings } from '../http/gateway-quirks.ts';
import type { Registry } from '../registry/registry.ts';
import type { SessionSigner } from '../registry/uploads/session.ts';

/** What every route of v2 works with. */
export type V2Options = GatewaySettings &
  GatewayLimits & {
    registry: Registry;
    signer: SessionSigner;
    /** Who may do what. */
    gate: Gate;
    /** Gives tokens, where there is somebody to be told apart. */
    tokenService?: TokenService;
  };
