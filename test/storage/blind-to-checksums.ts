import aws4 from 'aws4';
import type { Minio } from '../support/minio.ts';
import { forward, type S3Proxy, sendResponse, startProxy } from './s3-proxy.ts';

export type BlindServer = S3Proxy & {
  /** How many checksum headers of clients were removed. */
  ignored: () => number;
};

/**
 * MinIO as a server that does not know checksums: the proxy removes their headers. As these are signed, it signs each request
 * again.
 */
export async function startBlindServer({ endpoint, credentials }: Minio): Promise<BlindServer> {
  const { host } = new URL(endpoint);
  let ignored = 0;
  const proxy = await startProxy(async (incoming, outgoing) => {
    const { method = '', url: path = '' } = incoming;
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(incoming.headers)) {
      if (name.startsWith('x-amz-checksum-')) ignored++;
      else if (!['host', 'connection', 'authorization', 'x-amz-date'].includes(name)) headers[name] = String(value);
    }
    const signed = aws4.sign({ service: 's3', region: 'us-east-1', host, method, path, headers }, credentials);
    await sendResponse(await forward(endpoint, incoming, outgoing, signed.headers ?? {}), outgoing);
  });
  return { ...proxy, ignored: () => ignored };
}
