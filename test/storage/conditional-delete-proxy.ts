import type { IncomingMessage, ServerResponse } from 'node:http';
import { HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { KeyLocks } from '../../lib/concurrency/key-locks.ts';
import type { Minio } from '../support/minio.ts';
import { forward, type S3Proxy, sendError, sendResponse, startProxy } from './s3-proxy.ts';

export type ConditionalDeleteProxy = S3Proxy & { requests: string[] };

/** MinIO as a server that honors `If-Match` of a DELETE, as AWS does: the puts and deletes of one key take turns. */
export async function startConditionalDeleteProxy(minio: Minio): Promise<ConditionalDeleteProxy> {
  const { endpoint, bucket: Bucket, credentials } = minio;
  const s3 = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
  const turns = new KeyLocks();
  const requests: string[] = [];

  async function answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const expected = incoming.method === 'DELETE' ? incoming.headers['if-match'] : undefined;
    if (expected !== undefined) {
      const etag = await etagAt(decodeURIComponent(new URL(incoming.url ?? '/', endpoint).pathname));
      if (etag === undefined) return await sendError(incoming, outgoing, { status: 404, code: 'NoSuchKey' });
      if (etag !== expected) return await sendError(incoming, outgoing, { status: 412, code: 'PreconditionFailed' });
    }
    await sendResponse(await forward(endpoint, incoming, outgoing), outgoing);
  }

  async function etagAt(path: string): Promise<string | undefined> {
    try {
      return (await s3.send(new HeadObjectCommand({ Bucket, Key: path.slice(`/${Bucket}/`.length) }))).ETag;
    } catch {
      return undefined;
    }
  }

  const proxy = await startProxy(async (incoming, outgoing) => {
    const { method = '', url = '/' } = incoming;
    requests.push(`${method} ${url}`);
    const isChange = method === 'PUT' || method === 'DELETE';
    if (!isChange) return await answer(incoming, outgoing);
    await turns.run(new URL(url, endpoint).pathname, () => answer(incoming, outgoing));
  });
  return {
    ...proxy,
    requests,
    async close() {
      s3.destroy();
      await proxy.close();
    },
  };
}
