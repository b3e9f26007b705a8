import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ANONYMOUS } from '../../lib/auth/callers/caller.ts';
import { type Key, layout } from '../../lib/model/layout.ts';
import { parseDigest, parseImageId, parseRepositoryName, parseTag } from '../../lib/model/names.ts';
import { PUSHER_RECORD_LIFETIME_MS } from '../../lib/registry/v1-images/image-rights.ts';
import { pusherOf } from '../../lib/v1/pusher.ts';
import { basic, openTestAuth } from '../auth/test-auth.ts';
import { alterDriver } from '../storage/altered-driver.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { payloadSum, V1Client, type V1Image } from '../support/v1-client.ts';
import { V2Client } from '../v2/client.ts';
import { chainIdOf, pushImage } from '../v2/image.ts';
import { newImage, newImageId, newRepository, type OpenStorage, useStorage } from './use-registry.ts';

const PARTS = ['json', 'ancestry', 'layer', 'files'];

const ACCESS = [
  { repositories: '*', users: 'root', actions: '*' },
  { repositories: 'tests/*', users: 'alice', actions: '*' },
  { repositories: 'other/*', users: 'mallory', actions: '*' },
];

type Headers = Record<string, string>;

/** What no repository holds any more cannot be read by v1, even if it was read, granted or remembered before. */
export function v1DeletedImagesSuite(name: string, open: OpenStorage): void {
  for (const [kind, owner] of [
    ['without logins', {}],
    ['with auth, for a caller who may pull everywhere', basic('root')],
    ['with auth, for one who may pull from some repositories', basic('alice')],
  ] as const) {
    describe(`v1 images that were deleted, ${kind}, on ${name}`, () => {
      const storage = useStorage(open);
      /** Two processes: one deletes, the other remembers what it has read. */
      let server: RegistryServer;
      let reader: RegistryServer;
      let v1: V1Client;
      let v2: V2Client;
      /** Runs before the reading process reads an object. */
      let onRead: { isMeant: (key: Key) => boolean; act: () => Promise<unknown> } | undefined;
      const headers: Headers = owner;
      const authOf = async () =>
        kind === 'without logins'
          ? {}
          : { auth: await openTestAuth({ users: ['root', 'alice', 'mallory'], access: ACCESS }) };
      before(async () => {
        server = await startRegistry(storage.driver, await authOf());
        const watched = alterDriver(storage.driver, (original) => ({
          async read(key) {
            const act = onRead?.isMeant(key) ? onRead.act : undefined;
            if (act) onRead = undefined;
            await act?.();
            return await original.read(key);
          },
        }));
        reader = await startRegistry(watched, await authOf());
        v1 = new V1Client(server.url, headers.Authorization);
        v2 = new V2Client(server.url, headers);
      });
      after(async () => {
        await server.stop();
        await reader.stop();
      });

      const request = async (from: RegistryServer, method: string, path: string, body?: string, as = headers) =>
        await fetch(new URL(path, from.url), {
          method,
          headers: as,
          ...(body !== undefined && { body: Buffer.from(body) }),
        });
      const remove = async (path: string) => {
        const { status } = await request(server, 'DELETE', path);
        assert.ok([200, 202].includes(status), `DELETE ${path}: ${status}`);
        await server.idle();
      };
      const assertRead = async (expected: number, ...ids: string[]) => {
        for (const id of ids) {
          for (const part of PARTS) {
            for (const from of [server, reader]) {
              const response = await request(from, 'GET', `/v1/images/${id}/${part}`);
              assert.equal(response.status, expected, `${part} of ${id}: ${await response.text()}`);
            }
          }
        }
      };
      /** Neither a new tag nor a child image makes it readable again. */
      const assertGone = async (repository: string, ...ids: string[]) => {
        await assertRead(404, ...ids);
        for (const id of ids) {
          for (const from of [server, reader]) {
            const back = await request(from, 'PUT', `/v1/repositories/${repository}/tags/back`, JSON.stringify(id));
            assert.equal(back.status, 404, 'a tag brings it back');
            const child = newImage();
            const json = JSON.stringify({ id: child.id, parent: id });
            assert.equal((await request(from, 'PUT', `/v1/images/${child.id}/json`, json)).status, 400, 'as a parent');
          }
        }
        await assertRead(404, ...ids);
      };
      const pushV2 = async (repository: string, tag: string, ...contents: string[]) => {
        const pushed = await pushImage(v2, repository, tag, { contents });
        await server.idle();
        const { layers } = pushed.manifest as { layers: { digest: string }[] };
        const base = chainIdOf(layers.slice(0, 1).map(({ digest }) => digest));
        return { ...pushed, top: pushed.digest.slice('sha256:'.length), base };
      };
      const chain = (): [V1Image, V1Image] => {
        const base = newImage();
        return [base, newImage({ parent: base })];
      };
      const put = async (path: string, body: Uint8Array, more: Headers = {}) => {
        const init = { method: 'PUT', body: Buffer.from(body), headers: { ...headers, ...more } };
        const response = await fetch(new URL(path, server.url), init);
        assert.equal(response.status, 200, `PUT ${path}: ${await response.text()}`);
      };
      /** Pushes as Docker does, which skips images that exist; by the login itself, which is not limited to a repository. */
      const pushV1 = async (repository: string, tags: string[], images: readonly V1Image[] = chain()) => {
        for (const { id, json, layer } of images) {
          if ((await request(server, 'GET', `/v1/images/${id}/json`)).status === 200) continue;
          await put(`/v1/images/${id}/json`, json);
          await put(`/v1/images/${id}/layer`, layer);
          await put(`/v1/images/${id}/checksum`, new Uint8Array(), {
            'X-Docker-Checksum-Payload': payloadSum(json, layer),
          });
        }
        const [base, top] = [images[0]?.id ?? assert.fail(), images.at(-1)?.id ?? assert.fail()];
        for (const tag of tags)
          await put(`/v1/repositories/${repository}/tags/${tag}`, Buffer.from(JSON.stringify(top)));
        return { base, top };
      };

      it('are gone after the DELETE of their manifest, with its config and layers', async () => {
        const repository = newRepository();
        const { top, base, digest, manifest } = await pushV2(repository, 'latest', `base of ${repository}`, 'top');
        await assertRead(200, top, base);
        await remove(`/v2/${repository}/manifests/${digest}`);
        await assertGone(repository, top, base);
        const { config, layers } = manifest as { config: { digest: string }; layers: { digest: string }[] };
        for (const blob of [config, ...layers]) await remove(`/v2/${repository}/blobs/${blob.digest}`);
        await assertGone(repository, top, base);
        assert.equal((await request(reader, 'GET', `/v2/${repository}/manifests/latest`)).status, 404);
      });

      it('are gone after the DELETE of a manifest that no tag names', async () => {
        const repository = newRepository();
        const { top, base, digest } = await pushV2(repository, 'latest', `base of ${repository}`, 'top');
        await remove(`/v2/${repository}/manifests/latest`);
        assert.equal((await request(reader, 'GET', `/v2/${repository}/manifests/${digest}`)).status, 200);
        await assertRead(200, top, base); // as v2 goes on to serve it by digest
        await remove(`/v2/${repository}/manifests/${digest}`);
        await assertGone(repository, top, base);
      });

      for (const rest of ['/', '/tags']) {
        it(`are gone after DELETE /v1/repositories/<repository>${rest}, pushed by v2 or v1`, async () => {
          const repository = newRepository();
          const byV2 = await pushV2(repository, 'latest', `base of ${repository}`, 'top');
          const byV1 = await pushV1(repository, ['old', 'older']);
          const ids = [byV2.top, byV2.base, byV1.top, byV1.base];
          await assertRead(200, ...ids);
          await remove(`/v1/repositories/${repository}${rest}`);
          await assertGone(repository, ...ids);
        });
      }

      for (const [api, pathOf] of [
        ['v1', (repository: string, tag: string) => `/v1/repositories/${repository}/tags/${tag}`],
        ['v2', (repository: string, tag: string) => `/v2/${repository}/manifests/${tag}`],
      ] as const) {
        it(`are gone after the DELETE by ${api} of the last tag that names them, pushed by v1`, async () => {
          const repository = newRepository();
          const { top, base } = await pushV1(repository, ['a', 'b']);
          await assertRead(200, top, base);
          await remove(pathOf(repository, 'a'));
          await assertRead(200, top, base);
          await remove(pathOf(repository, 'b'));
          await assertGone(repository, top, base);
        });
      }

      it('are gone after their tag has moved, pushed by v1, except images that the new one is built on', async () => {
        const repository = newRepository();
        const [base, top] = chain();
        await pushV1(repository, ['latest'], [base, top]);
        const next = newImage({ parent: base });
        await pushV1(repository, ['latest'], [base, next]);
        await assertRead(200, base.id, next.id);
        await assertGone(repository, top.id);
      });

      it('are gone after the DELETE of the manifest that was converted from them', async () => {
        const repository = newRepository();
        const { top, base } = await pushV1(repository, ['latest']);
        const converted = await request(reader, 'GET', `/v2/${repository}/manifests/latest`);
        const digest = converted.headers.get('Docker-Content-Digest') ?? '';
        await remove(`/v2/${repository}/manifests/latest`);
        assert.equal((await request(reader, 'GET', `/v2/${repository}/manifests/${digest}`)).status, 200);
        await assertRead(200, top, base); // as v2 goes on to serve them by digest
        await remove(`/v2/${repository}/manifests/${digest}`);
        await assertGone(repository, top, base);
      });

      for (const deleted of ['index', 'child'] as const) {
        it(`are gone after the DELETE of the ${deleted} of an index`, async () => {
          const repository = newRepository();
          const child = await pushV2(repository, 'child', `base of ${repository}`, 'top');
          const mediaType = 'application/vnd.oci.image.manifest.v1+json';
          const platform = { os: 'linux', architecture: 'amd64' };
          const manifests = [{ mediaType, digest: child.digest, size: child.sizeBytes, platform }];
          const index = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests };
          const put = await v2.pushManifest(repository, 'latest', index);
          const digest = put.headers.get('Docker-Content-Digest') ?? '';
          await server.idle();
          const top = digest.slice('sha256:'.length);
          await assertRead(200, top, child.base);
          if (deleted === 'child') {
            await remove(`/v2/${repository}/manifests/${child.digest}`);
            await assertGone(repository, top, child.top, child.base);
            const tag = await request(reader, 'GET', `/v1/repositories/${repository}/tags/latest`);
            assert.equal(tag.status, 404);
            return;
          }
          await remove(`/v2/${repository}/manifests/${digest}`);
          await assertGone(repository, top);
          await assertRead(200, child.top, child.base);
        });
      }

      it('stay readable while another repository holds them', async () => {
        const [one, other] = [newRepository(), newRepository()];
        const images = chain();
        const byV1 = await pushV1(one, ['latest'], images);
        await pushV1(other, ['latest'], images);
        const contents = [`base of ${one}`, 'top'] as const;
        const byV2 = await pushV2(one, 'v2', ...contents);
        await pushV2(other, 'v2', ...contents);
        const ids = [byV1.top, byV1.base, byV2.top, byV2.base];
        await assertRead(200, ...ids);
        await remove(`/v1/repositories/${one}/`);
        await assertRead(200, ...ids);
        await remove(`/v1/repositories/${other}/`);
        await assertGone(one, ...ids);
      });

      it('come back when they are pushed again by v2', async () => {
        const repository = newRepository();
        const contents = [`base of ${repository}`, 'top'] as const;
        const { top, base, digest } = await pushV2(repository, 'latest', ...contents);
        await remove(`/v2/${repository}/manifests/${digest}`);
        await assertGone(repository, top, base);
        await pushV2(repository, 'latest', ...contents);
        await assertRead(200, top, base);
        assert.equal((await v1.pull(repository, 'latest')).length, 2);
      });

      it('can be read by a client that has pushed them again, until a tag names them, for a day', async () => {
        const repository = newRepository();
        let ageMilliseconds = 0;
        const aged = alterDriver(storage.driver, (original) => ({
          async *list(prefix, options) {
            for await (const object of original.list(prefix, options)) {
              const isPusher = object.key.includes('/pushers/');
              const lastModified = new Date(object.lastModified.getTime() - (isPusher ? ageMilliseconds : 0));
              yield { ...object, lastModified };
            }
          },
        }));
        const late = await startRegistry(aged, await authOf());
        const { top, base } = await pushV1(repository, ['latest']);
        const pusherRecordsOf = (id: string) => storage.keysBelow(`oci/images/${id}/pushers/`);
        assert.deepEqual(
          [await pusherRecordsOf(top), await pusherRecordsOf(base)],
          [[], []],
          'the grants by the tag have replaced them',
        );
        const read = async () => (await request(late, 'GET', `/v1/images/${top}/json`)).status;
        await remove(`/v1/repositories/${repository}/`);
        assert.equal(await read(), 404);
        const { id: pusherId } = pusherOf(
          kind === 'without logins'
            ? ANONYMOUS
            : { kind: 'user', name: kind.includes('everywhere') ? 'root' : 'alice', groups: [] },
        );
        await storage.put(layout.pusherRecord(parseImageId(top), pusherId), '');
        assert.equal(await read(), 200);
        ageMilliseconds = PUSHER_RECORD_LIFETIME_MS;
        assert.equal(await read(), 404);
        await late.stop();
      });

      it('cost a bounded number of requests, however many stale grants there are', async () => {
        const [repository, elsewhere] = [newRepository(), newRepository()];
        const { top } = await pushV1(repository, ['latest']);
        const id = parseImageId(top);
        for (let at = 0; at < 1500; at++) {
          const by = { tag: parseTag(`stale-${at}`), top: id };
          await storage.put(layout.tagGrant(id, 'pushed', parseRepositoryName(elsewhere), by), '');
        }
        let requests = 0;
        const count = <T>(value: T) => {
          requests++;
          return value;
        };
        const counted = alterDriver(storage.driver, (original) => ({
          head: async (key) => count(await original.head(key)),
          read: async (key) => count(await original.read(key)),
          async *list(prefix, options) {
            let listed = 0;
            for await (const object of original.list(prefix, options)) {
              if (listed++ % 1000 === 0) count(object);
              yield object;
            }
          },
        }));
        const busy = await startRegistry(counted, await authOf());
        const read = async () => (await request(busy, 'GET', `/v1/images/${top}/json`)).status;
        assert.equal(await read(), 200, 'the one that is good is found');
        assert.ok(requests < 15, `${requests}`);
        await remove(`/v1/repositories/${repository}/`);
        await storage.driver.delete(`oci/images/${top}/pushers/x` as Key);
        for (const key of await storage.keysBelow(`oci/images/${top}/pushers/`))
          await storage.driver.delete(key as Key);
        requests = 0;
        assert.equal(await read(), 404);
        assert.ok(requests < 110, `${requests}`);
        await busy.stop();
      });

      describe('that docker-registry has tagged', () => {
        const putOld = async (repository: string, tag: string, { id, json, layer }: V1Image, ancestry = [id]) => {
          await storage.put(`images/${id}/json`, json);
          await storage.put(`images/${id}/ancestry`, JSON.stringify(ancestry));
          await storage.put(`images/${id}/layer`, layer);
          await storage.put(`repositories/${repository}/tag_${tag}`, id);
        };

        it('can be read by callers who may pull from the repository after a request for its tags, until they are deleted', async () => {
          for (const path of ['tags', 'tags/old', 'images']) {
            const repository = newRepository();
            const [base, top] = chain();
            await putOld(repository, 'old', top, [top.id, base.id]);
            await putOld(repository, 'base', base);
            await storage.driver.delete(layout.tag(parseRepositoryName(repository), parseTag('base')));
            assert.equal((await request(reader, 'GET', `/v1/repositories/${repository}/${path}`)).status, 200);
            await assertRead(200, top.id, base.id);
            await remove(`/v1/repositories/${repository}/tags/old`);
            await assertGone(repository, top.id, base.id);
          }
        });

        it('stay readable when an image that another repository built on them is deleted', async () => {
          const [repository, elsewhere] = [newRepository(), newRepository()];
          const base = newImage();
          await putOld(repository, 'old', base);
          if (kind.includes('some')) assert.equal((await v1.pull(repository, 'old')).length, 1);
          await pushV1(elsewhere, ['latest'], [base, newImage({ parent: base })]);
          await remove(`/v1/repositories/${elsewhere}/`);
          assert.equal((await v1.pull(repository, 'old')).length, 1);
          await assertRead(200, base.id);
        });

        it('are not granted by what version 0.1.0 wrote', async () => {
          const repository = newRepository();
          const image = newImage();
          await putOld(repository, 'old', image);
          await storage.put(`oci/images/${image.id}/repositories/${repository.replace('/', '%2F')}`, '');
          await assertRead(404, image.id);
          assert.equal((await v1.pull(repository, 'old')).length, 1);
          await assertRead(200, image.id);
          await remove(`/v1/repositories/${repository}/tags/old`);
          await assertGone(repository, image.id);
        });
      });

      describe('whose manifest is deleted while a client asks for it by tag', () => {
        const digestOf = (digest: string) => parseDigest(digest);
        const isManifest = (repository: string, digest: string) => (key: Key) =>
          key === layout.manifest(parseRepositoryName(repository), digestOf(digest));

        it('are unknown, and no conversion is made in place of the manifest', async () => {
          const repository = newRepository();
          const { digest, top } = await pushV2(repository, 'latest', `base of ${repository}`, 'top');
          const keysOf = async () => [
            ...(await storage.keysBelow(`oci/repositories/${repository}/`)),
            ...(await storage.keysBelow(`oci/images/${top}/`)),
          ];
          const before = await keysOf();
          onRead = {
            isMeant: isManifest(repository, digest),
            act: () => remove(`/v2/${repository}/manifests/${digest}`),
          };
          const response = await request(reader, 'GET', `/v2/${repository}/manifests/latest`);
          assert.equal(onRead, undefined);
          assert.equal(response.status, 404, await response.text());
          const written = (await keysOf()).filter((key) => !before.includes(key));
          // The deletion is recorded in the history of the tag; the facts of the push may be written only now.
          const isRecord = (key: string) =>
            /\/(history|facts)\//.test(key.slice(`oci/repositories/${repository}`.length));
          assert.deepEqual(
            written.filter((key) => !isRecord(key)),
            [],
          );
        });

        it('are replaced by what the tag names since', async () => {
          const repository = newRepository();
          const { digest } = await pushV2(repository, 'latest', `first of ${repository}`);
          let next = '';
          onRead = {
            isMeant: isManifest(repository, digest),
            act: async () => {
              next = (await pushV2(repository, 'latest', `second of ${repository}`)).digest;
              await remove(`/v2/${repository}/manifests/${digest}`);
            },
          };
          const response = await request(reader, 'GET', `/v2/${repository}/manifests/latest`);
          assert.equal(response.status, 200, await response.text());
          assert.equal(response.headers.get('Docker-Content-Digest'), next);
        });

        it('are not converted while another tag names them', async () => {
          const repository = newRepository();
          const { digest, top } = await pushV2(repository, 'latest', `base of ${repository}`, 'top');
          await remove(`/v2/${repository}/manifests/${digest}`);
          await storage.put(`repositories/${repository}/tag_left`, top);
          const before = await storage.keysBelow(`oci/repositories/${repository}/`);
          assert.equal((await request(reader, 'GET', `/v2/${repository}/manifests/left`)).status, 404);
          assert.deepEqual(await storage.keysBelow(`oci/repositories/${repository}/`), before);
          assert.equal((await request(reader, 'GET', `/v1/repositories/${repository}/tags/left`)).status, 404);
          await assertRead(404, top);
        });
      });

      it('that several projections share are gone with the last of these', async () => {
        const [one, other] = [newRepository(), newRepository()];
        const shared = `shared base of ${one}`;
        const first = await pushV2(one, 'latest', shared, 'one');
        const second = await pushV2(other, 'latest', shared, 'other');
        assert.equal(first.base, second.base);
        await remove(`/v2/${one}/manifests/${first.digest}`);
        await assertGone(one, first.top);
        await assertRead(200, first.base, second.top);
        await remove(`/v2/${other}/manifests/${second.digest}`);
        await assertGone(one, first.base, first.top, second.top);
      });

      it('cannot be the base of a v1 push any more, but stay readable under an existing tag', async () => {
        const [source, target] = [newRepository(), newRepository()];
        const { top, base, digest } = await pushV2(source, 'latest', `base of ${source}`, 'top');
        const images = await v1.pull(source, 'latest');
        const child = newImage({ parent: images.at(-1) ?? assert.fail() });
        await pushV1(target, ['built'], [...images, child]);
        await remove(`/v2/${source}/manifests/${digest}`);
        await assertRead(200, child.id, top, base);
        assert.equal((await v1.pull(target, 'built')).length, 3);
        assert.equal((await request(reader, 'GET', `/v2/${target}/manifests/built`)).status, 200);
        await remove(`/v1/repositories/${target}/`);
        await assertGone(target, child.id, top, base);
      });

      if (kind !== 'without logins') {
        it('are gone only for callers who may pull from no other repository that holds them', async () => {
          const mine = newRepository();
          const theirs = `other/${newImageId().slice(0, 8)}`;
          const mallory = basic('mallory');
          const contents = [`base of ${mine}`, 'top'];
          const { top, base, digest } = await pushV2(mine, 'latest', ...contents);
          await pushImage(new V2Client(server.url, mallory), theirs, 'latest', { contents });
          await server.idle();
          await remove(`/v2/${mine}/manifests/${digest}`);
          const isRoot = kind.includes('everywhere');
          for (const id of [top, base]) {
            await assertRead(isRoot ? 200 : 404, id);
            for (const from of [server, reader]) {
              assert.equal((await request(from, 'GET', `/v1/images/${id}/json`, undefined, mallory)).status, 200);
            }
          }
        });
      }
    });
  }
}
