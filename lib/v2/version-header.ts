import type { MiddlewareHandler } from 'hono';

/** Which clients get the version header in answers below `/v2/`: all but old engines, all, or none. */
export type V2VersionHeader = 'auto' | 'always' | 'never';

const NAME = 'Docker-Distribution-Api-Version';
const VALUE = 'registry/2.0';

/** `docker/1.9.1 go/go1.4.2 …`; 1.10 and the versions by year (`17.03`) have more digits. */
const UP_TO_DOCKER_1_9 = /^docker\/(?:0\.\d|1\.\d(?!\d))/;

/** `User-Agent` of engines before 1.6, which ping `/v2/` by Go's client. */
const GO_BEFORE_1_6 = 'Go 1.1 package http';

/**
 * Sets the header by which a registry announces v2. `docker manifest` up to 20.10 and some other clients refuse a registry
 * without it. Engines up to 1.9 use v1 where it is missing, the only protocol of this registry that they support; their
 * `User-Agent` names them or is absent.
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
