import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { OldBucket } from '../../bench/scale/old-bucket.ts';
import { SimulatedStorage } from '../../bench/scale/simulated-storage.ts';
import { withSimulator } from '../../bench/scale/simulator-process.ts';
import { type BucketSize, chainOf, SyntheticBucket } from '../../bench/scale/synthetic-bucket.ts';
import { digestOf } from '../../lib/model/content-digest.ts';
import {
  digestOfManifestKey,
  type Key,
  type KeyPrefix,
  layout,
  parseBlobRecord,
  parseRepositoryRecord,
} from '../../lib/model/layout.ts';
import { parseManifest } from '../../lib/model/manifest.ts';
import type { ImageId } from '../../lib/model/names.ts';
import { decodeAncestry } from '../../lib/registry/v1-images/images.ts';
import { chainIds } from '../../lib/registry/v2-to-v1/image-chain.ts';
import type { ObjectInfo, StorageDriver } from '../../lib/storage/driver.ts';
import { encodeText } from '../../lib/streams/bytes.ts';
import { openFiles } from '../storage/open.ts';

const EVERYTHING = '' as KeyPrefix;

const SIZES: BucketSize[] = [
  { repositories: 1, tagsPerRepository: 1 },
  { repositories: 7, tagsPerRepository: 3, unlinkedBlobs: 4, unusedLinks: 2, maxLayerBytes: 40 },
  { repositories: 5, tagsPerRepository: 1, repositoriesPerNamespace: 2, wideTags: 30 },
  { repositories: 12, tagsPerRepository: 2, hasProjections: true, unusedProjections: 5, maxLayerBytes: 40, seed: 2 },
];

for (const size of SIZES) {
  test(`the simulator answers as the driver of files with the same objects: ${JSON.stringify(size)}`, async () => {
    const { driver: files, close } = await openFiles();
    const simulated = new SimulatedStorage(new SyntheticBucket({ maxLayerBytes: 40, ...size }));
    try {
      const keys: Key[] = [];
      for await (const { key } of simulated.list(EVERYTHING)) {
        const object = await simulated.read(key);
        ok(object);
        keys.push(key);
        await files.put(key, object.bytes);
      }
      await changeAlike(keys, [files, simulated]);
      await compare(keys, files, simulated);
    } finally {
      await simulated.close();
      await close();
    }
  });
}

/** Overwrites, deletes and adds some objects. */
async function changeAlike(keys: readonly Key[], drivers: readonly StorageDriver[]): Promise<void> {
  for (const [index, key] of keys.entries()) {
    for (const driver of drivers) {
      if (index % 17 === 3) await driver.put(key, encodeText(`written over ${key}`));
      if (index % 13 === 5) await driver.delete(key);
      if (index % 11 === 7) await driver.put(`${key}-more` as Key, encodeText('x'.repeat(index)));
      if (index % 22 === 7) await driver.delete(`${key}-more` as Key);
      if (index % 29 === 8) await driver.put(key, encodeText('again'), { ifAbsent: true });
    }
  }
}

async function compare(keys: readonly Key[], files: StorageDriver, simulated: StorageDriver): Promise<void> {
  deepEqual(await listed(simulated, EVERYTHING), await listed(files, EVERYTHING));
  const step = Math.ceil(keys.length / 24);
  for (const [index, key] of keys.entries()) {
    if (index % step > 0) continue;
    const [one, other] = [await simulated.read(key), await files.read(key)];
    deepEqual(one?.bytes, other?.bytes && new Uint8Array(other.bytes), key);
    equal((await simulated.head(key))?.sizeBytes, (await files.head(key))?.sizeBytes);
    const after = (keys[(index * 31) % keys.length] ?? key) as Key;
    for (const prefix of beginningsOf(key)) {
      deepEqual(await listed(simulated, prefix, after), await listed(files, prefix, after), `${prefix} after ${after}`);
      if (!prefix.endsWith('/')) continue;
      for (const options of [{}, { after: prefix }, { after: key }, { after }]) {
        deepEqual(
          await Array.fromAsync(simulated.listFolders(prefix, options)),
          await Array.fromAsync(files.listFolders(prefix, options)),
          `${prefix} ${JSON.stringify(options)}`,
        );
      }
    }
  }
}

async function listed(driver: StorageDriver, prefix: KeyPrefix, after?: Key): Promise<[Key, number][]> {
  const options = after === undefined ? {} : { after };
  return await Array.fromAsync(driver.list(prefix, options), ({ key, sizeBytes }: ObjectInfo): [Key, number] => [
    key,
    sizeBytes,
  ]);
}

