import type { Gate } from '../auth/gate.ts';
import type { RequestLimits } from '../auth/request-limits.ts';
import type { TokenService } from '../auth/token-service.ts';
import type { GatewayLimits, GatewaySettings } from '../http/gateway-quirks.ts';
import type { SigningKeys } from '../model/signed-token.ts';
import type { Registry } from '../registry/registry.ts';
import type { PullRegistry } from '../registry/registry-reads.ts';
import type { Operate, StartCollection } from './stowage/options.ts';

/** What the routes of pulls work with. */
export type PullOptions = Pick<GatewaySettings, 'storageRedirect'> &
  Pick<GatewayLimits, 'forwardsHeadContentLength'> & {
    registry: PullRegistry;
    gate: Gate;
    limits: RequestLimits;
  };

/** What every route of v2 works with. */
export type V2Options = GatewaySettings &
  GatewayLimits & {
    registry: Registry;
    /** Sign upload sessions, and encrypt the positions of pages of the catalog. */
    keys: SigningKeys;
    gate: Gate;
    limits: RequestLimits;
    /** Absent where this process runs no collector. */
    startCollection?: StartCollection;
    /** How often this process collects, if it does: without `everyMs` no schedule does. */
    gc: { everyMs?: number };
    /** Starts a collection in another process, where this one runs no collector. */
    requestCollection?: () => Promise<void>;
    /** As in `StowageOptions`. */
    operate?: Operate;
    /** Issues tokens; absent for an open registry. */
    tokenService?: TokenService;
  };
