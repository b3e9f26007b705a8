// Keeps web pages out of an open registry on loopback, which they could reach by the browser of this machine.
import type { MiddlewareHandler } from 'hono';
import { RegistryError } from '../model/errors.ts';

export type BrowserGuardOptions = {
  /** Origin under which a proxy serves this registry: `https://registry.example`. */
  publicUrl: string | undefined;
  /** Origins whose pages may write: `cors.origins`; `*` for all. */
  origins: string[] | undefined;
};

/** Names of the host in containers of Docker and Podman. */
const HOST_OF_CONTAINERS = ['host.docker.internal', 'host.containers.internal'];

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];

/**
 * Refuses DNS rebinding, where the name of a page resolves to this machine, and writes by pages of other origins. Browsers send
 * `Sec-Fetch-Site` and `Origin`; a page cannot set or remove them, nor `Host`. `X-Forwarded-*` exempts no request: after
 * rebinding a page can set these headers.
 * @see https://fetch.spec.whatwg.org/#forbidden-request-header
 */
export function browserGuard({ publicUrl, origins = [] }: BrowserGuardOptions): MiddlewareHandler {
  const publicOrigin = publicUrl === undefined ? undefined : new URL(publicUrl);
  const publicName = publicOrigin && withoutFinalDot(publicOrigin.hostname);
  return async (c, next) => {
    const site = c.req.header('Sec-Fetch-Site');
    const origin = c.req.header('Origin');
    if (site === undefined && origin === undefined) return await next();
    const host = c.req.header('Host');
    const name = nameOf(host);
    if (name === undefined || !(isNameOfThisMachine(name) || name === publicName)) throw refusal('this Host');
    if (!SAFE_METHODS.includes(c.req.method)) {
      const isAllowed = origin !== undefined && (origins.includes('*') || origins.includes(origin));
      const isOwn = origin === undefined || origin === publicOrigin?.origin || isOriginOf(origin, host);
      const isFromElsewhere = site === 'cross-site' || site === 'same-site';
      if (!isAllowed && (isFromElsewhere || !isOwn)) throw refusal('pages of this origin', ', or cors.origins');
    }
    await next();
  };
}

function refusal(what: string, more = ''): RegistryError {
  const message = `an open registry on loopback does not serve browsers for ${what}. Behind a proxy set public_url${more}, or trusted_proxies`;
  return new RegistryError('DENIED', message);
}

/**
 * The host of a `Host`, in the normal form of URLs: lower case, without port and final dot, IPv6 in brackets.
 * @returns undefined if it names no host
 */
function nameOf(host: string | undefined): string | undefined {
  if (host === undefined || !/^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d*)?$/i.test(host)) return undefined;
  return URL.canParse(`http://${host}`) ? withoutFinalDot(new URL(`http://${host}`).hostname) : undefined;
}

function isNameOfThisMachine(name: string): boolean {
  return (
    name === 'localhost' ||
    name.endsWith('.localhost') ||
    name === '[::1]' ||
    /^127(?:\.\d+){3}$/.test(name) ||
    HOST_OF_CONTAINERS.includes(name)
  );
}

/** Whether host and port are equal. The scheme is not compared: a proxy may have ended TLS. */
function isOriginOf(origin: string, host: string | undefined): boolean {
  if (!/^https?:\/\//.test(origin) || !URL.canParse(origin)) return false;
  const { protocol, origin: normal } = new URL(origin);
  const own = `${protocol}//${host}`;
  return URL.canParse(own) && new URL(own).origin === normal;
}

const withoutFinalDot = (name: string): string => name.replace(/\.$/, '');
