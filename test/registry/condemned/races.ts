// A writer against a collector, on any storage: each race is one that loses data where a rule of the writer is left out.
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { Gate } from '../../../lib/auth/gate.ts';
import { RequestLimits } from '../../../lib/auth/request-limits.ts';
import { Permissions } from '../../../lib/auth/rules/permissions.ts';
import { digestOfManifestKey, type Key, layout } from '../../../lib/model/layout.ts';
import { parseDigest, parseRepositoryName, parseTag } from '../../../lib/model/names.ts';
import { guardWrites } from '../../../lib/storage/guarded-writes.ts';

import { PART_BYTES } from '../../../lib/storage/multipart-limits.ts';
import type { OpenedStorage } from '../../storage/open.ts';
import { startRegistry, type TestSettings } from '../../support/registry-server.ts';
import { V1Client } from '../../support/v1-client.ts';
import { newImage } from '../../v1/use-registry.ts';
import { codesOf, digestOf, locationOf, V2Client, withDigest } from '../../v2/client.ts';
import { pushImage } from '../../v2/image.ts';
import { linkOf, useInterceptedRegistry } from '../intercepted-registry.ts';
import { expireLooks } from './expire-looks.ts';
import { type Removal, ScriptedCollector } from './scripted-collector.ts';

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const OCTETS = 'application/octet-stream';

type Descriptor = { mediaType: string; digest: string; size: number };

