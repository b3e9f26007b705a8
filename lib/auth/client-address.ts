import type { Context } from 'hono';

/** Where the client is, as far as whoever takes the requests knows. */
export function clientAddressOf(c: Context): string | undefined {
  const { clientAddress, incoming } = (c.env ?? {}) as {
    clientAddress?: string;
    incoming?: { socket?: { remoteAddress?: string } };
  };
  return clientAddress ?? incoming?.socket?.remoteAddress;
}
