import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { mapConcurrently } from '../../../lib/concurrency/map-concurrently.ts';
import { layout, tagOf } from '../../../lib/model/layout.ts';
import {
  type Digest,
  parseDigest,
  parseRepositoryName,
  parseTag,
  type RepositoryName,
} from '../../../lib/model/names.ts';
import { TagResolver } from '../../../lib/registry/tags/resolve-tags.ts';
import { Tags } from '../../../lib/registry/tags/tags.ts';
import type { ETag, ObjectInfo, StorageDriver } from '../../../lib/storage/driver.ts';
import { encodeText } from '../../../lib/streams/bytes.ts';
import { alterDriver } from '../../storage/altered-driver.ts';
import type { OpenedStorage } from '../../storage/open.ts';

/** These tests move no tag. */
const recordMove = () => assert.fail('a tag was moved');

const hexOf = (text: string) => createHash('sha256').update(text).digest('hex');

/** Resolving the tags of a repository with thousands of them. */
export function resolveTagsSuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`tags of a large repository on ${name}`, () => {
    const TAGS = name === 'files' ? 300 : 3000; // fewer: each written file is synced
    let storage: OpenedStorage;
    /** Keys that were read, and prefixes that were listed: one entry for each 1,000 objects. */
    const reads: string[] = [];
    const lists: string[] = [];
    let counting: StorageDriver;
    before(async () => {
      storage = await open();
      counting = alterDriver(storage.driver, (original) => ({
        read: async (key) => {
          reads.push(key);
          return await original.read(key);
        },
        async *list(prefix, options) {
          let seen = 0;
          for await (const object of original.list(prefix, options)) {
            if (seen++ % 1000 === 0) lists.push(prefix);
            yield object;
          }
          if (seen === 0) lists.push(prefix);
        },
      }));
    });
    after(() => storage.close());

    const put = (repository: RepositoryName, tag: string, text: string) =>
      storage.driver.put(layout.tag(repository, parseTag(tag)), encodeText(text));
    const digestAt = (index: number) => parseDigest(`sha256:${hexOf(`manifest ${index}`)}`);
    const indexOf = (digest: Digest) => digest.slice('sha256:'.length);
    /** Tag `v<n>` names manifest n. */
    const plant = async (
      repository: RepositoryName,
      { count = TAGS, hasManifests = false, isIndexed = false } = {},
    ) => {
      const numbers = Array.from({ length: count }, (_, index) => index);
      await mapConcurrently(numbers, (n) => put(repository, `v${n}`, indexOf(digestAt(n))), 64);
      if (hasManifests)
        await mapConcurrently(
          numbers,
          (n) => storage.driver.put(layout.manifest(repository, digestAt(n)), encodeText('{}')),
          64,
        );
      const list = numbers.map((n) => ({ id: indexOf(digestAt(n)) }));
      if (isIndexed) await storage.driver.put(layout.indexImages(repository), encodeText(JSON.stringify(list)));
    };
    /** On S3 at most `most` objects are read; on disk every tag is read besides. */
    const assertReads = (most: number) => {
      const limit = storage.driver.etagOf(encodeText('')) === undefined ? TAGS + most : most;
      assert.ok(reads.length <= limit, `${reads.length} reads, more than ${limit}`);
    };
    const clear = () => {
      reads.length = 0;
      lists.length = 0;
    };
    const assertRight = (resolved: readonly { tag: string; target: { digest: Digest } }[], count = TAGS) => {
      assert.equal(resolved.length, count);
      for (const { tag, target } of resolved) assert.equal(target.digest, digestAt(Number(tag.slice(1))), tag);
    };

    it('are resolved by the index images with two reads, and one listing for each 1,000 tags', async () => {
      const repository = parseRepositoryName('large/images');
      await plant(repository, { isIndexed: true });
      clear();
      assertRight(await new Tags(counting, { recordMove }).resolveAll(repository));
      assertReads(2);
      assert.ok(lists.length <= 3, lists.join());
    });

    it('are resolved by the manifests where the index images do not name them', async () => {
      const repository = parseRepositoryName('large/artifacts');
      await plant(repository, { hasManifests: true });
      clear();
      assertRight(await new Tags(counting, { recordMove }).resolveAll(repository));
      assertReads(2);
      assert.ok(lists.length <= 6, lists.join());
    });

    it('are read where neither names them', async () => {
      const repository = parseRepositoryName('large/unknown');
      await plant(repository, { count: 40 });
      clear();
      assertRight(await new Tags(counting, { recordMove }).resolveAll(repository), 40);
      assert.ok(reads.length <= 41, `${reads.length} reads`);
    });

    it('that name an expected manifest are resolved without a read, and confirmed by one each', async () => {
      const repository = parseRepositoryName('large/expected');
      const wanted = digestAt(7);
      await mapConcurrently(
        Array.from({ length: TAGS }, (_, n) => n),
        (n) => put(repository, `v${n}`, indexOf(wanted)),
        64,
      );
      clear();
      const tags = new Tags(counting, { recordMove });
      const resolved = await tags.resolveAll(repository, { expected: [wanted] });
      assert.equal(resolved.filter(({ target }) => target.digest === wanted).length, TAGS);
      if (storage.driver.etagOf(encodeText('')) !== undefined) assert.equal(reads.length, 0);
      clear();
      assert.equal((await tags.confirm(repository, resolved)).length, TAGS);
      assert.equal(reads.length, resolved.filter(({ isRead }) => !isRead).length);
    });

    it('are read once where ETags are no MD5, and again only after they have moved', async () => {
      const repository = parseRepositoryName('large/remembered');
      await plant(repository, { count: 50 });
      const tags = new Tags(counting, { recordMove });
      assertRight(await tags.resolveAll(repository), 50);
      await put(repository, 'v3', indexOf(digestAt(3)));
      clear();
      assertRight(await tags.resolveAll(repository), 50);
      if (storage.driver.etagOf(encodeText('')) === undefined) assert.equal(reads.length, 1);
    });

    it('that have moved since the listing are not confirmed', async () => {
      const repository = parseRepositoryName('large/moved');
      for (const tag of ['a', 'b', 'c']) await put(repository, tag, indexOf(digestAt(1)));
      const tags = new Tags(counting, { recordMove });
      const resolved = await tags.resolveAll(repository, { expected: [digestAt(1)] });
      const derived = resolved.map((tag) => ({ ...tag, isRead: false }));
      await put(repository, 'b', indexOf(digestAt(2)));
      assert.deepEqual(
        (await tags.confirm(repository, derived)).map(({ tag }) => tag),
        ['a', 'c'],
      );
    });

    it('whose ETags are no MD5, as some objects under SSE-KMS, are read', async () => {
      const repository = parseRepositoryName('large/mixed');
      await plant(repository, { count: 30, hasManifests: true });
      const objects: ObjectInfo[] = await Array.fromAsync(storage.driver.list(layout.tags(repository)));
      const mixed = objects.map((object, index) =>
        index % 3 === 0 ? { ...object, etag: `"${hexOf(`kms ${index}`).slice(0, 32)}"` as ETag } : object,
      );
      clear();
      assertRight(await new TagResolver(counting).resolve(repository, { objects: mixed, expected: [digestAt(5)] }), 30);
      for (const [index, { key }] of objects.entries()) if (index % 3 === 0) assert.ok(reads.includes(key), tagOf(key));
    });

    it('do not include metadata that docker-registry stored under the key of a tag', async () => {
      const repository = parseRepositoryName('large/metadata');
      await plant(repository, { count: 5 });
      await storage.driver.put(layout.legacyTagJson(repository, parseTag('_x')), encodeText('{"a": 1}'.padEnd(64)));
      await put(repository, 'v9_json', indexOf(digestAt(9)));
      const resolved = await new Tags(counting, { recordMove }).resolveAll(repository);
      assert.deepEqual(
        resolved.map(({ tag }) => tag),
        ['v0', 'v1', 'v2', 'v3', 'v4', 'v9_json'],
      );
    });
  });
}
