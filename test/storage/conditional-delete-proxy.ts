import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { KeyLocks } from '../../lib/concurrency/key-locks.ts';
import type { Minio } from '../support/minio.ts';

export type ConditionalDeleteProxy = { endpoint: string; requests: string[]; close(): Promise<void> };

/** Makes of MinIO a server that keeps `If-Match` of a DELETE, as AWS does: puts and deletes of one key take turns. */
export async function startConditionalDeleteProxy(minio: Minio): Promise<ConditionalDeleteProxy> {
  const { endpoint, bucket: Bucket, credentials } = minio;
  const s3 = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
  const turns = new KeyLocks();
  const requests: string[] = [];
  const server = createServer((incoming, outgoing) => {
    const { method = '', url = '/' } = incoming;
    requests.push(`${method} ${url}`);
    const { pathname } = new URL(url, endpoint);
    const isChange = method === 'PUT' || method === 'DELETE';
    const answering = isChange ? turns.run(pathname, () => change(incoming, outgoing)) : forward(incoming, outgoing);
    answering.catch(() => outgoing.destroy());
  });

  async function change(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const expected = incoming.method === 'DELETE' ? incoming.headers['if-match'] : undefined;
    if (expected !== undefined) {
      const etag = await etagAt(decodeURIComponent(new URL(incoming.url ?? '/', endpoint).pathname));
      if (etag !== expected) {
        incoming.resume();
        const [status, code] = etag === undefined ? [404, 'NoSuchKey'] : [412, 'PreconditionFailed'];
        outgoing.writeHead(status, { 'content-type': 'application/xml' });
        return void outgoing.end(`<Error><Code>${code}</Code><Message>as AWS</Message></Error>`);
      }
    }
    await forward(incoming, outgoing);
  }

  async function etagAt(path: string): Promise<string | undefined> {
    try {
      return (await s3.send(new HeadObjectCommand({ Bucket, Key: path.slice(`/${Bucket}/`.length) }))).ETag;
    } catch {
      return undefined;
    }
  }

  /** As it is, since host and headers are signed. */
  async function forward(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method, url, headers } = incoming;
    const forwarded = request(new URL(url ?? '/', endpoint), { method, headers, agent: false });
    const responded = once(forwarded, 'response');
    await Promise.all([
      pipeline(incoming, forwarded),
      responded.then(async ([response]: IncomingMessage[]) => {
        if (!response) throw new Error('no response');
        outgoing.writeHead(response.statusCode ?? 500, response.headers);
        await pipeline(response, outgoing);
      }),
    ]);
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return {
    endpoint: `http://127.0.0.1:${address.port}`,
    requests,
    async close() {
      s3.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