export function racesSuite(name: string, open: () => Promise<OpenedStorage>, removal: Removal): void {
  describe(`on ${name}, with a collector that removes by ${removal}`, { timeout: 120_000 }, () => {
    const registry = useInterceptedRegistry(open);
    const collector = () => new ScriptedCollector(registry().storage, removal);
    const fresh = () => `races/${randomUUID()}`;

    const pushBlob = async (repository: string, bytes = randomBytes(20)): Promise<Descriptor> => {
      const { digest, response } = await registry().client.pushBlob(repository, bytes);
      assert.equal(response.status, 201);
      return { mediaType: OCTETS, digest, size: bytes.length };
    };
    /** Pushes two blobs. @returns a manifest that names them */
    const imageOf = async (repository: string, fields: object = {}) => {
      const layerBytes = randomBytes(20);
      const [config, layer] = [await pushBlob(repository), await pushBlob(repository, layerBytes)];
      const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer], ...fields };
      return { ...describeManifest(manifest), layer, layerBytes };
    };
    const indexOf = ({ mediaType, digest, size }: Descriptor) =>
      describeManifest({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [{ mediaType, digest, size }] });
    const push = async (repository: string, reference: string, { manifest }: Described) =>
      await registry().client.pushManifest(repository, reference, manifest);
    const pushed = async (repository: string, reference: string, described: Described) => {
      assert.equal((await push(repository, reference, described)).status, 201);
    };
    const statusOf = async (method: string, path: string) => (await registry().client.send(method, path)).status;
    const pull = async (repository: string, reference: string) =>
      await registry().client.send('GET', `/v2/${repository}/manifests/${reference}`);

    /** Everything that the reference names can be read, and has its digest. */
    const assertWhole = async (repository: string, reference: string): Promise<void> => {
      const response = await pull(repository, reference);
      assert.equal(response.status, 200, `${reference} is there`);
      const { config, layers = [], manifests = [] } = (await response.json()) as Manifest;
      for (const { digest } of [...(config ? [config] : []), ...layers]) {
        assert.equal(digestOf(await registry().readBlob(repository, digest)), digest);
      }
      for (const { digest } of manifests) await assertWhole(repository, digest);
    };

    describe('a HEAD or GET by a caller who may push', () => {
      for (const method of ['HEAD', 'GET']) {
        it(`saves a blob from a removal that follows (${method})`, async () => {
          const repository = fresh();
          const { digest } = await pushBlob(repository);
          const key = linkOf(repository, digest);
          await collector().condemn(key);
          const seen = await collector().seen(key);
          assert.equal(await statusOf(method, `/v2/${repository}/blobs/${digest}`), 200);
          await collector().remove(seen);
          assert.equal((await registry().readBlob(repository, digest)).length, 20);
        });

        for (const by of ['digest', 'tag'] as const) {
          it(`saves a manifest from a removal that follows (${method} by ${by})`, async () => {
            const repository = fresh();
            const image = await imageOf(repository);
            await pushed(repository, 'latest', image);
            const key = manifestKey(repository, image.digest);
            await collector().condemn(key);
            const seen = await collector().seen(key);
            const reference = by === 'tag' ? 'latest' : image.digest;
            assert.equal(await statusOf(method, `/v2/${repository}/manifests/${reference}`), 200);
            await collector().remove(seen);
            await assertWhole(repository, image.digest);
          });
        }
      }
    });

    it('a caller who may only pull gets condemned blobs and manifests as if they were live, and nothing is written', async () => {
      const repository = fresh();
      const image = await imageOf(repository);
      await pushed(repository, 'latest', image);
      const keys = [manifestKey(repository, image.digest), linkOf(repository, image.layer.digest)];
      for (const key of keys) await collector().condemn(key);
      const etags = () => Promise.all(keys.map(async (key) => (await registry().storage.head(key))?.etag));
      const before = await etags();

      const pullers = new Permissions([
        { repositories: ['*'], users: ['anonymous'], groups: [], effect: 'allows', actions: ['pull'] },
      ]);
      const auth = { gate: new Gate({ permissions: pullers }), limits: new RequestLimits() };
      await withRegistry({ auth }, async (client) => {
        assert.equal((await client.send('POST', `/v2/${repository}/blobs/uploads/`)).status, 403);
        for (const reference of ['latest', image.digest]) {
          for (const method of ['HEAD', 'GET']) {
            const response = await client.send(method, `/v2/${repository}/manifests/${reference}`);
            assert.equal(response.status, 200);
            assert.equal(response.headers.get('Docker-Content-Digest'), image.digest);
            assert.equal(response.headers.get('Content-Type'), OCI_MANIFEST);
            assert.equal(response.headers.get('Content-Length'), String(image.size));
            if (method === 'GET') assert.equal(digestOf(await response.bytes()), image.digest);
          }
        }
        const layer = await client.send('GET', `/v2/${repository}/blobs/${image.layer.digest}`);
        assert.equal(digestOf(await layer.bytes()), image.layer.digest);
      });
      assert.deepEqual(await etags(), before);
    });

    it('a registry that serves reads only serves condemned forms to callers who may push elsewhere', async () => {
      const repository = fresh();
      const image = await imageOf(repository);
      await pushed(repository, 'latest', image);
      await collector().condemn(manifestKey(repository, image.digest));
      await collector().condemn(linkOf(repository, image.layer.digest));
      const server = await startRegistry(
        guardWrites(registry().storage, async () => false),
        { runsBackgroundWork: false },
      );
      const client = new V2Client(server.url);
      assert.equal((await client.send('GET', `/v2/${repository}/manifests/${image.digest}`)).status, 200);
      assert.equal((await client.send('HEAD', `/v2/${repository}/blobs/${image.layer.digest}`)).status, 200);
      await server.stop();
    });

    describe('a push of a manifest', () => {
      it('saves condemned links before it writes the manifest', async () => {
        const { interceptor } = registry();
        const repository = fresh();
        const image = await imageOf(repository);
        const key = linkOf(repository, image.layer.digest);
        await collector().condemn(key);
        const seen = await collector().seen(key);
        const from = interceptor.written.length;
        await pushed(repository, 'latest', image);
        const expected = [key, manifestKey(repository, image.digest), tagKey(repository, 'latest')];
        assert.deepEqual(interceptor.written.slice(from, from + expected.length), expected);
        await collector().remove(seen);
        await assertWhole(repository, 'latest');
      });

      it('is refused if a blob, or a child of an index, has been removed', async () => {
        const repository = fresh();
        const image = await imageOf(repository);
        await pushed(repository, image.digest, image);
        await collector().sweep(manifestKey(repository, image.digest));
        await collector().sweep(linkOf(repository, image.layer.digest));
        for (const manifest of [image, indexOf(image)]) {
          const response = await push(repository, 'latest', manifest);
          assert.deepEqual([response.status, await codesOf(response)], [400, ['MANIFEST_BLOB_UNKNOWN']]);
        }
      });

      it('saves the condemned child of its index, whose HEAD shows another size', async () => {
        const repository = fresh();
        const child = await imageOf(repository);
        await pushed(repository, child.digest, child);
        const key = manifestKey(repository, child.digest);
        await collector().condemn(key);
        const seen = await collector().seen(key);
        await pushed(repository, 'index', indexOf(child));
        await collector().remove(seen);
        await assertWhole(repository, 'index');
      });

      it('compares the size of a condemned child with that of the manifest', async () => {
        const repository = fresh();
        const child = await imageOf(repository);
        await pushed(repository, child.digest, child);
        await collector().condemn(manifestKey(repository, child.digest));
        const condemned = await registry().storage.head(manifestKey(repository, child.digest));
        for (const size of [child.size + 1, condemned?.sizeBytes ?? 0]) {
          const response = await push(repository, 'index', indexOf({ ...child, size }));
          const { errors } = (await response.json()) as { errors: { code: string; detail: { size: number } }[] };
          assert.deepEqual(
            errors.map(({ code, detail }) => [code, detail.size]),
            [['MANIFEST_INVALID', child.size]],
          );
        }
      });

      it('that is held up between its look and the write of the manifest writes nothing', async () => {
        const { interceptor } = registry();
        const repository = fresh();
        const image = await imageOf(repository);
        const key = manifestKey(repository, image.digest);
        interceptor.before('put', is(key), async () => {
          expireLooks();
          await collector().sweep(linkOf(repository, image.layer.digest));
        });
        const response = await push(repository, 'latest', image);
        assert.deepEqual([response.status, await codesOf(response)], [503, ['UNAVAILABLE']]);
        assert.equal(await registry().storage.head(key), undefined);
        assert.equal(await registry().storage.head(tagKey(repository, 'latest')), undefined);
      });

      it('that is held up between the manifest and its tag sets no tag', async () => {
        const { interceptor } = registry();
        const repository = fresh();
        const image = await imageOf(repository);
        interceptor.before('put', is(tagKey(repository, 'latest')), async () => {
          expireLooks();
          await collector().sweep(manifestKey(repository, image.digest));
        });
        const response = await push(repository, 'latest', image);
        assert.deepEqual([response.status, await codesOf(response)], [503, ['UNAVAILABLE']]);
        assert.equal(await registry().storage.head(tagKey(repository, 'latest')), undefined);
        assert.equal((await push(repository, 'latest', image)).status, 201, 'the client tries again');
        await assertWhole(repository, 'latest');
      });

      it('that is held up while it looks looks again', async () => {
        const { interceptor, reads } = registry();
        const repository = fresh();
        const image = await imageOf(repository);
        const key = linkOf(repository, image.layer.digest);
        await collector().condemn(key);
        reads.length = 0;
        interceptor.before('put', is(key), async () => expireLooks()); // it revives the link too late
        await pushed(repository, 'latest', image);
        const looks = reads.filter((read) => read.includes('/blobs/sha256/'));
        assert.equal(looks.length, 4);
        assert.equal(await collector().isCondemned(key), false);
        await assertWhole(repository, 'latest');
      });

      it('is not undone by a condemnation that follows from an old listing', async () => {
        const { interceptor, storage } = registry();
        const repository = fresh();
        const image = await imageOf(repository);
        await pushed(repository, image.digest, image);
        const key = manifestKey(repository, image.digest);
        interceptor.before('put', is(tagKey(repository, 'latest')), async () => {
          const listed = await storage.head(key);
          assert.ok(listed && (await collector().condemn(key, listed)));
        });
        await pushed(repository, 'latest', image);
        assert.equal(await collector().isCondemned(key), false);
        await assertWhole(repository, 'latest');
      });

      it('of a condemned manifest is not undone by the removal that was on its way', async () => {
        const repository = fresh();
        const image = await imageOf(repository);
        await pushed(repository, image.digest, image);
        const key = manifestKey(repository, image.digest);
        await collector().condemn(key);
        const seen = await collector().seen(key);
        await pushed(repository, 'latest', image);
        await collector().remove(seen);
        await assertWhole(repository, 'latest');
      });
    });

    it('a conversion of a v1 image that is held up between its links and its manifest writes no manifest', async () => {
      const { client, interceptor, storage, url } = registry();
      const repository = fresh();
      const image = newImage();
      await new V1Client(url).push(repository, [image], { latest: image.id });
      const isManifest = (key: Key) => digestOfManifestKey(key) !== undefined;
      const held: Key[] = [];
      interceptor.before('put', isManifest, async () => {
        expireLooks();
        for await (const { key } of storage.list(layout.ociRepository(parseRepositoryName(repository)))) {
          if (!key.includes('/blobs/')) continue;
          await collector().sweep(key);
          held.push(key);
        }
      });
      const converted = await client.send('GET', `/v2/${repository}/manifests/latest`);
      assert.equal(converted.status, 503);
      assert.equal(held.length, 2, 'the links to its config and its layer');
      await assertWhole(repository, 'latest');
    });

    it('the commit of an upload that is sent again, whose bytes were dropped for others, saves the blob', async () => {
      const { client } = registry();
      const repository = fresh();
      const body = randomBytes(PART_BYTES);
      const digest = digestOf(body);
      const headers = { 'Content-Range': `0-${body.length - 1}` };
      const upload = async () =>
        locationOf(await client.send('PATCH', await client.start(repository), { body, headers }));
      const commit = async (location: string) => (await client.send('PUT', withDigest(location, digest))).status;
      assert.equal(await commit(await upload()), 201);
      const again = await upload();
      assert.equal(await commit(again), 201);
      const key = linkOf(repository, digest);
      await collector().condemn(key);
      const seen = await collector().seen(key);
      assert.equal(await commit(again), 201);
      await collector().remove(seen);
      assert.ok(await collector().isPresent(key));
    });

    it('a removal that arrives late meets neither a blob that was uploaded again nor its next condemned form', async () => {
      const repository = fresh();
      const bytes = randomBytes(30);
      const { digest } = await registry().client.pushBlob(repository, bytes);
      const key = linkOf(repository, digest);
      await collector().condemn(key);
      const late = await collector().seen(key);
      await collector().remove(late);
      for (const state of ['live', 'condemned']) {
        await registry().client.pushBlob(repository, bytes);
        if (state === 'condemned') await collector().condemn(key);
        await collector().remove(late);
        assert.ok((await registry().readBlob(repository, digest)).equals(bytes), state);
      }
    });

    it('a manifest that looks like a condemned form of another is served as it was pushed', async () => {
      const repository = fresh();
      const image = await imageOf(repository);
      const forged = describeManifest({
        condemned: { run: randomUUID(), nonce: randomUUID() },
        manifest: Buffer.from(JSON.stringify(image.manifest)).toString('base64'),
        ...image.manifest,
      });
      await pushed(repository, 'forged', forged);
      await pushed(repository, 'index', indexOf(forged));
      for (const reference of ['forged', forged.digest]) {
        const response = await pull(repository, reference);
        assert.equal(response.headers.get('Docker-Content-Digest'), forged.digest);
        assert.equal(digestOf(await response.bytes()), forged.digest);
      }
      assert.equal((await pull(repository, image.digest)).status, 404);
    });

    it('what the collector has removed is absent, and may be pushed again', async () => {
      const repository = fresh();
      const subject = { mediaType: OCI_MANIFEST, digest: digestOf('a subject'), size: 1 };
      const image = await imageOf(repository, { subject });
      await pushed(repository, image.digest, image);
      const keys = [
        layout.referrer(parseRepositoryName(repository), parseDigest(subject.digest), parseDigest(image.digest)),
        manifestKey(repository, image.digest),
        linkOf(repository, image.layer.digest),
      ];
      for (const key of keys) await collector().sweep(key);

      const absent = [`/blobs/${image.layer.digest}`, `/manifests/${image.digest}`].map(
        (at) => `/v2/${repository}${at}`,
      );
      for (const path of absent) {
        for (const method of ['HEAD', 'GET', 'DELETE'])
          assert.equal(await statusOf(method, path), 404, `${method} ${path}`);
      }
      const referrers = async () => {
        const response = await registry().client.send('GET', `/v2/${repository}/referrers/${subject.digest}`);
        return ((await response.json()) as { manifests: Descriptor[] }).manifests.map(({ digest }) => digest);
      };
      assert.deepEqual(await referrers(), []);
      assert.equal(await statusOf('GET', `/v1/repositories/${repository}/tags`), 404, 'the repository holds nothing');

      await registry().client.pushBlob(repository, image.layerBytes);
      const path = `/v2/${repository}/manifests/${image.digest}`;
      const body = Buffer.from(JSON.stringify(image.manifest));
      const put = async (headers: Record<string, string>) =>
        (await registry().client.send('PUT', path, { body, headers })).status;
      assert.equal(await put({ 'If-Match': '*' }), 412);
      assert.equal(await put({ 'If-None-Match': '*' }), 201);
      assert.deepEqual(await referrers(), [image.digest]);
    });

    it('a condemned entry among the referrers shows only the descriptor', async () => {
      const repository = fresh();
      const subject = { mediaType: OCI_MANIFEST, digest: digestOf('another subject'), size: 1 };
      const image = await imageOf(repository, { subject });
      await pushed(repository, image.digest, image);
      const list = async () =>
        await (await registry().client.send('GET', `/v2/${repository}/referrers/${subject.digest}`)).json();
      const before = await list();
      const [name, of, digest] = [repository, subject.digest, image.digest];
      await collector().condemn(layout.referrer(parseRepositoryName(name), parseDigest(of), parseDigest(digest)));
      assert.deepEqual(await list(), before);
    });

    it('a precondition holds for a condemned manifest as for the live one', async () => {
      const repository = fresh();
      const image = await imageOf(repository);
      await pushed(repository, image.digest, image);
      const key = manifestKey(repository, image.digest);
      const body = Buffer.from(JSON.stringify(image.manifest));
      const put = async (headers: Record<string, string>) =>
        (await registry().client.send('PUT', `/v2/${repository}/manifests/${image.digest}`, { body, headers })).status;
      await collector().condemn(key);
      assert.equal(await put({ 'If-None-Match': '*' }), 412);
      assert.equal(await put({ 'If-Match': `"${image.digest}"` }), 201);
      assert.equal(await collector().isCondemned(key), false);
      registry().interceptor.before('put', is(key), () => collector().condemn(key));
      assert.equal(await put({ 'If-Match': '*' }), 201, 'also if it is condemned between the check and the write');
      assert.equal(await collector().isCondemned(key), false);
    });

    it('a deletion of a condemned manifest removes it with its tags', async () => {
      const repository = fresh();
      const image = await imageOf(repository);
      await pushed(repository, 'latest', image);
      await collector().condemn(manifestKey(repository, image.digest));
      assert.equal(await statusOf('DELETE', `/v2/${repository}/manifests/${image.digest}`), 202);
      for (const reference of ['latest', image.digest]) assert.equal((await pull(repository, reference)).status, 404);
    });

    it('a deletion that is held up does not put a manifest back whose blobs may be removed', async () => {
      const { interceptor, client } = registry();
      const repository = fresh();
      const image = await imageOf(repository);
      await pushed(repository, 'latest', image);
      const key = manifestKey(repository, image.digest);
      interceptor.before('delete', is(key), async () => {
        await pushed(repository, 'again', image);
        interceptor.before('put', is(key), async () => {
          expireLooks();
          await collector().sweep(linkOf(repository, image.layer.digest));
        });
      });
      const response = await client.send('DELETE', `/v2/${repository}/manifests/${image.digest}`);
      assert.equal(response.status, 503);
      assert.equal(await collector().isPresent(key), false);
    });

    it('a tag that v1 moves to a condemned manifest saves it', async () => {
      const repository = fresh();
      const image = await pushImage(registry().client, repository, 'latest', { contents: ['one'] });
      assert.equal(await statusOf('GET', `/v1/repositories/${repository}/tags/latest`), 200, 'it has a projection');
      const key = manifestKey(repository, image.digest);
      await collector().condemn(key);
      const seen = await collector().seen(key);
      const response = await registry().client.send('PUT', `/v1/repositories/${repository}/tags/v1`, {
        body: JSON.stringify(image.digest.slice('sha256:'.length)),
        headers: { 'Content-Type': 'application/json' },
      });
      assert.equal(response.status, 200, await response.text());
      await collector().remove(seen);
      await assertWhole(repository, 'v1');
    });

    async function withRegistry(settings: TestSettings, use: (client: V2Client) => Promise<void>): Promise<void> {
      const server = await startRegistry(registry().storage, { runsBackgroundWork: false, ...settings });
      try {
        await use(new V2Client(server.url));
      } finally {
        await server.stop();
      }
    }
  });
}

type Manifest = { config?: Descriptor; layers?: Descriptor[]; manifests?: Descriptor[] };
type Described = Descriptor & { manifest: object };

function describeManifest<M extends { mediaType: string }>(manifest: M) {
  const text = JSON.stringify(manifest);
  return { mediaType: manifest.mediaType, digest: digestOf(text), size: Buffer.byteLength(text), manifest };
}

const is = (expected: Key) => (key: Key) => key === expected;
const manifestKey = (repository: string, digest: string) =>
  layout.manifest(parseRepositoryName(repository), parseDigest(digest));
const tagKey = (repository: string, tag: string) => layout.tag(parseRepositoryName(repository), parseTag(tag));
