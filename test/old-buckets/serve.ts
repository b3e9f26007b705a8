import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { assembleRegistry } from '../../lib/registry/registry.ts';
import { startRegistry } from '../support/registry-server.ts';
import { assertError, send } from '../v1/send.ts';
import { checkV1Image, checkV1Repository } from './check-v1.ts';
import { checkV2Tag, checkV2Tags, digestsOf, v2TagsOf } from './check-v2.ts';
import { DockerRegistry } from './docker-registry.ts';
import { type OldBucket, type OldRepository, oldBucket } from './generator.ts';
import { hashAll, hashesOf, storeBucket } from './in-storage.ts';
import type { DockerRegistryVersion } from './keys.ts';
import { type OpenStorage, ok, type Served, useRegistryOver } from './served.ts';

/** The digests of the conversions. Clients pin them, so no version may change them. */
const PINNED: Record<string, string> = {
  'library/ubuntu:12.10': 'sha256:0e353352747973e9fc2c01c40e70ba53f712450ce6c647d5baf6427fa8aeaa73',
  'library/ubuntu:13.04': 'sha256:9ec3988748baff5d314e6dccad81125206f7459fe5ca1545792e55cc37d5f696',
  'library/ubuntu:13.10': 'sha256:1a5f2b504ac6e54f319751de970de1e41290154a0e7d19af1a66240715836f1e',
  'library/ubuntu:14.04': 'sha256:9829665063a20a445cb190a6a98c6e573fd0e5fdc4873d54f37864cf32d1f6a5',
  'library/centos:6.4': 'sha256:f1a865fa280e816b614bfaf60c33129d3b34c62313ba4a2ce3457eca3b33a229',
  'library/centos:6.5': 'sha256:a4b6c211b6bfca075f27b1da60062db506e94e4bf01e06b2f03a074643d1c1b6',
};

/** Over buckets of docker-registry 0.6.5 and 0.9.1, v1 and v2 serve all images and change none of the objects. */
export function serveOldBucketSuite(name: string, open: OpenStorage): void {
  for (const version of ['0.6.5', '0.9.1'] as const) {
    describe(`a bucket of docker-registry ${version} on ${name}`, () => serveSuite(version, open));
  }
  describe(`an image with 127 ancestors on ${name}`, () => deepSuite(open));
  describe(`a bucket of docker-registry 0.9.1 on ${name}, adopted beforehand`, () => adoptedSuite(open));
}

function serveSuite(version: DockerRegistryVersion, open: OpenStorage): void {
  const bucket = oldBucket(version);
  const repositories = bucket.repositories.map((repository) => withoutQuotedTags(version, repository));
  const served = useRegistryOver(bucket, open);

  test('answers pings and searches', async () => {
    for (const path of ['/_ping', '/v1/_ping']) {
      const answer = await served.get(path);
      assert.deepEqual([answer.status, answer.header('X-Docker-Registry-Standalone')], [200, 'True']);
    }
    const { results } = (await ok(served, '/v1/search?q=')).json() as { results: { name: string }[] };
    assert.deepEqual(
      results.map((result) => result.name).toSorted(),
      repositories.map((repository) => repository.name).toSorted(),
    );
  });

  for (const repository of repositories) {
    test(`answers v1 about ${repository.name}`, () => checkV1Repository(served, bucket, repository));
  }
  for (const { id, layer } of bucket.images.values()) {
    test(`answers v1 about image ${id.slice(0, 12)}, ${layer.form}`, () => checkV1Image(served, bucket, id));
  }
  for (const { id } of bucket.incomplete) {
    test('does not serve the image of an interrupted push', async () => {
      for (const part of ['json', 'layer', 'ancestry', 'files']) {
        const answer = await served.get(`/v1/images/${id}/${part}`);
        assertError(answer, 400, 'Image is being uploaded, retry later');
      }
    });
  }

  for (const repository of repositories) {
    test(`lists the tags of ${repository.name} for v2`, () => checkV2Tags(served, repository));
    for (const tag of v2TagsOf(repository)) {
      test(`answers v2 about ${repository.name}:${tag}`, () => checkV2Tag(served, bucket, repository, tag));
    }
  }

  test('lists exactly its repositories for v2', async () => {
    const { repositories: listed } = (await ok(served, '/v2/_catalog')).json() as { repositories: string[] };
    assert.deepEqual(listed, repositories.map((repository) => repository.name).toSorted());
  });

  test('serves conversions with the pinned digests', async () => {
    const digests = await digestsOf(served, Object.keys(PINNED));
    assert.deepEqual(digests, PINNED);
  });

  test('makes the same conversions from a copy of the bucket, in another order', async () => {
    const references = repositories.flatMap((repository) =>
      v2TagsOf(repository).map((tag) => `${repository.name}:${tag}`),
    );
    const storage = await open();
    try {
      await storeBucket(storage.driver, bucket);
      const server = await startRegistry(storage.driver);
      const copy = { get: (path: string) => send(server.url, 'GET', path) };
      const fromCopy = await digestsOf(copy, references.toReversed());
      await server.stop();
      assert.deepEqual(await digestsOf(served, references), fromCopy);
    } finally {
      await storage.close();
    }
  });

  test('leaves the objects of docker-registry unchanged, and adds none beside them', async () => {
    await served.idle();
    await checkUnchanged(served, bucket);
    const counts = bucket.repositories.map((repository) => [repository.name, Object.keys(repository.tags).length]);
    const registry = new DockerRegistry(served.driver, version);
    assert.deepEqual(await registry.pullEverything(), Object.fromEntries(counts));
  });
}

