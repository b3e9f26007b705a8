import type { Gate } from '../auth/gate.ts';
import type { V1Tokens } from '../auth/tokens/v1-tokens.ts';
import type { FrontSettings } from '../http/gateway-quirks.ts';
import type { Registry } from '../registry/registry.ts';
import type { Allow } from './access.ts';

/** What every route of v1 works with. */
export type V1Options = {
  registry: Registry;
  /** Whether this registry is its own index. */
  isStandalone: boolean;
  /** Who may do what. */
  allow: Allow;
  gate: Gate;
  /** Whether nobody is asked who they are, here or by an index. */
  isForAll: boolean;
  /** Signs tokens, where there is somebody to be told apart. */
  tokens?: V1Tokens;
  /** Whether `search` is there. */
  hasSearch: boolean;
  isMirror: boolean;
  /** Whether clients fetch layers from storage itself, where storage has URLs. */
  storageRedirect: boolean;
  front: FrontSettings;
  /** Where nginx, in front of us, finds the files of storage; it then sends layers itself. */
  nginxRedirect?: string;
  /** Whether storage answers. */
  isReady: () => Promise<boolean>;
  /** `host[:port]`, comma-separated or a list, where clients find the images; the request's `Host` if absent. */
  registryEndpoints?: string | string[];
  /** What `debug: true` tells everybody who asks. */
  debug?: { version: string; flavor: string };
};
