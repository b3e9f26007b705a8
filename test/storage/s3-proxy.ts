// What the proxies in front of an S3 server have in common.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, request, type ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

export type S3Proxy = { endpoint: string; close(): Promise<void> };

/** Starts a proxy on a free port. If `answer` fails, the connection is closed. */
export async function startProxy(
  answer: (incoming: IncomingMessage, outgoing: ServerResponse) => Promise<void>,
): Promise<S3Proxy> {
  const server = createServer((incoming, outgoing) => {
    answer(incoming, outgoing).catch(() => outgoing.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/**
 * Sends a request to the server behind the proxy.
 * @param headers by default those of the client. They are signed, with the host among them, so they must not change
 * @param body by default that of the client
 */
export async function forward(
  target: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  headers: OutgoingHttpHeaders = incoming.headers,
  body: Readable = incoming,
): Promise<IncomingMessage> {
  const forwarded = request(new URL(incoming.url ?? '/', target), { method: incoming.method, headers, agent: false });
  forwarded.on('error', () => outgoing.destroy());
  body.pipe(forwarded);
  const [response]: IncomingMessage[] = await once(forwarded, 'response');
  if (!response) throw new Error('no response');
  return response;
}

/** Sends the server's response to the client. */
export async function sendResponse(response: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  outgoing.writeHead(response.statusCode ?? 500, response.headers);
  await pipeline(response, outgoing);
}

/** Sends an error of S3 once the request has arrived. */
export async function sendError(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { status, code }: { status: number; code: string },
): Promise<void> {
  incoming.resume();
  await once(incoming, 'end');
  outgoing.writeHead(status, { 'content-type': 'application/xml' });
  outgoing.end(`<Error><Code>${code}</Code><Message>from the proxy</Message></Error>`);
}
