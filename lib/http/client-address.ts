import type { Context } from 'hono';

/** What the server or gateway that hands on a request knows about the client. */
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
