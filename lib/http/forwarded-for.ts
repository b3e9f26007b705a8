/**
 * Who sent a request, by its `X-Forwarded-For`, at whose end each proxy writes who has sent it what it passes on: whom the
 * outermost that is trusted has seen. What stands before that the client may have written there itself.
 * @returns undefined if the proxies have said nothing
 */
export function forwardedFor(header: string | undefined, trustedProxies: number): string | undefined {
  if (trustedProxies === 0) return undefined;
  return header?.split(',').at(-trustedProxies)?.trim() || undefined;
}
