/**
 * The client's address from `X-Forwarded-For`, to which each proxy appends the address that it received the request from: the
 * one that the outermost trusted proxy appended. The client may have written the addresses before that.
 * @returns undefined without trusted proxies or addresses
 */
export function forwardedFor(header: string | undefined, trustedProxies: number): string | undefined {
  if (trustedProxies === 0) return undefined;
  return header?.split(',').at(-trustedProxies)?.trim() || undefined;
}
