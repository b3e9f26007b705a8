import type { Context } from 'hono';

/** The client of a request, as found by the server or gateway that passes the request on. */
export type ClientBindings = {
  /** IP address, behind trusted proxies the one that they report. */
  clientAddress?: string;
  /** Ends the client's connection. */
  disconnect?: () => void;
};

/** The client's IP address: from the bindings, else from the socket of Node's server. */
export function clientAddressOf(c: Context): string | undefined {
  const { clientAddress, incoming } = (c.env ?? {}) as ClientBindings & {
    incoming?: { socket?: { remoteAddress?: string } };
  };
  return clientAddress ?? incoming?.socket?.remoteAddress;
}
