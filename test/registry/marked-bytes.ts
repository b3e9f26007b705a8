import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { type Key, layout, parseBlobRecord } from '../../lib/model/layout.ts';
import { type ImageId, parseDigest, parseRepositoryName, type RepositoryName } from '../../lib/model/names.ts';
import { Blobs } from '../../lib/registry/blobs/blobs.ts';
import { decodeBlobLink, encodeBlobLink } from '../../lib/registry/blobs/link.ts';
import { ReusableBytes } from '../../lib/registry/blobs/reusable-bytes.ts';
import { BlobStore } from '../../lib/registry/blobs/store.ts';
import { Uploads } from '../../lib/registry/uploads/uploads.ts';
import { condemnImage, readImageCell, startRemoving } from '../../lib/registry/v1-images/image-cell.ts';
import { readLayerDescriptor } from '../../lib/registry/v1-images/layers.ts';
import { type StorageDriver, StorageUnavailableError } from '../../lib/storage/driver.ts';
import { MiB, readAll } from '../../lib/streams/bytes.ts';
import { alterDriver } from '../storage/altered-driver.ts';
import type { OpenedStorage } from '../storage/open.ts';
import { V1Client } from '../support/v1-client.ts';
import { newImage } from '../v1/use-registry.ts';
import { chunked, codesOf, digestOf, locationOf, withDigest } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { expireLooks } from './condemned/expire-looks.ts';
import { type InterceptedRegistry, linkOf, useInterceptedRegistry } from './intercepted-registry.ts';

const OWNER = 'marked/owner';

type Reuse = (registry: InterceptedRegistry, repository: string, bytes: Uint8Array) => Promise<Response>;

/** The ways in which a repository gets a blob whose bytes are stored already. */
const reuses: Record<string, Reuse> = {
  'POST and PUT': async ({ client }, repository, bytes) => (await client.pushBlob(repository, bytes)).response,
  'POST, PATCH and PUT': async ({ client }, repository, bytes) => {
    const patched = await client.send('PATCH', await client.start(repository), { body: chunked(bytes) });
    return await client.send('PUT', withDigest(locationOf(patched), digestOf(bytes)));
  },
  'a mount': ({ client }, repository, bytes) =>
    client.send('POST', `/v2/${repository}/blobs/uploads/?mount=${digestOf(bytes)}&from=${OWNER}`),
  'a mount from anywhere': ({ client }, repository, bytes) =>
    client.send('POST', `/v2/${repository}/blobs/uploads/?mount=${digestOf(bytes)}`),
};

/** Larger than the bytes that uploads do not deduplicate. */
const BIG_BYTES = 5 * MiB;

/** The uuid of bytes, by which a mark names them. */
const uuidOf = (key: Key) => parseBlobRecord(key)?.uuid ?? key.slice(key.lastIndexOf('/') + 1);

const mark = (storage: StorageDriver, digest: string, key: Key) =>
  storage.put(layout.blobMark(parseDigest(digest), uuidOf(key)), new Uint8Array());

/** Deletes bytes as the collector does: the bytes, their pointer, their mark. */
async function collect(storage: StorageDriver, digest: string, key: Key): Promise<void> {
  await storage.delete(key);
  for await (const { key: other } of storage.list(layout.blobFolder(parseDigest(digest)))) {
    if (other.includes(uuidOf(key)) && parseBlobRecord(other)?.kind !== 'mark') await storage.delete(other);
  }
  await storage.delete(layout.blobMark(parseDigest(digest), uuidOf(key)));
}

/**
 * The writers' side of the collection of bytes: they look for marks first, and link second.
 */
