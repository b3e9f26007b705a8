import { AwsSigner } from '../../lib/storage/aws-signature.ts';
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
  const signer = new AwsSigner('s3');
  let ignored = 0;
  const proxy = await startProxy(async (incoming, outgoing) => {
    const { method = '', url = '' } = incoming;
    const { pathname: path, searchParams } = new URL(url, endpoint);
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(incoming.headers)) {
      if (name.startsWith('x-amz-checksum-')) ignored++;
      else if (!['host', 'connection', 'authorization', 'x-amz-date', 'x-amz-content-sha256'].includes(name))
        headers[name] = String(value);
    }
    const request = { method, host, path, query: Object.fromEntries(searchParams), headers };
    const payloadHash = String(incoming.headers['x-amz-content-sha256']);
    const signed = signer.headersOf(request, payloadHash, { region: 'us-east-1', credentials, timeMs: Date.now() });
    await sendResponse(await forward(endpoint, incoming, outgoing, signed), outgoing);
  });
  return { ...proxy, ignored: () => ignored };
}
