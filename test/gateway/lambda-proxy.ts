import { once } from 'node:events';
import { createServer, request } from 'node:http';

export type LambdaProxy = { stop(): Promise<void> };

/**
 * What stands before a Web Function on Lambda: a hop of HTTP/1.1, which sends everything on as it comes, and writes the client
 * at the end of `X-Forwarded-For`. https://docs.aws.amazon.com/lambda/latest/dg/web-functions-http.html
 */
export async function startLambdaProxy({ from, to }: { from: number; to: number }): Promise<LambdaProxy> {
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
    forwarded.on('response', (response) => {
      outgoing.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(outgoing);
    });
    forwarded.on('error', () => outgoing.destroy());
    incoming.on('error', () => forwarded.destroy());
    outgoing.on('close', () => forwarded.destroy());
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
