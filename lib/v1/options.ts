import type { Gate } from '../auth/gate.ts';
import type { RequestLimits } from '../auth/request-limits.ts';
import type { V1Tokens } from '../auth/tokens/v1-tokens.ts';
import type { GatewaySettings } from '../http/gateway-quirks.ts';
import type { Registry } from '../registry/registry.ts';
import type { RouteAccess } from './access.ts';

/** Settings of the configuration for v1. */
export type V1Settings = GatewaySettings & {
  /** Whether this registry is its own index. */
  isStandalone: boolean;
  /** Whether `_ping` calls this registry a mirror, as docker-registry did. */
  isMirror: boolean;
  /** Whether `search` is there. */
  hasSearch: boolean;
  /** Where nginx in front of this process finds the files of local storage: it then sends layers itself. */
  nginxXAccelRedirect: string | undefined;
  /** `host[:port]`, comma-separated or a list, for `X-Docker-Endpoints`; undefined for the `Host` of the request. */
  registryEndpoints: string | string[] | undefined;
  /** Whether `_ping` reveals versions and flavor. */
  debug: boolean;
  /** Section of the configuration in use; undefined if its top level is. */
  flavor: string | undefined;
};

/** What every route of v1 works with. */
export type V1Options = V1Settings &
  RouteAccess & {
    registry: Registry;
    gate: Gate;
    limits: RequestLimits;
    /** Whether every caller may do everything: the registry is open, and no index decides access. */
    isForAll: boolean;
    /** Signs tokens; absent for an open registry. */
    tokens?: V1Tokens;
    /** Whether storage answers. */
    isReady: () => Promise<boolean>;
    /** Version of Stowage. */
    version: string;
  };
