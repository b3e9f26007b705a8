// Gateways and proxies in front of this process: those that limit bodies or lose headers, and the push endpoint, a second host
// for bodies that do not fit through the first.
import type { Context, MiddlewareHandler } from 'hono';
import { RegistryError } from '../model/errors.ts';
import { MiB } from '../streams/bytes.ts';
import { contentLengthOf, originOf, reachedAt } from './request.ts';

/** When a `Location` is an absolute URL: where the origin of the registry is certain, always, or never. */
export type AbsoluteLocations = 'auto' | 'always' | 'never';

/** Settings of the configuration for how clients reach this registry and its bytes. */
export type GatewaySettings = {
  /** Origin of the registry for its clients, without a final slash; undefined to derive it from each request. */
  publicUrl: string | undefined;
  /** Origin of a host that serves the same registry and takes bodies of any size: clients send layers there. */
  pushEndpoint: string | undefined;
  absoluteLocations: AbsoluteLocations;
  /** Whether clients fetch layers and blobs from storage itself, where storage has URLs. */
  storageRedirect: boolean;
};

/** What the gateway in front of this process loses or refuses. The platform decides this, not the configuration. */
export type GatewayLimits = {
  /** Size of the largest request body; undefined for no limit. */
  maxBodyBytes: number | undefined;
  /**
   * Whether the `Content-Length` of an answer to HEAD reaches the client. Where it does not, HEAD of a blob redirects to
   * storage, and HEAD of a manifest has no digest: clients then send a GET, instead of trusting a wrong length.
   */
  forwardsHeadContentLength: boolean;
};

/** Of a plain connection, without a gateway. */
export const NO_GATEWAY_LIMITS: GatewayLimits = { maxBodyBytes: undefined, forwardsHeadContentLength: true };

/**
 * Clients built with oras-go from 2.6.1 on: they send an upload only to the host where they started it.
 * https://github.com/oras-project/oras-go/security/advisories/GHSA-jxpm-75mh-9fp7
 */
const STAYS_ON_ITS_HOST = /^(?:oras|oras-go|helm|notation)\b/i;

/** Clients that do not resolve a relative `Location`: they get the most likely origin. */
const NEEDS_ABSOLUTE = /^(?:ollama|containertool)\b/i;

/** Origin of the registry for this client, for URLs that another host sends it; empty if unknown. */
export function registryUrlOf(c: Context, { publicUrl }: GatewaySettings): string {
  return publicUrl ?? originOf(c) ?? '';
}

/**
 * The origin for a `Location` on this registry, or an empty string for a relative one. Some clients need an absolute URL; behind
 * a proxy that hides the client's URL only a relative one is right.
 */
export function locationBaseOf(c: Context, { publicUrl, absoluteLocations }: GatewaySettings): string {
  const reached = reachedAt(c);
  if (absoluteLocations === 'always') return publicUrl ?? reached?.origin ?? '';
  if (absoluteLocations === 'never' || staysOnItsHost(c)) return '';
  const isKnown = reached?.isCertain === true || NEEDS_ABSOLUTE.test(userAgentOf(c));
  return publicUrl ?? (isKnown ? (reached?.origin ?? '') : '');
}

/** Origin of the host to which this client sends the bytes of an upload; undefined for this host. */
export function pushEndpointFor(c: Context, { pushEndpoint }: GatewaySettings): string | undefined {
  return staysOnItsHost(c) ? undefined : pushEndpoint;
}

function staysOnItsHost(c: Context): boolean {
  return STAYS_ON_ITS_HOST.test(userAgentOf(c));
}

function userAgentOf(c: Context): string {
  return c.req.header('User-Agent') ?? '';
}

/**
 * Refuses bodies that are too large. On UNSUPPORTED Docker stops at once; on SIZE_INVALID it tries five times.
 * @throws RegistryError UNSUPPORTED
 */
export function limitBodies(maxBodyBytes: number): MiddlewareHandler {
  return async (c, next) => {
    if ((contentLengthOf(c) ?? 0) > maxBodyBytes) {
      throw new RegistryError('UNSUPPORTED', tooLarge(maxBodyBytes), { detail: { maxBytes: maxBodyBytes } });
    }
    await next();
  };
}

function tooLarge(maxBodyBytes: number): string {
  const limit = `${(maxBodyBytes / MiB).toFixed(1)} MiB`;
  return (
    `a request to this host carries ${limit} at most. For larger layers turn on the push endpoint of the registry, ` +
    'or in a clone of Stowage run "npx stowage serve" with the configuration of its bucket and push to localhost:5000'
  );
}
