import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import aws4 from 'aws4';
import type { Minio } from '../support/minio.ts';

export type BlindServer = {
  endpoint: string;
  /** How many checksums of clients it has not looked at. */
  ignored: () => number;
  close(): Promise<void>;
};

/**
 * MinIO as a server that has never heard of checksums: their headers do not reach it. Those were signed, so each request is
 * signed anew.
 */
export async function startBlindServer({ endpoint, credentials }: Minio): Promise<BlindServer> {
  const { host } = new URL(endpoint);
  let ignored = 0;

  async function handOn(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = '', url: path = '' } = incoming;
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(incoming.headers)) {
      if (name.startsWith('x-amz-checksum-')) ignored++;
      else if (!['host', 'connection', 'authorization', 'x-amz-date'].includes(name)) headers[name] = String(value);
    }
    const signed = aws4.sign({ service: 's3', region: 'us-east-1', host, method, path, headers }, credentials);
    const forwarded = request(new URL(path, endpoint), { method, headers: signed.headers ?? {} });
    forwarded.on('error', () => outgoing.destroy());
    incoming.pipe(forwarded);
    const [response]: IncomingMessage[] = await once(forwarded, 'response');
    if (!response) throw new Error('no response');
    outgoing.writeHead(response.statusCode ?? 500, response.headers);
    await pipeline(response, outgoing);
  }

  const server = createServer((incoming, outgoing) => {
    handOn(incoming, outgoing).catch(() => outgoing.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    ignored: () => ignored,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
