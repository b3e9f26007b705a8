import type { MiddlewareHandler } from 'hono';

/** To which clients answers below `/v2/` carry the version header: all but old engines, all, or none. */
export type V2VersionHeader = 'auto' | 'always' | 'never';

const NAME = 'Docker-Distribution-Api-Version';
const VALUE = 'registry/2.0';

/** `docker/1.9.1 go/go1.4.2 …`; 1.10 and the versions by year (`17.03`) have more digits. */
const UP_TO_DOCKER_1_9 = /^docker\/(?:0\.\d|1\.\d(?!\d))/;

/** Engines before 1.6 ping `/v2/` by Go's own client, without a name of theirs. */
const GO_BEFORE_1_6 = 'Go 1.1 package http';

/**
 * Tells clients that this is a v2 registry. Docker's `docker manifest` up to 20.10 and some other clients refuse a registry
 * that does not say so; engines up to 1.9 take v1, the only protocol here that they speak, where it is not said. They name
 * themselves in `User-Agent`, or send none.
 * @see https://distribution.github.io/distribution/spec/api/#api-version-check
 */
export function versionHeader(mode: V2VersionHeader): MiddlewareHandler {
  return async (c, next) => {
    await next();
    if (mode === 'never' || !/^\/v2(?:\/|$)/.test(c.req.path)) return;
    if (mode === 'auto') c.res.headers.append('Vary', 'User-Agent');
    if (mode === 'always' || !isUpToDocker19(c.req.header('User-Agent') ?? '')) c.res.headers.set(NAME, VALUE);
  };
}

function isUpToDocker19(userAgent: string): boolean {
  return userAgent === '' || userAgent === GO_BEFORE_1_6 || UP_TO_DOCKER_1_9.test(userAgent);
}
