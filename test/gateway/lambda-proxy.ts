import { once } from 'node:events';
import { createServer, request, type ServerResponse } from 'node:http';

export type LambdaProxy = { stop(): Promise<void> };

/**
 * What stands before a Web Function on Lambda: a hop of HTTP/1.1, which sends everything on as it comes, and writes the client
 * at the end of `X-Forwarded-For`. https://docs.aws.amazon.com/lambda/latest/dg/web-functions-http.html
 *
 * It is half-duplex: an answer that comes before the body has ended is not passed on. What becomes of it no page of AWS
 * says; here it is lost, and the request times out, after less than the 900 s that a function may have.
 * https://docs.aws.amazon.com/lambda/latest/dg/web-functions-revisions-timeout.html
 */
export async function startLambdaProxy({
  from,
  to,
  timeoutMs = 60_000,
}: {
  from: number;
  to: number;
  timeoutMs?: number;
}): Promise<LambdaProxy> {
  const server = createServer((incoming, outgoing) => {
    const { method, url, headers, socket } = incoming;
    const chain = [headers['x-forwarded-for'], socket.remoteAddress].filter((address) => address !== undefined);
    const forwarded = request({
      host: '127.0.0.1',
      port: to,
      method,
      path: url,
      headers: { ...headers, 'x-forwarded-for': chain.join(', ') },
    });
    const timer = setTimeout(() => {
      forwarded.destroy();
      fail(outgoing, 504, 'Runtime.RequestTimeout');
    }, timeoutMs);
    forwarded.on('response', (response) => {
      if (!incoming.complete) return void response.resume();
      outgoing.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(outgoing);
    });
    forwarded.on('error', () => fail(outgoing, 502, 'Runtime.ConnectionClosed'));
    incoming.on('error', () => forwarded.destroy());
    outgoing.on('close', () => {
      clearTimeout(timer);
      forwarded.destroy();
    });
    incoming.pipe(forwarded);
  });
  server.listen(from, '127.0.0.1');
  await once(server, 'listening');
  return {
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function fail(outgoing: ServerResponse, status: number, type: string): void {
  if (outgoing.headersSent) return void outgoing.destroy();
  outgoing.writeHead(status, { 'lambda-web-error-type': type, connection: 'close' }).end();
}
