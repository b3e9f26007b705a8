import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { tar } from '../support/tar.ts';
import { payloadSum, V1Client, type V1Image } from '../support/v1-client.ts';
import { assertError } from './send.ts';
import { newImage, newImageId, type OpenStorage, type TestStorage, useRegistry, useStorage } from './use-registry.ts';

const TARSUM = `tarsum+sha256:${'1'.repeat(64)}`;

/** Buckets that docker-registry wrote. */
export function v1OldBucketsSuite(name: string, open: OpenStorage): void {
  describe(`v1 of an old bucket on ${name}`, () => {
    const storage = useStorage(open);
    const registry = useRegistry(storage, { settings: { hasSearch: true } });

    const SUM = `sha256:${'0'.repeat(64)}`;
    for (const [title, content, sums] of [
      ['bare', SUM, [SUM]],
      ['bare, with a newline', `${SUM}\n`, [SUM]],
      ['bare, a TarSum', TARSUM, [TARSUM]],
      ['in an array', `["${SUM}"]`, [SUM]],
      ['both, in an array', `["${SUM}", "${TARSUM}"]`, [SUM, TARSUM]],
      ['in an array, with a newline', `["${SUM}"]\n`, [SUM]],
      ['in an empty array', '[]', []],
      ['in an array with other things', `["${SUM}", 1, null]`, [SUM]],
      ['empty', '', []],
      ['missing', undefined, []],
    ] as const) {
      it(`a stored checksum that is ${title} is served as ${sums.length} checksums`, async () => {
        const image = newImage();
        await putImage(storage, image, content === undefined ? {} : { _checksum: content });
        const answer = await registry.send('GET', `/v1/images/${image.id}/json`);
        assert.equal(answer.status, 200);
        // One header line for each, or one with a list: HTTP treats them the same.
        assert.deepEqual(answer.lines('X-Docker-Checksum-Payload').join(', '), sums.join(', '));
        assert.equal(answer.lines('X-Docker-Checksum-Payload').length > 0, sums.length > 0);
        assert.equal(answer.header('X-Docker-Size'), String(image.layer.length));
      });
    }

    it('a wrong stored checksum does not complete an image with _inprogress', async () => {
      const image = newImage();
      await putImage(storage, image, { _checksum: TARSUM, _inprogress: 'true' });
      assertError(
        await registry.send('GET', `/v1/images/${image.id}/json`),
        400,
        'Image is being uploaded, retry later',
      );
      await registry.push(image);
      const answer = await registry.send('GET', `/v1/images/${image.id}/json`);
      assert.deepEqual(answer.lines('X-Docker-Checksum-Payload'), [payloadSum(image.json, image.layer)]);
    });

    describe('a bucket of 0.6.5', () => {
      const base = newImage({ layer: tar([{ path: 'etc/issue', content: Buffer.from('plain tar\n') }]) });
      const top = newImage({ parent: base });
      const index = `[{"id": "${base.id}", "checksum": "${TARSUM}"}, {"Tag": "latest", "id": "${top.id}"}]`;
      const FOLDER = 'repositories/library/old';
      before(async () => {
        await putImage(storage, base, { _checksum: TARSUM, _files: '[["/etc/issue", "f", false, 10, 0, 420, 0, 0]]' });
        await putImage(storage, top, { _checksum: TARSUM, ancestry: `["${top.id}", "${base.id}"]` });
        await storage.put(`${FOLDER}/tag_latest`, top.id);
        await storage.put(`${FOLDER}/tag_v1`, top.id);
        await storage.put(`${FOLDER}/json`, '{"docker_version": "0.7.6", "last_update": 1390000000, "os": "linux"}');
        await storage.put(`${FOLDER}/_index_images`, index);
        await storage.put(`${FOLDER}/_images_list`, `["${base.id}", "${top.id}"]`);
      });

      const routes: [path: string, expected: unknown][] = [
        ['/v1/repositories/old/images', JSON.parse(index)],
        ['/v1/repositories/old/tags', { latest: top.id, v1: top.id }],
        ['/v1/repositories/old/tags/latest', top.id],
        ['/v1/repositories/old/tags/v1/json', JSON.parse(UNKNOWN)],
        ['/v1/repositories/old/tags/latest/json', JSON.parse(UNKNOWN)],
        ['/v1/repositories/old/json', { docker_version: '0.7.6', last_update: 1390000000, os: 'linux' }],
        ['/v1/repositories/old/properties', { access: 'public' }],
        [
          '/v1/search?q=library/old',
          {
            num_pages: 1,
            num_results: 1,
            page: 1,
            page_size: 25,
            query: 'library/old',
            results: [{ description: '', name: 'library/old' }],
          },
        ],
        [`/v1/images/${top.id}/json`, JSON.parse(Buffer.from(top.json).toString())],
        [`/v1/images/${top.id}/ancestry`, [top.id, base.id]],
        [`/v1/images/${base.id}/ancestry`, [base.id]],
      ];
      for (const [path, expected] of routes) {
        it(`${path.replace(top.id, '<top>').replace(base.id, '<base>')} is read`, async () => {
          assert.deepEqual(await registry.read(path), expected);
          assert.equal((await registry.send('HEAD', path)).status, 200);
        });
      }

      it('layers are read unchanged, in a whole pull too', async () => {
        const pulled = await new V1Client(registry.url).pull('old', 'latest');
        for (const [at, image] of [base, top].entries()) {
          assert.deepEqual(pulled[at]?.id, image.id);
          assert.ok(Buffer.from(image.layer).equals(pulled[at]?.layer ?? []));
          assert.deepEqual(pulled[at]?.checksums, [TARSUM]);
        }
      });

      it('reading changes no object', async () => {
        assert.deepEqual(await storage.keysBelow('repositories/library/old/'), [
          `${FOLDER}/_images_list`,
          `${FOLDER}/_index_images`,
          `${FOLDER}/json`,
          `${FOLDER}/tag_latest`,
          `${FOLDER}/tag_v1`,
        ]);
        assert.equal(await storage.textOf(`${FOLDER}/_index_images`), index);
        assert.equal(await storage.textOf(`images/${base.id}/_checksum`), TARSUM);
      });

      it('its images are complete: a push skips them and builds on them', async () => {
        const client = new V1Client(registry.url);
        const added = newImage({ parent: top });
        await client.push('old', [base, top, added], { latest: added.id });
        assert.equal(await storage.textOf(`images/${base.id}/_checksum`), TARSUM);
        const pulled = await client.pull('old', 'latest');
        assert.deepEqual(
          pulled.map(({ id }) => id),
          [base.id, top.id, added.id],
        );
        const list = (await registry.read('/v1/repositories/old/images')) as { id: string; checksum?: string }[];
        assert.equal(list.find(({ id }) => id === base.id)?.checksum, TARSUM);
        assert.deepEqual(
          list.filter((entry) => 'Tag' in entry),
          [],
        );
      });
    });

    describe('objects of other programs in the bucket', () => {
      const image = newImage();
      const strays = [
        'A1B2C3D4E5F6G7H8',
        'README',
        'logs/2014/05/15.gz',
        'repositories/README',
        'repositories/stray/README',
        'images/README',
        `images/${newImageId()}/README`,
        'images/not-an-id/json',
        'oci/README',
      ];
      before(async () => {
        for (const key of strays) await storage.put(key, 'stray');
        await putImage(storage, image, {});
        await storage.put('repositories/stray/app/tag_latest', image.id);
        await storage.put('repositories/stray/app/README', 'stray');
        await storage.put('repositories/stray/app/tagged', 'stray');
      });

      it('do not disturb listings', async () => {
        await registry.tag('stray/app', 'latest', image.id); // search learns of what others write within a minute
        assert.deepEqual(await registry.read('/v1/repositories/stray/app/tags'), { latest: image.id });
        assert.partialDeepStrictEqual(await registry.read('/v1/search?q=stray'), { num_results: 1 });
        const catalog = await registry.read('/v2/_catalog?n=1000');
        assert.deepEqual(
          (catalog as { repositories: string[] }).repositories.filter((repository) => repository.includes('stray')),
          ['stray/app'],
        );
      });

      it('are neither repository nor image', async () => {
        for (const repository of ['stray', 'stray/README']) {
          assert.equal((await registry.send('GET', `/v1/repositories/${repository}/tags`)).status, 404);
        }
        assertError(await registry.send('GET', '/v1/images/not-an-id/json'), 404, 'Invalid image ID');
      });

      it('do not stop pushes, and stay', async () => {
        const child = newImage({ parent: image });
        await new V1Client(registry.url).push('stray/app', [image, child], { latest: child.id });
        assert.deepEqual(await registry.read('/v1/repositories/stray/app/tags'), { latest: child.id });
        for (const key of strays) assert.equal(await storage.textOf(key), 'stray', key);
      });
    });

    describe('quoted names', () => {
      const image = newImage();
      before(async () => await putImage(storage, image, {}));

      for (const [inUrl, folder, name] of [
        ['a%20b/app', 'a b/app', 'a b/app'],
        ['q/b/c', 'q/b%2Fc', 'q/b/c'],
        ['q/b%2Fd', 'q/b%2Fd', 'q/b/d'],
        ['q/x%25$', 'q/x%25%24', 'q/x%$'],
        ['q/x~', 'q/x%7E', 'q/x~'],
        ['q/x+y', 'q/x%2By', 'q/x+y'],
        ['q/x%20y', 'q/x+y', 'q/x y'],
        ['q/X_y.z-', 'q/X_y.z-', 'q/X_y.z-'],
        ['%C3%BC/%C3%BC', 'ü/%C3%BC', 'ü/ü'],
      ] as const) {
        it(`${name} is stored in ${folder}, as 0.6.5 wrote it`, async () => {
          await storage.put(`repositories/${folder}/tag_1.0+b`, image.id);
          await storage.put(`repositories/${folder}/tag1.0+b_json`, '{"os": "linux"}');
          await storage.put(`repositories/${folder}/_index_images`, `[{"id": "${image.id}"}]`);
          const path = `/v1/repositories/${inUrl}`;
          assert.deepEqual(await registry.read(`${path}/tags`), { '1.0+b': image.id });
          assert.equal(await registry.read(`${path}/tags/1.0+b`), image.id);
          assert.deepEqual(await registry.read(`${path}/tags/1.0+b/json`), { os: 'linux' });
          assert.deepEqual(await registry.read(`${path}/images`), [{ id: image.id }]);
          await registry.tag(inUrl, 'new', image.id);
          assert.equal(await storage.textOf(`repositories/${folder}/tag_new`), image.id);
          const found = await registry.read(`/v1/search?n=100&q=${encodeURIComponent(name)}`);
          assert.ok((found as { results: { name: string }[] }).results.some((result) => result.name === name));
          assert.equal((await registry.send('DELETE', `${path}/`)).status, 200);
          assert.deepEqual(await storage.keysBelow(`repositories/${folder}/`), []);
        });
      }
    });
  });
}

const UNKNOWN =
  '{"arch": "amd64", "docker_go_version": null, "docker_version": null, "kernel": null, "last_update": null, "os": "linux"}';

/** An image as docker-registry stored it, without any object of Stowage. */
async function putImage(
  storage: TestStorage,
  { id, json, layer }: V1Image,
  { ancestry = `["${id}"]`, ...others }: Record<string, string>,
): Promise<void> {
  for (const [part, content] of Object.entries({ json, layer, ancestry, ...others })) {
    await storage.put(`images/${id}/${part}`, content);
  }
}
