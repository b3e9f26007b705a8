// Under which origin a client reaches this process. URLs that it gets back have to begin with that, or be relative.

export type RequestOrigin = {
  /** In its normal form: `https://registry.example`. */
  origin: string;
  /** Host and perhaps port, letter by letter as they were asked for: `Registry.example:443`. */
  authority: string;
  /** Whether no proxy can have changed or hidden what the client asked for without a trace. */
  isCertain: boolean;
};

export type ReceivedRequest = {
  header: (name: string) => string | undefined;
  /** `1.1` */
  httpVersion: string;
  isTls: boolean;
  /** Of this end of the connection. */
  localAddress: string | undefined;
  localPort: number | undefined;
  /** How many proxies in front are believed in what they say of the client's request. */
  trustedProxies: number;
};

type Authority = { host: string; port?: string };

/** What proxies of all kinds leave in a request. */
const TRACES = ['Forwarded', 'Via', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Port', 'X-Forwarded-Proto'];

/**
 * Proxies that are trusted say by `X-Forwarded-Proto`, `-Host` and `-Port` what the client asked for. `X-Forwarded-Proto` is
 * believed in any case: a client that lies there spoils only the URLs in its own answers.
 * @returns undefined if there is no `Host`, or one that names no host
 */
export function requestOrigin(request: ReceivedRequest): RequestOrigin | undefined {
  const { header, isTls, trustedProxies } = request;
  const forwarded = (name: string) => outermost(header(name), trustedProxies);
  const isForwarded = trustedProxies > 0;
  const asked = isForwarded ? parseAuthority(forwarded('X-Forwarded-Host')) : undefined;
  const authority = asked ?? parseAuthority(header('Host'));
  if (!authority) return undefined;
  const protocol = forwarded('X-Forwarded-Proto')?.toLowerCase();
  const isTold = protocol === 'https' || protocol === 'http';
  const scheme = isTold ? protocol : isTls ? 'https' : 'http';
  const port = authority.port ?? (isForwarded ? portOf(forwarded('X-Forwarded-Port'), scheme) : undefined);
  const text = port === undefined ? authority.host : `${authority.host}:${port}`;
  const url = `${scheme}://${text}`;
  if (!URL.canParse(url)) return undefined;
  const isCertain = (isForwarded && isTold) || isDirect(request, authority);
  return { origin: new URL(url).origin, authority: text, isCertain };
}

/**
 * Of a list to which each proxy adds at its end: what the outermost of the trusted ones has seen. Where fewer have added
 * something, and where none is trusted, the first.
 */
function outermost(list: string | undefined, trustedProxies: number): string | undefined {
  const items = list?.split(',').map((item) => item.trim());
  return (trustedProxies > 0 ? items?.at(-trustedProxies) : undefined) ?? items?.[0];
}

/**
 * Whether the client is at the other end of the connection. `Host` alone does not tell: nginx by its defaults puts the name
 * of the upstream there, and a proxy that ends TLS need not say so. So the port has to be the one of this connection, and
 * without TLS the host its very address. HTTP/1.0 is spoken by proxies only.
 * @see https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_set_header
 */
function isDirect(request: ReceivedRequest, { host, port }: Authority): boolean {
  const { header, httpVersion, isTls, localAddress, localPort } = request;
  if (httpVersion === '1.0' || TRACES.some((name) => header(name) !== undefined)) return false;
  if (Number(port ?? (isTls ? 443 : 80)) !== localPort) return false;
  if (isTls) return true;
  const address = localAddress?.replace(/^::ffff:/, '') ?? '';
  const isLoopback = address === '::1' || address.startsWith('127.');
  return host.replace(/^\[|\]$/g, '') === address || (host.toLowerCase() === 'localhost' && isLoopback);
}

const AUTHORITY = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?$/i;

function parseAuthority(text: string | undefined): Authority | undefined {
  const [, host, port] = AUTHORITY.exec(text?.trim() ?? '') ?? [];
  return host === undefined ? undefined : { host, ...(port !== undefined && { port }) };
}

/** A proxy behind another that ended TLS may say its own port, which with the scheme of the other makes no sense. */
function portOf(text: string | undefined, scheme: string): string | undefined {
  const isOther = text === (scheme === 'https' ? '80' : '443');
  return text !== undefined && /^\d{1,5}$/.test(text) && !isOther ? text : undefined;
}
