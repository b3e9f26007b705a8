// The origin by which a client reaches this process: URLs in its answers begin with it, or are relative.

export type RequestOrigin = {
  /** In its normal form: `https://registry.example`. */
  origin: string;
  /** Host and port as the client wrote them: `Registry.example:443`. */
  authority: string;
  /** False if a proxy may have changed the client's URL. */
  isCertain: boolean;
};

export type ReceivedRequest = {
  header: (name: string) => string | undefined;
  /** `1.1` */
  httpVersion: string;
  isTls: boolean;
  /** Of the server's end of the connection. */
  localAddress: string | undefined;
  localPort: number | undefined;
  /** Proxies in front whose `X-Forwarded-*` is trusted. */
  trustedProxies: number;
};

type Authority = { host: string; port?: string };

/** Headers that show that a request passed a proxy. */
const PROXY_HEADERS = [
  'Forwarded',
  'Via',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X-Forwarded-Port',
  'X-Forwarded-Proto',
];

/**
 * The origin from `Host`, or from the `X-Forwarded-Proto`, `-Host` and `-Port` of trusted proxies. `X-Forwarded-Proto` is always
 * used: a client that forges it changes only the URLs in its own answers.
 * @returns undefined for a request without a valid host
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
 * Each proxy appends to the list: the item that the outermost trusted proxy appended, or the first item if the list is shorter
 * or no proxy is trusted.
 */
function outermost(list: string | undefined, trustedProxies: number): string | undefined {
  const items = list?.split(',').map((item) => item.trim());
  return (trustedProxies > 0 ? items?.at(-trustedProxies) : undefined) ?? items?.[0];
}

/**
 * Whether the client is connected directly. `Host` alone is no proof: nginx sends the name of its upstream by default, and a proxy
 * that ends TLS may leave no header. So the port must be that of this connection, and without TLS the host must be its
 * address. Only proxies send HTTP/1.0.
 * @see https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_set_header
 */
function isDirect(request: ReceivedRequest, { host, port }: Authority): boolean {
  const { header, httpVersion, isTls, localAddress, localPort } = request;
  if (httpVersion === '1.0' || PROXY_HEADERS.some((name) => header(name) !== undefined)) return false;
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

/** The port, without the default port of the other scheme: a proxy behind the one that ended TLS may add its own port. */
function portOf(text: string | undefined, scheme: string): string | undefined {
  const isOther = text === (scheme === 'https' ? '80' : '443');
  return text !== undefined && /^\d{1,5}$/.test(text) && !isOther ? text : undefined;
}