export function markedBytesSuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`on ${name}, bytes that are stored already`, () => {
    const registry = useInterceptedRegistry(open);

    /** Pushes random bytes to one repository. @returns them, with the key that the link names */
    const pushOwned = async (sizeBytes = BIG_BYTES) => {
      const bytes = randomBytes(sizeBytes);
      const { digest } = await registry().client.pushBlob(OWNER, bytes);
      return { bytes, digest, key: await registry().keyOfLink(OWNER, digest) };
    };

    for (const [title, reuse] of Object.entries(reuses)) {
      const repository = `marked/${title.toLowerCase().replace(/[^a-z]+/g, '-')}`;

      it(`are linked by ${title}`, async () => {
        const { bytes, digest, key } = await pushOwned();
        assert.equal((await reuse(registry(), repository, bytes)).status, 201);
        assert.equal(await registry().keyOfLink(repository, digest), key);
      });

      it(`and marked are not linked by ${title}: the repository gets other bytes, in one write of its link`, async () => {
        const { storage, readBlob, interceptor } = registry();
        const { bytes, digest, key } = await pushOwned();
        await mark(storage, digest, key);
        const from = interceptor.written.length;
        assert.equal((await reuse(registry(), repository, bytes)).status, 201);
        assert.notEqual(await registry().keyOfLink(repository, digest), key);
        // A process that is killed right after the link leaves no link to marked bytes.
        const linked = interceptor.written.slice(from).filter((written) => written === linkOf(repository, digest));
        assert.equal(linked.length, 1);
        await collect(storage, digest, key);
        assert.ok((await readBlob(repository, digest)).equals(bytes));
      });

      it(`and marked stay so: ${title} takes an unmarked copy, and takes no mark back`, async () => {
        const { client, storage, keyOfLink } = registry();
        const { bytes, digest, key } = await pushOwned();
        await mark(storage, digest, key);
        await client.send('POST', `/v2/marked/first/blobs/uploads/?mount=${digest}&from=${OWNER}`);
        const copy = await keyOfLink('marked/first', digest);
        assert.equal((await reuse(registry(), repository, bytes)).status, 201);
        assert.equal(await keyOfLink(repository, digest), copy);
        assert.ok(await storage.head(layout.blobMark(parseDigest(digest), uuidOf(key))));
      });

      it(`and whose link is left over are not given by ${title} once they are deleted`, async () => {
        const { client, storage, readBlob } = registry();
        const { bytes, digest, key } = await pushOwned();
        await collect(storage, digest, key);
        const response = await reuse(registry(), repository, bytes);
        assert.equal(response.status, title.includes('mount') ? 202 : 201);
        if (response.status === 202) {
          assert.equal((await client.send('HEAD', `/v2/${repository}/blobs/${digest}`)).status, 404);
          assert.equal((await client.pushBlob(repository, bytes)).response.status, 201);
        }
        assert.ok((await readBlob(repository, digest)).equals(bytes));
      });
    }

    it('outlive a mount back and forth between two repositories while the collector deletes what is marked', async () => {
      const { client, storage, readBlob, keyOfLink } = registry();
      const [bytes, repositories] = [randomBytes(1000), ['marked/z', 'marked/a']];
      const { digest } = await client.pushBlob('marked/z', bytes);
      for (let turn = 0; turn < 4; turn++) {
        const [from = '', to = ''] = turn % 2 === 0 ? repositories : repositories.toReversed();
        const key = await keyOfLink(from, digest);
        await mark(storage, digest, key);
        const mounted = await client.send('POST', `/v2/${to}/blobs/uploads/?mount=${digest}&from=${from}`);
        assert.equal(mounted.status, 201);
        await client.send('DELETE', `/v2/${from}/blobs/${digest}`);
        await collect(storage, digest, key);
        assert.ok((await readBlob(to, digest)).equals(bytes));
      }
    });

    it('are not stored again by a PUT, whose bytes are hashed all the same', async () => {
      const { client, interceptor } = registry();
      const { bytes, digest } = await pushOwned();
      const from = interceptor.written.length;
      await client.pushBlob('marked/again', bytes);
      assert.deepEqual(interceptor.written.slice(from), [linkOf('marked/again', digest)]);
    });

    it('are not given to a client that does not have them', async () => {
      const { client, interceptor } = registry();
      const { bytes, digest } = await pushOwned();
      const from = interceptor.written.length;
      for (const wrong of [randomBytes(bytes.length), bytes.subarray(1), randomBytes(10)]) {
        const put = await client.send('PUT', withDigest(await client.start('marked/thief'), digest), {
          body: new Uint8Array(wrong),
        });
        assert.deepEqual([put.status, await codesOf(put)], [400, ['DIGEST_INVALID']]);
      }
      assert.equal((await client.send('HEAD', `/v2/marked/thief/blobs/${digest}`)).status, 404);
      assert.deepEqual(interceptor.written.slice(from), []);
    });

    it('are not looked for by uploads of at most 4 MiB, which store a copy of their own', async () => {
      const { client, keyOfLink } = registry();
      const { bytes, digest, key } = await pushOwned(1000);
      await client.pushBlob('marked/small', bytes);
      assert.notEqual(await keyOfLink('marked/small', digest), key);
    });

    it('keep one digest: a commit under another algorithm stores them again', async () => {
      const { client, keyOfLink, readBlob } = registry();
      for (const sizeBytes of [1000, BIG_BYTES]) {
        const bytes = randomBytes(sizeBytes);
        const sha512 = digestOf(bytes, 'sha512');
        const patched = locationOf(
          await client.send('PATCH', await client.start('marked/algorithms'), { body: chunked(bytes) }),
        );
        for (const digest of [digestOf(bytes), sha512]) {
          assert.equal((await client.send('PUT', withDigest(patched, digest))).status, 201);
        }
        assert.ok((await keyOfLink('marked/algorithms', sha512)).startsWith(layout.blobFolder(parseDigest(sha512))));
        assert.ok((await readBlob('marked/algorithms', sha512)).equals(bytes));
      }
    });

    it('under a key of layout 1 are read by their link, and a mount makes a copy of layout 2', async () => {
      const { client, storage, readBlob, keyOfLink } = registry();
      const bytes = randomBytes(1000);
      const digest = digestOf(bytes);
      const old = 'oci/blobs/sha256-of-layout-1' as Key;
      await storage.put(old, bytes);
      await storage.put(linkOf('marked/old', digest), encodeBlobLink({ sizeBytes: bytes.length, key: old }));
      assert.ok((await readBlob('marked/old', digest)).equals(bytes));
      await client.send('POST', `/v2/marked/new/blobs/uploads/?mount=${digest}&from=marked/old`);
      assert.equal(parseBlobRecord(await keyOfLink('marked/new', digest))?.kind, 'copy');
      assert.ok((await readBlob('marked/new', digest)).equals(bytes));
    });

    it('as the layer of a v1 image are mounted after a look at the cell of the image', async () => {
      const { client, storage, keyOfLink } = registry();
      const bytes = randomBytes(1000);
      const digest = digestOf(bytes);
      const id = digest.slice('sha256:'.length) as ImageId;
      await storage.put(layout.imageLayer(id), bytes);
      await storage.put(
        linkOf('marked/image', digest),
        encodeBlobLink({ sizeBytes: bytes.length, key: layout.imageLayer(id) }),
      );
      const mount = () => client.send('POST', `/v2/marked/other/blobs/uploads/?mount=${digest}&from=marked/image`);
      assert.ok(await condemnImage(storage, id, { state: 'live' }, 'run'));
      assert.equal((await mount()).status, 201);
      assert.equal(await keyOfLink('marked/other', digest), layout.imageLayer(id));
      const live = await readImageCell(storage, id);
      assert.ok(live.state === 'live');
      await condemnImage(storage, id, live, 'run');
      const condemned = await readImageCell(storage, id);
      assert.ok(condemned.state === 'condemned');
      await startRemoving(storage, id, condemned, 'run');
      assert.equal((await mount()).status, 503);
    });
  });

  describe(`on ${name}, marked bytes of images`, () => {
    const registry = useInterceptedRegistry(open);
    const configOf = async (repository: string) => {
      const response = await registry().client.send('GET', `/v2/${repository}/manifests/latest`);
      assert.equal(response.status, 200);
      return ((await response.json()) as { config: { digest: string } }).config.digest;
    };

    it('are not linked by the conversion of a v1 image, whose config is made again once it is deleted', async () => {
      const { storage, url, readBlob, keyOfLink } = registry();
      const image = newImage();
      const push = (repository: string) => new V1Client(url).push(repository, [image], { latest: image.id });
      await push('marked/first');
      const digest = await configOf('marked/first');
      const first = await keyOfLink('marked/first', digest);
      await mark(storage, digest, first);
      await push('marked/second');
      assert.equal(await configOf('marked/second'), digest);
      const second = await keyOfLink('marked/second', digest);
      assert.notEqual(second, first);
      await collect(storage, digest, first);
      assert.equal(digestOf(await readBlob('marked/second', digest)), digest);
      await collect(storage, digest, second);
      await push('marked/third');
      assert.equal(await configOf('marked/third'), digest);
      assert.equal(digestOf(await readBlob('marked/third', digest)), digest);
    });

    it('that are the layer of a condemned image are linked by its conversion once the image is live', async () => {
      const { storage, url } = registry();
      const image = newImage();
      await new V1Client(url).push('marked/condemned', [image], { latest: image.id });
      const id = image.id as ImageId;
      const cell = await readImageCell(storage, id);
      assert.ok(cell.state === 'live' && (await condemnImage(storage, id, cell, 'run')));
      await configOf('marked/condemned');
      assert.equal((await readImageCell(storage, id)).state, 'live');
    });

    it('are not named by the projection of a manifest with zstd layers', async () => {
      const { storage, client } = registry();
      const contents = [randomBytes(100).toString('hex')];
      const project = async (repository: string) => {
        const config = { created: new Date().toISOString() };
        const { digest } = await pushImage(client, repository, 'latest', { contents, compression: 'zstd', config });
        assert.equal((await client.send('GET', `/v1/repositories/${repository}/tags/latest`)).status, 200);
        const descriptor = await readLayerDescriptor(storage, digest.slice('sha256:'.length) as ImageId);
        assert.ok(descriptor);
        return descriptor;
      };
      const first = await project('marked/one');
      for await (const { key } of storage.list(layout.blobFolder(first.digest))) await mark(storage, first.digest, key);
      const second = await project('marked/two');
      assert.deepEqual([second.digest, second.key === first.key], [first.digest, false]);
      await collect(storage, first.digest, first.key);
      const object = await storage.get(second.key);
      assert.equal(object && digestOf(await readAll(object.body)), second.digest);
    });

    it('are not named by the projection of a manifest with gzip layers, which is served by the link', async () => {
      const { storage, client } = registry();
      const contents = [randomBytes(100).toString('hex')];
      const { digest, manifest } = await pushImage(client, 'marked/gzip', 'latest', { contents });
      assert.equal((await client.send('GET', '/v1/repositories/marked/gzip/tags/latest')).status, 200);
      const id = digest.slice('sha256:'.length) as ImageId;
      assert.equal(await readLayerDescriptor(storage, id), undefined);
      const [layer] = (manifest as { layers: { digest: string }[] }).layers;
      const served = await client.send('GET', `/v1/images/${id}/layer`);
      assert.equal(digestOf(await readAll(served.body ?? assert.fail())), layer?.digest);
    });
  });

  describe(`on ${name}, a writer that is held up between its look and its link`, () => {
    let storage: OpenedStorage;
    let blobs: Blobs;
    let uploads: Uploads;
    /** What happens after each LIST, one after the other. */
    const pauses: (() => Promise<unknown>)[] = [];
    const [from, to] = ['held/from', 'held/to'].map(parseRepositoryName) as [RepositoryName, RepositoryName];

    before(async () => {
      storage = await open();
      const driver = alterDriver(storage.driver, (original) => ({
        async *list(prefix, options) {
          yield* await Array.fromAsync(original.list(prefix, options)).then(async (found) => {
            await pauses.shift()?.();
            return found;
          });
        },
      }));
      const reusable = new ReusableBytes(driver);
      blobs = new Blobs(driver, reusable);
      uploads = new Uploads(driver, { blobs, store: new BlobStore(driver, reusable) });
    });
    after(() => storage.close());

    const pushed = async (sizeBytes: number) => {
      const bytes = randomBytes(sizeBytes);
      const digest = parseDigest(digestOf(bytes));
      const session = uploads.start(from, 'sha256', { registryUrl: '' });
      const { key } = await uploads.commit(session, digest, { bytes: chunksOf(bytes) });
      return { bytes, digest, key };
    };
    const chunksOf = async function* (bytes: Uint8Array) {
      yield bytes;
    };
    const linkedKey = async (digest: string) => {
      const object = await storage.driver.read(linkOf(to, digest));
      return object && decodeBlobLink(object.bytes, object.info.key).key;
    };
    const tooLong = async () => expireLooks();

    const writers: Record<string, (of: Awaited<ReturnType<typeof pushed>>) => Promise<unknown>> = {
      mount: ({ digest }) => blobs.mount(digest, from, to),
      upload: ({ digest, bytes }) =>
        uploads.commit(uploads.start(to, 'sha256', { registryUrl: '' }), digest, { bytes: chunksOf(bytes) }),
    };
    for (const [title, write] of Object.entries(writers)) {
      it(`looks again, and links what is unmarked by then: ${title}`, async () => {
        const of = await pushed(BIG_BYTES);
        pauses.push(tooLong);
        await write(of);
        assert.equal(await linkedKey(of.digest), of.key);
      });

      it(`looks again, and does not link what was marked meanwhile: ${title}`, async () => {
        const of = await pushed(BIG_BYTES);
        pauses.push(async () => {
          await tooLong();
          await mark(storage.driver, of.digest, of.key);
        });
        await write(of);
        const key = await linkedKey(of.digest);
        assert.ok(key !== undefined && key !== of.key);
        await collect(storage.driver, of.digest, of.key);
        const object = await storage.driver.get(key);
        assert.ok(object && Buffer.from(await readAll(object.body)).equals(of.bytes));
      });

      it(`links nothing that was deleted meanwhile: ${title}`, async () => {
        const of = await pushed(BIG_BYTES);
        pauses.push(async () => {
          await tooLong();
          await collect(storage.driver, of.digest, of.key);
        });
        await assert.rejects(write(of), StorageUnavailableError);
        assert.equal(await linkedKey(of.digest), undefined);
      });

      it(`gives up if it is held up again: ${title}`, async () => {
        const of = await pushed(BIG_BYTES);
        pauses.push(tooLong, tooLong);
        await assert.rejects(write(of), StorageUnavailableError);
        assert.equal(await linkedKey(of.digest), undefined);
      });
    }

    it('links its own bytes without a look, but not later than a day after the upload began', async () => {
      const bytes = randomBytes(BIG_BYTES);
      const digest = parseDigest(digestOf(bytes));
      const session = uploads.start(to, 'sha256', { registryUrl: '' });
      const dayAgo = { ...session, startedAtSeconds: session.startedAtSeconds - 24 * 60 * 60 - 1 };
      await assert.rejects(uploads.commit(dayAgo, digest, { bytes: chunksOf(bytes) }), { code: 'BLOB_UPLOAD_UNKNOWN' });
      assert.equal(await linkedKey(digest), undefined);
    });
  });
}