/** `a/`, `a/b/`, and a beginning that ends within a part. */
function beginningsOf(key: Key): KeyPrefix[] {
  const parts = key.split('/');
  const folders = parts.slice(0, -1).map((_, at) => `${parts.slice(0, at + 1).join('/')}/`);
  return [...folders, key.slice(0, -3)] as KeyPrefix[];
}

test('the process of the simulator answers as the simulator does', async () => {
  const size: BucketSize = { repositories: 40, tagsPerRepository: 3, wideTags: 30, maxLayerBytes: 40 };
  const inProcess = new SimulatedStorage(new SyntheticBucket(size));
  await withSimulator(size, async ({ client }) => {
    const keys = await Array.fromAsync(inProcess.list(EVERYTHING), ({ key }) => key);
    await changeAlike(keys, [inProcess, client]);
    deepEqual(await listed(client, EVERYTHING), await listed(inProcess, EVERYTHING));
    for (const key of keys.filter((_, index) => index % 50 === 0)) {
      const [one, other] = [await client.read(key), await inProcess.read(key)];
      deepEqual(one?.bytes, other?.bytes && new Uint8Array(other.bytes), key);
      equal(one?.info.etag, other?.info.etag);
    }
    const folder = 'repositories/' as KeyPrefix;
    deepEqual(await Array.fromAsync(client.listFolders(folder)), await Array.fromAsync(inProcess.listFolders(folder)));
    const pieces = [encodeText('in '), encodeText('pieces')];
    const key = 'written' as Key;
    ok(
      await client.putStream(
        key,
        (async function* () {
          yield* pieces;
        })(),
      ),
    );
    deepEqual((await client.read(key))?.bytes, encodeText('in pieces'));
  });
  await inProcess.close();
});

test('every manifest of the simulator has the digest of its key, and its blobs are linked and stored', async () => {
  const bucket = new SyntheticBucket({ repositories: 3, tagsPerRepository: 2, maxLayerBytes: 40 });
  const simulated = new SimulatedStorage(bucket);
  const links = new Set<string>();
  const stored = new Set<string>();
  const manifests: { key: Key; bytes: Uint8Array }[] = [];
  for await (const { key } of simulated.list(EVERYTHING)) {
    const record = parseRepositoryRecord(key);
    if (record?.kind === 'link') links.add(`${record.repository} ${record.digest}`);
    const blob = parseBlobRecord(key);
    if (blob) stored.add(blob.digest);
    const bytes = digestOfManifestKey(key) && (await simulated.read(key))?.bytes;
    if (bytes) manifests.push({ key, bytes });
  }
  equal(manifests.length, 3 * 2 * 4);
  for (const { key, bytes } of manifests) {
    equal(digestOf(bytes), digestOfManifestKey(key));
    const repository = parseRepositoryRecord(key)?.repository;
    for (const { digest } of parseManifest(bytes).blobs) {
      ok(links.has(`${repository} ${digest}`));
      ok(stored.has(digest));
    }
  }
  await simulated.close();
});

test('each tag of an old bucket names an image whose ancestors are all there', async () => {
  const simulated = new SimulatedStorage(new OldBucket({ repositories: 3, tagsPerRepository: 2 }));
  let tags = 0;
  for await (const { key } of simulated.list('repositories/' as KeyPrefix)) {
    if (!layout.isTag(key)) continue;
    tags++;
    const top = new TextDecoder().decode((await simulated.read(key))?.bytes) as ImageId;
    const ancestry = decodeAncestry((await simulated.read(layout.imageAncestry(top)))?.bytes ?? new Uint8Array());
    deepEqual(ancestry?.[0], top);
    equal(ancestry?.length, 4);
    for (const id of ancestry ?? []) ok(await simulated.head(layout.imageLayer(id)));
  }
  equal(tags, 6);
  await simulated.close();
});

test('the images of a projection have the ids that the registry computes', () => {
  const layers = ['a', 'b', 'c'].map((text) => digestOf(encodeText(text)));
  deepEqual(chainOf(layers), chainIds(layers));
});

test('requests are counted as S3 counts them: a listing costs one for each 1,000 keys', async () => {
  const simulated = new SimulatedStorage(new SyntheticBucket({ repositories: 30, tagsPerRepository: 10 }));
  const keys = await Array.fromAsync(simulated.list('oci/blobs/' as KeyPrefix), ({ key }) => key);
  equal(keys.length, 3030);
  equal(simulated.requests.list, 4);
  await Array.fromAsync(simulated.listFolders('oci/blobs/sha256/' as KeyPrefix));
  equal(simulated.requests.list, 8);
  await simulated.close();
});
