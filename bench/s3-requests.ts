// Counts the S3 requests of each operation by a proxy in front of the bucket, apart from the timed measures.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { MiB } from '../lib/streams/bytes.ts';
import { startFaultyProxy } from '../test/storage/faulty-proxy.ts';
import type { Minio } from '../test/support/minio.ts';
import { chunked, digestOf, locationOf, V2Client, withDigest } from '../test/v2/client.ts';
import { pushImage } from '../test/v2/image.ts';
import { startRegistry } from './registries.ts';
import { emptyStorage, type RegistryName } from './storage.ts';

/** `behind`: requests after the answer, in the background. */
export type S3Requests = { operation: string; untilAnswer: number; behind: number };

const REPOSITORY = 'bench/app';
const LAYERS = 10;
const BIG_MIB = 100;
const UNKNOWN = digestOf('a blob that was never pushed');

/** Idle time after which background work counts as finished. */
const SETTLED_MS = 700;

/** @param bucket accessed through a proxy; the registry's prefix in it is emptied afterwards */
export async function countS3Requests(minio: Minio, name: RegistryName, progress: (text: string) => void) {
  const proxy = await startFaultyProxy(minio.endpoint);
  const directory = await mkdtemp(join(tmpdir(), 'stowage-bench-'));
  const storage = { kind: 's3', bucket: { ...minio, endpoint: proxy.endpoint }, redirects: true } as const;
  const registry = await startRegistry(name, { storage, directory });
  try {
    const counted: S3Requests[] = [];
    for (const { title, run } of await operationsOn(new V2Client(new URL(registry.url)))) {
      progress(`S3 requests: ${name}, ${title}`);
      await run(); // so that what a registry keeps in memory counts in its favour
      await settled(proxy.requests);
      proxy.requests.length = 0;
      await run();
      const untilAnswer = proxy.requests.length;
      await settled(proxy.requests);
      counted.push({ operation: title, untilAnswer, behind: proxy.requests.length - untilAnswer });
    }
    return counted;
  } finally {
    await registry.stop();
    await proxy.close();
    await emptyStorage({ ...storage, bucket: minio }, name);
    await rm(directory, { recursive: true, force: true });
  }
}

async function settled(requests: readonly unknown[]): Promise<void> {
  for (let seen = -1; seen !== requests.length; ) {
    seen = requests.length;
    await sleep(SETTLED_MS);
  }
}

type Operation = { title: string; run: () => Promise<unknown> };

/** The requests of a client for an image that exists. */
async function operationsOn(client: V2Client): Promise<Operation[]> {
  const contents = Array.from({ length: LAYERS }, () => randomBytes(100).toString('hex'));
  const { digest, manifest } = await pushImage(client, REPOSITORY, 'latest', { contents });
  const { digest: blob } = await client.pushBlob(REPOSITORY, randomBytes(1000));
  const path = (kind: string, name: string) => `/v2/${REPOSITORY}/${kind}/${name}`;
  const ask = (title: string, method: string, kind: string, name: string, ...statuses: number[]): Operation => ({
    title,
    run: async () => expect(await client.send(method, path(kind, name), { headers: ACCEPT }), ...statuses),
  });
  let tag = 0;
  return [
    ask('manifest GET by tag', 'GET', 'manifests', 'latest', 200),
    ask('manifest HEAD by tag', 'HEAD', 'manifests', 'latest', 200),
    ask('manifest GET by digest', 'GET', 'manifests', digest, 200),
    ask('blob GET by redirect', 'GET', 'blobs', blob, 307),
    ask('blob HEAD', 'HEAD', 'blobs', blob, 200, 307),
    ask('blob HEAD, unknown', 'HEAD', 'blobs', UNKNOWN, 404),
    ask('list of tags', 'GET', 'tags', 'list', 200),
    { title: 'start of an upload', run: () => client.start(REPOSITORY) },
    { title: 'small blob, POST + PUT', run: () => pushByPut(client, randomBytes(1000)) },
    { title: 'small blob, POST + PATCH + PUT', run: () => pushByPatch(client, randomBytes(1000)) },
    { title: `${BIG_MIB} MiB, POST + PUT`, run: () => pushByPut(client, bigBlob()) },
    { title: `${BIG_MIB} MiB, POST + PATCH + PUT`, run: () => pushByPatch(client, bigBlob()) },
    {
      title: `manifest PUT, ${LAYERS + 1} blobs, new tag`,
      run: async () => expect(await client.pushManifest(REPOSITORY, `tag-${tag++}`, manifest), 201),
    },
  ];
}

const ACCEPT = { Accept: 'application/vnd.oci.image.manifest.v1+json' };

async function pushByPut(client: V2Client, bytes: Uint8Array): Promise<void> {
  await expect((await client.pushBlob(REPOSITORY, bytes)).response, 201);
}

async function pushByPatch(client: V2Client, bytes: Uint8Array): Promise<void> {
  const patched = await client.send('PATCH', await client.start(REPOSITORY), {
    body: chunked(bytes),
    headers: { 'Content-Type': 'application/octet-stream' },
  });
  await expect(await client.send('PUT', withDigest(locationOf(patched), digestOf(bytes))), 201);
}

function bigBlob(): Uint8Array {
  const bytes = Buffer.alloc(BIG_MIB * MiB);
  randomBytes(16).copy(bytes);
  return bytes;
}

async function expect(response: Response, ...statuses: number[]): Promise<void> {
  const body = await response.text();
  if (!statuses.includes(response.status))
    throw new Error(`${response.url}: ${response.status}, not ${statuses}: ${body}`);
}