function deepSuite(open: OpenStorage): void {
  const bucket = oldBucket('0.9.1', { longChain: 127 });
  const served = useRegistryOver(bucket, open);
  const repository = bucket.repositories.find(({ name }) => name === 'library/deep') ?? assert.fail();

  test('is served by v1', async () => {
    await checkV1Repository(served, bucket, repository);
    await checkV1Image(served, bucket, repository.tags.latest ?? '');
  });
  test('is served by v2', () => checkV2Tag(served, bucket, repository, 'latest'));
}

function adoptedSuite(open: OpenStorage): void {
  const bucket = oldBucket('0.9.1');
  const served = useRegistryOver(bucket, open);

  before(async () => {
    const { adoption } = assembleRegistry(served.driver, { copiesLayers: false });
    await adoption.copyTwiceQuoted(await adoption.findTwiceQuoted());
    const plan = await adoption.plan();
    assert.equal(plan.unreadCount, bucket.images.size);
    assert.deepEqual(await adoption.run(plan, { layersAtOnce: 2 }), []);
    assert.deepEqual(await adoption.findTwiceQuoted(), []);
    assert.equal((await adoption.plan()).unreadCount, 0);
  });

  for (const repository of bucket.repositories) {
    test(`answers v1 about ${repository.name}`, () => checkV1Repository(served, bucket, repository));
    test(`lists the tags of ${repository.name} for v2`, () => checkV2Tags(served, repository));
    for (const tag of v2TagsOf(repository)) {
      test(`answers v2 about ${repository.name}:${tag}`, () => checkV2Tag(served, bucket, repository, tag));
    }
  }

  test('serves conversions with the pinned digests', async () => {
    assert.deepEqual(await digestsOf(served, Object.keys(PINNED)), PINNED);
  });

  test('leaves the objects of docker-registry unchanged', async () => {
    const hashes = await hashAll(served.driver);
    for (const [key, hash] of hashesOf(bucket)) assert.equal(hashes.get(key), hash, key);
  });
}

/** Tags that 0.9 quoted are found only after an adoption. */
function withoutQuotedTags(version: DockerRegistryVersion, repository: OldRepository): OldRepository {
  if (version === '0.6.5') return repository;
  const tags = Object.entries(repository.tags).filter(([tag]) => tag !== '1.0+b');
  return { ...repository, tags: Object.fromEntries(tags) };
}

/** Objects `_files` may be added: docker-registry adds them too, when a client asks for the files of an image. */
async function checkUnchanged(served: Served, bucket: OldBucket): Promise<void> {
  const hashes = await hashAll(served.driver);
  const old = hashesOf(bucket);
  const own = [...hashes].filter(([key]) => old.has(key) || !(key.startsWith('oci/') || key.endsWith('/_files')));
  assert.deepEqual(new Map(own), old);
}
