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

/** The most requests that Stowage aims at. */
type Aim = { untilAnswer?: number; inAll?: number };
/** `behind`: requests after the answer, in the background. */
export type S3Requests = { operation: string; untilAnswer: number; behind: number; aim: Aim | undefined };

const REPOSITORY = 'bench/app';
const LAYERS = 10;
/** The layers and the config. */
const BLOBS = LAYERS + 1;
const BIG_MIB = 100;
const UNKNOWN = digestOf('a blob that was never pushed');

/** If the response waits for requests that are held, they count as made before it. */
const LONGEST_HOLD_MS = 5000;

/** Idle time after which background work counts as finished. */
const SETTLED_MS = 700;

/** @param minio accessed through a proxy; the registry's prefix in it is emptied afterwards */
export async function countS3Requests(minio: Minio, name: RegistryName, progress: (text: string) => void) {
  const proxy = await startFaultyProxy(minio.endpoint);
  const directory = await mkdtemp(join(tmpdir(), 'stowage-bench-'));
  const storage = { kind: 's3', bucket: { ...minio, endpoint: proxy.endpoint }, redirects: true } as const;
  const registry = await startRegistry(name, { storage, directory, workers: 1 });
  try {
    const counted: S3Requests[] = [];
    for (const { title, prepare, run, background, aim } of await operationsOn(new URL(registry.url))) {
      progress(`S3 requests: ${name}, ${title}`);
      await prepare?.();
      await run(); // so that what a registry keeps in memory counts in its favour
      await prepare?.();
      await settled(proxy.requests);
      const isBackground = ({ url }: { url: string }) => background?.test(url) ?? false;
      const answered = Promise.withResolvers<void>();
      const until = Promise.race([answered.promise, sleep(LONGEST_HOLD_MS)]);
      proxy.fail(isBackground, { kind: 'hold', until }, Infinity);
      const started = performance.now();
      await run();
      const hasWaited = performance.now() - started >= LONGEST_HOLD_MS;
      const untilAnswer = proxy.requests.filter((request) => hasWaited || !isBackground(request)).length;
      answered.resolve();
      await settled(proxy.requests);
      counted.push({ operation: title, untilAnswer, behind: proxy.requests.length - untilAnswer, aim });
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

type Operation = {
  title: string;
  /** Comes before each run, and is not counted. */
  prepare?: () => Promise<unknown>;
  run: () => Promise<unknown>;
  /** URLs of background work that can begin before the response. Such requests are held until the response, which does not wait for them. */
  background?: RegExp;
  aim?: Aim;
};

/** The requests of a client for an image that exists. */
async function operationsOn(registry: URL): Promise<Operation[]> {
  const client = new V2Client(registry);
  const { digest, manifest } = await pushImage(client, REPOSITORY, 'latest', { contents: newContents() });
  const { digest: blob } = await client.pushBlob(REPOSITORY, randomBytes(1000));
  const path = (kind: string, name: string) => `/v2/${REPOSITORY}/${kind}/${name}`;
  const ask = (title: string, method: string, kind: string, name: string, ...statuses: number[]): Operation => ({
    title,
    run: async () => expect(await client.send(method, path(kind, name), { headers: ACCEPT }), ...statuses),
  });
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
    ...manifestPuts(client, new BlobsOnly(registry), manifest),
    ...deletions(client),
  ];
}

function manifestPuts(client: V2Client, blobsOnly: V2Client, known: object): Operation[] {
  let tag = 0;
  let made: object = {};
  const background = /\/(?:history|facts)\/|\/oci\/blobs\//;
  const put = async (name: string, manifest: object) =>
    expect(await client.pushManifest(REPOSITORY, name, manifest), 201);
  return [
    {
      title: `manifest PUT, ${BLOBS} new blobs, new tag`,
      prepare: async () => {
        ({ manifest: made } = await pushImage(blobsOnly, REPOSITORY, undefined, { contents: newContents() }));
      },
      run: () => put(`new-${tag++}`, made),
      background,
      aim: { untilAnswer: BLOBS + 3, inAll: BLOBS + 3 + 4 * LAYERS + 8 },
    },
    {
      title: 'manifest PUT, the same again',
      run: () => put(`new-${tag - 1}`, made),
      background,
      aim: { inAll: BLOBS + 6 },
    },
    { title: `manifest PUT, ${BLOBS} known blobs, new tag`, run: () => put(`tag-${tag++}`, known), background },
  ];
}

/** Of an image of its own, with one tag, in a repository of its own. */
function deletions(client: V2Client): Operation[] {
  const repository = `${REPOSITORY}-deleted`;
  let digest = '';
  const prepare = async () => {
    ({ digest } = await pushImage(client, repository, 'gone', { contents: newContents() }));
  };
  const remove = async (reference: string) =>
    expect(await client.send('DELETE', `/v2/${repository}/manifests/${reference}`), 202);
  return [
    // MinIO does not honour conditions of a DELETE, which takes one more.
    { title: 'DELETE of a tag', prepare, run: () => remove('gone'), aim: { inAll: 9 } },
    {
      title: 'DELETE of a manifest with one tag',
      prepare,
      run: () => remove(digest),
      aim: { inAll: 2 + 4 + 6 },
    },
  ];
}

/** Pushes all of an image but its manifest. */
class BlobsOnly extends V2Client {
  override async pushManifest(): Promise<Response> {
    return new Response(null, { status: 201 });
  }
}

function newContents(): string[] {
  return Array.from({ length: LAYERS }, () => randomBytes(100).toString('hex'));
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
