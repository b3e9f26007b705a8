import { createCipheriv, createHash } from 'node:crypto';
import { type IncomingMessage, request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';

const MiB = 1024 * 1024;

/** A blob too big to be held in memory, made anew each time it is read. */
export interface BigBlob {
  digest: string;
  sizeBytes: number;
  content(): AsyncIterable<Buffer>;
}

export async function bigBlob(sizeMiB: number, seed: string): Promise<BigBlob> {
  async function* content() {
    const cipher = createCipheriv('aes-256-ctr', createHash('sha256').update(seed).digest(), Buffer.alloc(16));
    const zeros = Buffer.alloc(MiB);
    for (let i = 0; i < sizeMiB; i++) yield cipher.update(zeros);
  }
  const hash = createHash('sha256');
  for await (const chunk of content()) hash.update(chunk);
  return { digest: `sha256:${hash.digest('hex')}`, sizeBytes: sizeMiB * MiB, content };
}

/** As Docker 20.10 does: one PATCH of unknown length, and a PUT that only names the digest. */
export async function pushByPatch(repositoryUrl: string, blob: BigBlob): Promise<void> {
  const { location: start } = await send('POST', new URL(`${repositoryUrl}/blobs/uploads/`), 202);
  const { location: patched } = await send('PATCH', start, 202, { body: blob.content() });
  await send('PUT', withDigest(patched, blob.digest), 201);
}

/** As Docker 29 does: one PUT of known length that names the digest. */
export async function pushByPut(repositoryUrl: string, blob: BigBlob): Promise<void> {
  const { location } = await send('POST', new URL(`${repositoryUrl}/blobs/uploads/`), 202);
  const headers = { 'Content-Length': String(blob.sizeBytes) };
  await send('PUT', withDigest(location, blob.digest), 201, { body: blob.content(), headers });
}

/** Reads it all and gives the digest of what came. */
export async function pull(repositoryUrl: string, digest: string): Promise<string> {
  const response = await fetch(`${repositoryUrl}/blobs/${digest}`);
  const hash = createHash('sha256');
  for await (const chunk of response.body ?? []) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
}

function withDigest(location: URL, digest: string): URL {
  const url = new URL(location);
  url.searchParams.set('digest', digest);
  return url;
}

interface Sent {
  body?: AsyncIterable<Buffer>;
  headers?: Record<string, string>;
}

async function send(method: string, url: URL, status: number, { body, headers = {} }: Sent = {}) {
  const type = body === undefined ? { 'Content-Length': '0' } : { 'Content-Type': 'application/octet-stream' };
  const outgoing = request(url, { method, headers: { ...type, ...headers } });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve);
    outgoing.once('error', reject);
  });
  // A server that refuses stops reading; its answer then says more than the broken pipe.
  const sent = pipeline(body ?? [], outgoing).catch((error: unknown) => error);
  const response = await answered;
  const text = (await buffer(response)).toString();
  await sent;
  if (response.statusCode !== status) {
    throw new Error(`${method} ${url}: ${response.statusCode}, not ${status}: ${text}`);
  }
  return { location: new URL(response.headers.location ?? '', url) };
}
