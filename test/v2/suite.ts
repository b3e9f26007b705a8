import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import type { KeyPrefix } from '../../lib/model/layout.ts';
import { parseRepositoryName } from '../../lib/model/names.ts';
import { SessionSigner } from '../../lib/registry/uploads/session.ts';
import { MiB } from '../../lib/streams/bytes.ts';
import type { OpenedStorage } from '../storage/open.ts';
import { type RegistryServer, startRegistry, TEST_KEYS } from '../support/registry-server.ts';
import { chunked, codesOf, digestOf, locationOf, V2Client, withDigest } from './client.ts';

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';

/** The push and pull paths of v2, on any storage. */
export function v2Suite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`v2 on ${name}`, () => {
    let storage: OpenedStorage;
    let server: RegistryServer;
    let client: V2Client;

    before(async () => {
      storage = await open();
      server = await startRegistry(storage.driver);
      client = new V2Client(server.url);
    });
    after(async () => {
      await server.stop();
      await storage.close();
    });

    const keysBelow = async (prefix: string) =>
      (await Array.fromAsync(storage.driver.list(prefix as KeyPrefix))).map(({ key }) => key as string);

    const readBlob = async (repository: string, digest: string) => {
      const response = await client.send('GET', `/v2/${repository}/blobs/${digest}`);
      assert.equal(response.status, 200);
      return Buffer.from(await response.bytes());
    };

    describe('blobs', () => {
      const sizes = { 'an empty blob': 0, 'a small blob': 1000, 'a blob of two parts': 14 * MiB };
      for (const [title, sizeBytes] of Object.entries(sizes)) {
        it(`takes ${title} by POST and PUT`, async () => {
          const bytes = randomBytes(sizeBytes);
          const { digest, response } = await client.pushBlob('put/app', bytes);
          assert.equal(response.status, 201);
          assert.equal(response.headers.get('Docker-Content-Digest'), digest);
          assert.equal(locationOf(response), `${server.url.origin}/v2/put/app/blobs/${digest}`);
          assert.ok((await readBlob('put/app', digest)).equals(bytes));
        });

        it(`takes ${title} by POST, PATCH without a length, and PUT`, async () => {
          const bytes = randomBytes(sizeBytes);
          const digest = digestOf(bytes);
          const patched = await client.send('PATCH', await client.start('patch/app'), { body: chunked(bytes) });
          assert.equal(patched.status, 202);
          assert.equal(patched.headers.get('Range'), `0-${Math.max(0, sizeBytes - 1)}`);
          const put = await client.send('PUT', withDigest(locationOf(patched), digest));
          assert.equal(put.status, 201);
          assert.ok((await readBlob('patch/app', digest)).equals(bytes));
        });
      }

      it('takes a blob in a single POST', async () => {
        const bytes = randomBytes(100);
        const digest = digestOf(bytes);
        const response = await client.send('POST', withDigest('/v2/post/app/blobs/uploads/', digest), { body: bytes });
        assert.equal(response.status, 201);
        assert.ok((await readBlob('post/app', digest)).equals(bytes));
      });

      it('starts an upload without the final slash too', async () => {
        const response = await client.send('POST', '/v2/post/app/blobs/uploads');
        assert.equal(response.status, 202);
        const bytes = randomBytes(100);
        const put = await client.send('PUT', withDigest(locationOf(response), digestOf(bytes)), { body: bytes });
        assert.equal(put.status, 201);
      });

      it('takes a blob named by SHA-512', async () => {
        const bytes = randomBytes(100);
        const digest = digestOf(bytes, 'sha512');
        const response = await client.send('PUT', withDigest(await client.start('put/app'), digest), { body: bytes });
        assert.equal(response.status, 201);
        assert.ok((await readBlob('put/app', digest)).equals(bytes));
      });

      it('refuses bytes with another digest, and stores nothing', async () => {
        const before = await keysBelow('oci/');
        for (const sizeBytes of [100, 14 * MiB]) {
          const url = withDigest(await client.start('put/app'), digestOf('something else'));
          const response = await client.send('PUT', url, { body: randomBytes(sizeBytes) });
          assert.equal(response.status, 400);
          assert.deepEqual(await codesOf(response), ['DIGEST_INVALID']);
        }
        assert.deepEqual(await keysBelow('oci/'), before);
      });

      it('stores equal bytes once, from any repository and by any kind of upload', async () => {
        const bytes = randomBytes(14 * MiB);
        const digest = digestOf(bytes);
        for (const repository of ['first/app', 'second/app']) {
          const patched = await client.send('PATCH', await client.start(repository), { body: chunked(bytes) });
          await client.send('PUT', withDigest(locationOf(patched), digest));
        }
        const links = await Promise.all(
          ['first', 'second'].map(async (namespace) => {
            const key = `oci/repositories/${namespace}/app/blobs/sha256/${digest.slice(7)}`;
            const object = await storage.driver.get(key as never);
            return await new Response(object?.body).text();
          }),
        );
        assert.equal(links[0], links[1]);
      });

      it('answers HEAD with the length, and 404 for a blob of another repository', async () => {
        const { digest } = await client.pushBlob('one/app', Buffer.from('shared'));
        const known = await client.send('HEAD', `/v2/one/app/blobs/${digest}`);
        assert.equal(known.status, 200);
        assert.equal(known.headers.get('Content-Length'), '6');
        assert.equal(known.headers.get('Docker-Content-Digest'), digest);
        const unknown = await client.send('GET', `/v2/two/app/blobs/${digest}`);
        assert.equal(unknown.status, 404);
        assert.deepEqual(await codesOf(unknown), ['BLOB_UNKNOWN']);
      });

      const ranges: [string, number, string, string][] = [
        ['bytes=0-0', 206, 'bytes 0-0/10', '0'],
        ['bytes=2-4', 206, 'bytes 2-4/10', '234'],
        ['bytes=8-', 206, 'bytes 8-9/10', '89'],
        ['bytes=-3', 206, 'bytes 7-9/10', '789'],
        ['bytes=8-99', 206, 'bytes 8-9/10', '89'],
        ['bytes=10-', 416, 'bytes */10', ''],
        ['bytes=5-0', 416, 'bytes */10', ''],
        ['bytes=0-1,3-4', 200, '', '0123456789'],
        ['items=0-1', 200, '', '0123456789'],
      ];
      for (const [range, status, contentRange, content] of ranges) {
        it(`answers Range: ${range} with ${status} ${contentRange}`, async () => {
          const { digest } = await client.pushBlob('ranges/app', Buffer.from('0123456789'));
          const headers = { Range: range };
          const response = await client.send('GET', `/v2/ranges/app/blobs/${digest}`, { headers });
          assert.equal(response.status, status);
          assert.equal(response.headers.get('Content-Range') ?? '', contentRange);
          if (status !== 416) assert.equal(await response.text(), content);
        });
      }

      for (const [title, query] of [
        ['from nothing', 'mount=<digest>&from='],
        ['from a name in capitals', 'mount=<digest>&from=One/App'],
        ['from another registry', 'mount=<digest>&from=other.example:5000/one/app'],
        ['from a path', 'mount=<digest>&from=../one/app'],
        ['from a name that is too long', `mount=<digest>&from=${'a'.repeat(300)}`],
        ['of a digest that is none', 'mount=sha256:1&from=one/app'],
        ['of a digest by another algorithm', 'mount=sha384:00&from=one/app'],
        ['of nothing', 'mount=&from=one/app'],
        ['of nothing from nowhere', 'mount='],
      ] as const) {
        it(`starts an upload instead of a mount ${title}`, async () => {
          const { digest } = await client.pushBlob('one/app', Buffer.from('to be mounted'));
          const path = `/v2/no-mounts/app/blobs/uploads/?${query.replace('<digest>', digest)}`;
          const response = await client.send('POST', path);
          assert.equal(response.status, 202);
          const put = await client.send('PUT', withDigest(locationOf(response), digestOf('x')), { body: 'x' });
          assert.equal(put.status, 201);
        });
      }

      it('mounts a blob of another repository, and starts an upload if that does not hold it', async () => {
        const { digest } = await client.pushBlob('one/app', Buffer.from('to be mounted'));
        const mount = `/v2/mounts/app/blobs/uploads/?mount=${digest}&from=`;
        assert.equal((await client.send('POST', `${mount}two/app`)).status, 202);
        const mounted = await client.send('POST', `${mount}one/app`);
        assert.equal(mounted.status, 201);
        assert.equal((await readBlob('mounts/app', digest)).toString(), 'to be mounted');
      });

      it('deletes a blob from one repository and keeps it in the others', async () => {
        const { digest } = await client.pushBlob('one/app', Buffer.from('to be deleted'));
        await client.pushBlob('two/app', Buffer.from('to be deleted'));
        assert.equal((await client.send('DELETE', `/v2/one/app/blobs/${digest}`)).status, 202);
        assert.equal((await client.send('GET', `/v2/one/app/blobs/${digest}`)).status, 404);
        assert.equal((await readBlob('two/app', digest)).toString(), 'to be deleted');
        assert.equal((await client.send('DELETE', `/v2/one/app/blobs/${digest}`)).status, 404);
      });
    });

    describe('uploads in chunks', () => {
      const sendChunk = (location: string, bytes: Uint8Array, start: number, method = 'PATCH') =>
        client.send(method, location, {
          body: new Uint8Array(bytes),
          headers: { 'Content-Range': `${start}-${start + bytes.length - 1}` },
        });

      for (const [title, chunkSizes] of Object.entries({
        'small chunks': [1000, 500, 1],
        'chunks that fill parts only together': [4 * MiB, 4 * MiB, 4 * MiB, 3 * MiB],
        'a chunk larger than a part, then a small one': [26 * MiB, 10],
      })) {
        for (const last of ['PATCH', 'PUT']) {
          it(`joins ${title}, the last one by ${last}`, async () => {
            const chunks = chunkSizes.map((sizeBytes) => randomBytes(sizeBytes));
            const whole = Buffer.concat(chunks);
            const digest = digestOf(whole);
            let location = await client.start('chunks/app');
            let start = 0;
            const patches = last === 'PATCH' ? chunks : chunks.slice(0, -1);
            for (const chunk of patches) {
              const response = await sendChunk(location, chunk, start);
              assert.equal(response.status, 202);
              start += chunk.length;
              assert.equal(response.headers.get('Range'), `0-${start - 1}`);
              location = locationOf(response);
            }
            const rest = chunks.slice(patches.length);
            const url = withDigest(location, digest);
            const put = rest[0] ? await sendChunk(url, rest[0], start, 'PUT') : await client.send('PUT', url);
            assert.equal(put.status, 201);
            assert.ok((await readBlob('chunks/app', digest)).equals(whole));
          });
        }
      }

      // The first PATCH is stored under its digest, in parts under a uuid, or is empty.
      for (const [title, sizes] of Object.entries({
        'small pieces': [10, 20, 30],
        'a large piece first': [9 * MiB, 100, 5 * MiB],
        'a large piece last': [100, 9 * MiB],
        'an empty piece first': [0, 10, 10],
        'an empty piece last': [10, 0],
      })) {
        for (const algorithm of ['sha256', 'sha512'] as const) {
          it(`appends PATCHes without a Content-Range: ${title}, ${algorithm}`, async () => {
            const pieces = sizes.map((size) => randomBytes(size));
            const whole = Buffer.concat(pieces);
            let location = await client.start('append/app');
            let sizeBytes = 0;
            for (const piece of pieces) {
              const patched = await client.send('PATCH', location, { body: chunked(piece) });
              sizeBytes += piece.length;
              assert.deepEqual(
                [patched.status, patched.headers.get('Range')],
                [202, `0-${Math.max(0, sizeBytes - 1)}`],
              );
              location = locationOf(patched);
            }
            const digest = digestOf(whole, algorithm);
            assert.equal((await client.send('PUT', withDigest(location, digest))).status, 201);
            assert.ok((await readBlob('append/app', digest)).equals(whole));
          });

          it(`appends the body of the PUT: ${title}, ${algorithm}`, async () => {
            const pieces = sizes.map((size) => randomBytes(size));
            const [last = Buffer.alloc(0), ...others] = pieces.toReversed();
            let location = await client.start('append/app');
            for (const piece of others.toReversed()) {
              location = locationOf(await client.send('PATCH', location, { body: chunked(piece) }));
            }
            const whole = Buffer.concat(pieces);
            const digest = digestOf(whole, algorithm);
            const put = await client.send('PUT', withDigest(location, digest), { body: chunked(last) });
            assert.equal(put.status, 201);
            assert.ok((await readBlob('append/app', digest)).equals(whole));
          });
        }
      }

      it('refuses last bytes that give another digest, and links nothing', async () => {
        for (const sizeBytes of [10, 9 * MiB]) {
          const location = await client.start('append/wrong');
          const patched = await client.send('PATCH', location, { body: chunked(randomBytes(sizeBytes)) });
          const digest = digestOf(`not ${sizeBytes}`);
          const put = await client.send('PUT', withDigest(locationOf(patched), digest), {
            body: chunked(randomBytes(10)),
          });
          assert.deepEqual([put.status, await codesOf(put)], [400, ['DIGEST_INVALID']]);
          assert.equal((await client.send('HEAD', `/v2/append/wrong/blobs/${digest}`)).status, 404);
        }
      });

      it('answers a chunk out of order with 416 and the Range of the bytes that have arrived', async () => {
        const first = await sendChunk(await client.start('chunks/app'), randomBytes(10), 0);
        const wrong = await sendChunk(locationOf(first), randomBytes(10), 20);
        assert.equal(wrong.status, 416);
        assert.equal(wrong.headers.get('Range'), '0-9');
        const status = await client.send('GET', locationOf(first));
        assert.equal(status.status, 204);
        assert.equal(status.headers.get('Range'), '0-9');
      });

      it('continues from the last answer after a chunk whose connection broke', async () => {
        const bytes = randomBytes(20);
        const first = await sendChunk(await client.start('chunks/app'), bytes.subarray(0, 10), 0);
        const short = await client.send('PATCH', locationOf(first), {
          body: bytes.subarray(10, 15),
          headers: { 'Content-Range': '10-19' },
        });
        assert.equal(short.status, 400);
        const second = await sendChunk(locationOf(first), bytes.subarray(10), 10);
        const put = await client.send('PUT', withDigest(locationOf(second), digestOf(bytes)));
        assert.equal(put.status, 201);
        assert.ok((await readBlob('chunks/app', digestOf(bytes))).equals(bytes));
      });

      it('answers a repeated commit like the first one', async () => {
        const bytes = randomBytes(13 * MiB);
        const first = await sendChunk(await client.start('chunks/again'), bytes.subarray(0, 7 * MiB), 0);
        const url = withDigest(locationOf(first), digestOf(bytes));
        for (const attempt of ['first', 'second']) {
          const put = await sendChunk(url, bytes.subarray(7 * MiB), 7 * MiB, 'PUT');
          assert.equal(put.status, 201, attempt);
        }
        assert.ok((await readBlob('chunks/again', digestOf(bytes))).equals(bytes));
      });

      it('cancels an upload', async () => {
        const first = await sendChunk(await client.start('chunks/app'), randomBytes(6 * MiB), 0);
        assert.equal((await client.send('DELETE', locationOf(first))).status, 204);
        const next = await sendChunk(locationOf(first), randomBytes(6 * MiB), 6 * MiB);
        assert.equal(next.status, 404);
        assert.deepEqual(await codesOf(next), ['BLOB_UPLOAD_UNKNOWN']);
      });
    });

    describe('upload sessions', () => {
      const sessions: [string, (location: string) => string][] = [
        ['of another repository', (location) => location.replace('/sessions/app/', '/sessions/other/')],
        ['of another upload', (location) => location.replace(/uploads\/[^?]+/, `uploads/${crypto.randomUUID()}`)],
        ['whose signature is wrong', (location) => `${location.slice(0, -4)}AAAA`],
        ['without a signature', (location) => location.replace(/\.[^.]+$/, '')],
        ['without a state', (location) => location.replace(/\?.*/, '')],
        [
          'that has expired',
          (location) => {
            const uuid = /uploads\/([^?]+)/.exec(location)?.[1] ?? '';
            const repository = parseRepositoryName('sessions/app');
            const session = {
              uuid,
              repository,
              registryUrl: server.url.origin,
              startedAtSeconds: Date.now() / 1000,
              state: { kind: 'started' as const, algorithm: 'sha256' as const },
            };
            return location.replace(
              /_state=.*/,
              `_state=${new SessionSigner(TEST_KEYS).sign(session, Date.now() - 2 * 60 * 60 * 1000)}`,
            );
          },
        ],
      ];
      for (const [title, spoil] of sessions) {
        it(`refuses a session ${title}`, async () => {
          const location = spoil(await client.start('sessions/app'));
          const response = await client.send('PATCH', location, { body: 'x' });
          assert.equal(response.status, 404);
          assert.deepEqual(await codesOf(response), ['BLOB_UPLOAD_UNKNOWN']);
        });
      }
    });

    describe('manifests and tags', () => {
      const pushImage = async (repository: string, reference: string, content: string) => {
        const config = Buffer.from('{}');
        const layer = Buffer.from(content);
        const descriptors = await Promise.all(
          [config, layer].map(async (bytes) => ({
            mediaType: `application/vnd.oci.image.${bytes === config ? 'config.v1+json' : 'layer.v1.tar'}`,
            digest: (await client.pushBlob(repository, bytes)).digest,
            size: bytes.length,
          })),
        );
        const manifest = {
          schemaVersion: 2,
          mediaType: OCI_MANIFEST,
          config: descriptors[0],
          layers: descriptors.slice(1),
        };
        const response = await client.pushManifest(repository, reference, manifest);
        return { manifest, response, digest: digestOf(JSON.stringify(manifest)) };
      };

      it('returns the bytes of a manifest by tag and by digest', async () => {
        const { manifest, response, digest } = await pushImage('images/app', 'v1', 'one');
        assert.equal(response.status, 201);
        assert.equal(response.headers.get('Docker-Content-Digest'), digest);
        for (const reference of ['v1', digest]) {
          for (const method of ['GET', 'HEAD']) {
            const got = await client.send(method, `/v2/images/app/manifests/${reference}`);
            assert.equal(got.status, 200);
            assert.equal(got.headers.get('Content-Type'), OCI_MANIFEST);
            assert.equal(got.headers.get('Docker-Content-Digest'), digest);
            assert.equal(got.headers.get('Content-Length'), String(JSON.stringify(manifest).length));
            assert.equal(await got.text(), method === 'GET' ? JSON.stringify(manifest) : '');
          }
        }
      });

      it('answers 304 to a client that has the manifest or the blob', async () => {
        const { manifest, digest } = await pushImage('images/app', 'v1', 'one');
        const headers = { 'If-None-Match': `"sha256:0", "${digest}"` };
        const known = await client.send('GET', '/v2/images/app/manifests/v1', { headers });
        assert.deepEqual([known.status, known.headers.get('ETag')], [304, `"${digest}"`]);
        const config = manifest.config?.digest;
        const blob = await client.send('GET', `/v2/images/app/blobs/${config}`, {
          headers: { 'If-None-Match': `"${config}"` },
        });
        assert.equal(blob.status, 304);
        assert.equal(blob.headers.get('Cache-Control'), 'max-age=31536000, immutable');
        const other = await client.send('GET', '/v2/images/app/manifests/v1', { headers: { 'If-None-Match': '"x"' } });
        assert.equal(other.status, 200);
      });

      it('sends Content-Length: 0 with an answer without a body', async () => {
        const repository = '/v2/images/empty';
        const { manifest, digest } = await pushImage('images/empty', 'v1', 'one');
        const location = await client.start('images/empty');
        const bytes = Buffer.from('a blob');
        const patched = await client.send('PATCH', location, { body: bytes });
        const put = await client.send('PUT', withDigest(locationOf(patched), digestOf(bytes)));
        const empty = [
          await client.send('POST', `${repository}/blobs/uploads/`),
          patched,
          put,
          await client.pushManifest('images/empty', 'v1', manifest),
          await client.send('DELETE', `${repository}/blobs/${digestOf(bytes)}`),
          await client.send('DELETE', `${repository}/manifests/${digest}`),
        ];
        for (const { url, status, headers } of empty) {
          assert.deepEqual(
            [headers.get('Content-Length'), headers.get('Transfer-Encoding')],
            ['0', null],
            `${status} ${url}`,
          );
        }
      });

      it('lists the referrers of a manifest, also before it is pushed', async () => {
        const subject = { mediaType: OCI_MANIFEST, digest: digestOf('not yet'), size: 7 };
        const { digest: empty } = await client.pushBlob('images/refs', Buffer.from('{}'));
        const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest: empty, size: 2 };
        const push = async (artifactType: string) => {
          const artifact = {
            schemaVersion: 2,
            mediaType: OCI_MANIFEST,
            artifactType,
            config,
            layers: [config],
            subject,
          };
          const bytes = JSON.stringify(artifact);
          const response = await client.pushManifest('images/refs', digestOf(bytes), artifact);
          assert.equal(response.headers.get('OCI-Subject'), subject.digest);
          return { mediaType: OCI_MANIFEST, digest: digestOf(bytes), size: bytes.length, artifactType };
        };
        const [signature, sbom] = [await push('a/signature'), await push('a/sbom')];
        const all = await client.send('GET', `/v2/images/refs/referrers/${subject.digest}`);
        assert.equal(all.headers.get('Content-Type'), OCI_INDEX);
        const byDigest = (a: { digest: string }, b: { digest: string }) => (a.digest < b.digest ? -1 : 1);
        const { manifests } = (await all.json()) as { manifests: (typeof sbom)[] };
        assert.deepEqual(manifests, [signature, sbom].sort(byDigest));
        const some = await client.send('GET', `/v2/images/refs/referrers/${subject.digest}?artifactType=a/sbom`);
        assert.equal(some.headers.get('OCI-Filters-Applied'), 'artifactType');
        assert.deepEqual(((await some.json()) as { manifests: unknown[] }).manifests, [sbom]);
        await client.send('DELETE', `/v2/images/refs/manifests/${sbom.digest}`);
        const left = await client.send('GET', `/v2/images/refs/referrers/${subject.digest}`);
        assert.deepEqual(((await left.json()) as { manifests: unknown[] }).manifests, [signature]);
      });

      it('gives a manifest put by digest the tags of the query', async () => {
        const { manifest, digest } = await pushImage('images/tagged', 'first', 'one');
        const put = await client.pushManifest('images/tagged', `${digest}?tag=a&tag=b`, manifest);
        assert.deepEqual([put.status, put.headers.get('OCI-Tag')], [201, 'a, b']);
        const list = await client.send('GET', '/v2/images/tagged/tags/list');
        assert.deepEqual(((await list.json()) as { tags: string[] }).tags, ['a', 'b', 'first']);
      });

      for (const word of ['manifests', 'blobs', 'tags', 'list', 'uploads', '_catalog', 'referrers']) {
        it(`serves tags and repositories called ${word}`, async () => {
          const repository = word.startsWith('_') ? 'words/catalog' : `words/${word}/${word}`;
          const { digest } = await pushImage(repository, word, 'one');
          const manifest = await client.send('HEAD', `/v2/${repository}/manifests/${word}`);
          assert.deepEqual([manifest.status, manifest.headers.get('Docker-Content-Digest')], [200, digest]);
          const list = await client.send('GET', `/v2/${repository}/tags/list`);
          assert.deepEqual(await list.json(), { name: repository, tags: [word] });
        });
      }

      it('sends the version header to current clients', async () => {
        for (const path of ['/v2/', '/v2/images/app/manifests/v1', '/v2/images/app/tags/list', '/v2/none']) {
          const response = await client.send('GET', path);
          assert.equal(response.headers.get('Docker-Distribution-Api-Version'), 'registry/2.0');
        }
      });

      it('stores a tag as one object of 64 hex digits, which v1 reads too', async () => {
        const { digest } = await pushImage('app', 'v1', 'one');
        assert.deepEqual(await keysBelow('repositories/library/app/'), ['repositories/library/app/tag_v1']);
        const v1 = await client.send('GET', '/v1/repositories/app/tags');
        assert.deepEqual(await v1.json(), { v1: digest.slice('sha256:'.length) });
      });

      it('takes an index whose children exist', async () => {
        const { manifest, digest } = await pushImage('images/multi', 'amd64', 'one');
        const child = { mediaType: OCI_MANIFEST, digest, size: JSON.stringify(manifest).length };
        const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [child] };
        assert.equal((await client.pushManifest('images/multi', 'latest', index)).status, 201);
        const got = await client.send('GET', '/v2/images/multi/manifests/latest');
        assert.equal(got.headers.get('Content-Type'), OCI_INDEX);
        const orphan = { ...index, manifests: [{ ...child, digest: digestOf('nothing') }] };
        const refused = await client.pushManifest('images/multi', 'latest', orphan);
        assert.deepEqual([refused.status, await codesOf(refused)], [400, ['MANIFEST_BLOB_UNKNOWN']]);
      });

      const descriptor = (content: string) => ({ mediaType: 'a/b', digest: digestOf(content), size: content.length });
      const bad: [string, string, string][] = [
        ['no JSON', 'x', 'MANIFEST_INVALID'],
        ['an array', '[]', 'MANIFEST_INVALID'],
        ['neither layers nor manifests', '{"schemaVersion":2}', 'MANIFEST_INVALID'],
        ['schema version 1', '{"schemaVersion":1,"name":"x","fsLayers":[],"history":[]}', 'MANIFEST_INVALID'],
        [
          'both layers and manifests',
          JSON.stringify({ schemaVersion: 2, config: descriptor('x'), layers: [], manifests: [] }),
          'MANIFEST_INVALID',
        ],
        [
          'the media type of an index for an image',
          JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, config: descriptor('x'), layers: [] }),
          'MANIFEST_INVALID',
        ],
        [
          'a digest that is none',
          JSON.stringify({ schemaVersion: 2, config: { ...descriptor('x'), digest: 'sha256:1' }, layers: [] }),
          'MANIFEST_INVALID',
        ],
        [
          'more layers than any client runs',
          JSON.stringify({ schemaVersion: 2, config: descriptor('x'), layers: Array(10_001).fill(descriptor('x')) }),
          'MANIFEST_INVALID',
        ],
        [
          'levels without end',
          `{"schemaVersion":2,"annotations":${'['.repeat(20_000)}${']'.repeat(20_000)}}`,
          'MANIFEST_INVALID',
        ],
        [
          'annotations that Go clients cannot read',
          JSON.stringify({ schemaVersion: 2, config: descriptor('x'), layers: [], annotations: { n: 5 } }),
          'MANIFEST_INVALID',
        ],
        [
          'an artifactType that is not a string',
          JSON.stringify({ schemaVersion: 2, config: descriptor('x'), layers: [], artifactType: ['a'] }),
          'MANIFEST_INVALID',
        ],
        [
          'a byte order mark',
          `\uFEFF${JSON.stringify({ schemaVersion: 2, config: descriptor('x'), layers: [] })}`,
          'MANIFEST_INVALID',
        ],
        [
          'a blob that is not there',
          JSON.stringify({ schemaVersion: 2, config: descriptor('nowhere'), layers: [] }),
          'MANIFEST_BLOB_UNKNOWN',
        ],
      ];
      for (const [title, body, code] of bad) {
        it(`refuses a manifest with ${title}`, async () => {
          const response = await client.send('PUT', '/v2/images/bad/manifests/latest', { body: Buffer.from(body) });
          assert.deepEqual([response.status, await codesOf(response)], [400, [code]]);
          assert.equal((await client.send('GET', '/v2/images/bad/manifests/latest')).status, 404);
        });
      }

      it('refuses a manifest under another digest or as another type', async () => {
        const { manifest } = await pushImage('images/app', 'v1', 'one');
        const wrong = await client.pushManifest('images/app', digestOf('other'), manifest);
        assert.deepEqual([wrong.status, await codesOf(wrong)], [400, ['DIGEST_INVALID']]);
        const body = JSON.stringify(manifest);
        const headers = { 'Content-Type': 'application/vnd.docker.distribution.manifest.v2+json' };
        const other = await client.send('PUT', '/v2/images/app/manifests/v1', { body, headers });
        assert.deepEqual([other.status, await codesOf(other)], [400, ['MANIFEST_INVALID']]);
      });

      it('refuses a manifest of more than 4 MiB with 413', async () => {
        const body = Buffer.from(JSON.stringify({ schemaVersion: 2, layers: [], x: 'x'.repeat(4 * MiB) }));
        assert.equal((await client.send('PUT', '/v2/images/app/manifests/big', { body })).status, 413);
      });

      it('lists tags in ASCII order, by pages', async () => {
        for (const tag of ['b', 'a', 'B', '_x', 'a.1', 'a-1']) await pushImage('images/tags', tag, 'one');
        const all = ['B', '_x', 'a', 'a-1', 'a.1', 'b'];
        const list = await client.send('GET', '/v2/images/tags/tags/list');
        assert.deepEqual(await list.json(), { name: 'images/tags', tags: all });
        const paged: string[] = [];
        let next: string | undefined = '/v2/images/tags/tags/list?n=4';
        while (next) {
          const page: Response = await client.send('GET', next);
          paged.push(...((await page.json()) as { tags: string[] }).tags);
          next = /^<(.*)>; rel="next"$/.exec(page.headers.get('Link') ?? '')?.[1];
        }
        assert.deepEqual(paged, all);
        // `last` may be any text, also one that is not a valid tag.
        for (const [last, expected] of [
          ['', all],
          ['-', all],
          ['A/B', all],
          ['B', all.slice(1)],
          ['C%00', all.slice(1)],
          ['a%00', all.slice(3)],
          ['a%20', all.slice(3)],
          ['a~', all.slice(5)],
          ['a%C3%A9', all.slice(5)],
          ['%00', all],
          ['%C3%A9', []],
          ['x'.repeat(3000), []],
        ] as const) {
          const page = await client.send('GET', `/v2/images/tags/tags/list?last=${last}`);
          assert.deepEqual(await page.json(), { name: 'images/tags', tags: expected }, last);
        }
      });

      it('lists repositories in the order of their names, by pages', async () => {
        const names = ['order/b/c', 'order/b-c', 'order/b', 'order-x/a', 'order/a'];
        for (const repository of names) await pushImage(repository, 'latest', 'one');
        const catalog = await client.send('GET', '/v2/_catalog?n=10000');
        const { repositories } = (await catalog.json()) as { repositories: string[] };
        const ours = repositories.filter((repository) => repository.startsWith('order'));
        assert.deepEqual(ours, names.toSorted());
        const page = await client.send('GET', '/v2/_catalog?n=2&last=order/a');
        assert.deepEqual(await page.json(), { repositories: ['order/b', 'order/b-c'] });
        assert.equal(page.headers.get('Link'), '</v2/_catalog?n=2&last=order%2Fb-c>; rel="next"');
      });

      it('deletes a tag, and a manifest with all its tags', async () => {
        const { digest } = await pushImage('images/gone', 'one', 'x');
        for (const tag of ['two', 'three']) await pushImage('images/gone', tag, 'x');
        await pushImage('images/gone', 'other', 'y');
        assert.equal((await client.send('DELETE', '/v2/images/gone/manifests/one')).status, 202);
        assert.equal((await client.send('GET', '/v2/images/gone/manifests/one')).status, 404);
        assert.equal((await client.send('GET', `/v2/images/gone/manifests/${digest}`)).status, 200);
        assert.equal((await client.send('DELETE', `/v2/images/gone/manifests/${digest}`)).status, 202);
        const list = await client.send('GET', '/v2/images/gone/tags/list');
        assert.deepEqual(await list.json(), { name: 'images/gone', tags: ['other'] });
        assert.equal((await client.send('DELETE', `/v2/images/gone/manifests/${digest}`)).status, 404);
      });

      it('lists no tags of a repository whose last tag was deleted, as long as it holds a manifest', async () => {
        const { digest } = await pushImage('images/untagged', 'only', 'x');
        await client.send('DELETE', '/v2/images/untagged/manifests/only');
        const list = await client.send('GET', '/v2/images/untagged/tags/list');
        assert.deepEqual([list.status, await list.json()], [200, { name: 'images/untagged', tags: [] }]);
        assert.equal((await client.send('GET', `/v2/images/untagged/manifests/${digest}`)).status, 200);
      });
    });

    describe('names', () => {
      const rows: [string, string, number, string][] = [
        ['GET', '/v2/UPPER/manifests/latest', 400, 'NAME_INVALID'],
        ['GET', `/v2/a/${'b'.repeat(260)}/manifests/latest`, 400, 'NAME_INVALID'],
        ['GET', '/v2/a%2f..%2fb/manifests/latest', 400, 'NAME_INVALID'],
        ['GET', '/v2/a//b/tags/list', 400, 'NAME_INVALID'],
        ['POST', '/v2/-a/blobs/uploads/', 400, 'NAME_INVALID'],
        ['GET', '/v2/a/manifests/.x', 400, 'TAG_INVALID'],
        ['GET', `/v2/a/manifests/${'t'.repeat(129)}`, 400, 'TAG_INVALID'],
        ['GET', '/v2/a/manifests/sha256:xyz', 400, 'DIGEST_INVALID'],
        ['GET', '/v2/a/blobs/md5:0123', 400, 'DIGEST_INVALID'],
        ['GET', '/v2/a/tags/list', 404, 'NAME_UNKNOWN'],
        ['GET', '/v2/a/tags/list?n=x', 400, 'PAGINATION_NUMBER_INVALID'],
        ['GET', '/v2/a/manifests/latest', 404, 'MANIFEST_UNKNOWN'],
      ];
      for (const [method, path, status, code] of rows) {
        it(`answers ${method} ${path.slice(0, 60)} with ${status} ${code}`, async () => {
          const response = await client.send(method, path);
          assert.deepEqual([response.status, await codesOf(response)], [status, [code]]);
        });
      }
    });
  });
}
