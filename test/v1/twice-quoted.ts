import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Key, type KeyPrefix, parseTagKey } from '../../lib/model/layout.ts';
import { mergeTwiceQuoted } from '../../lib/registry/old-buckets/merge-twice-quoted.ts';
import { assembleRegistry } from '../../lib/registry/registry.ts';
import { alterDriver } from '../storage/altered-driver.ts';
import { V1Client } from '../support/v1-client.ts';
import { assertError } from './send.ts';
import { newImage, type OpenStorage, useRegistry, useStorage } from './use-registry.ts';

/** Names with three components, as docker-registry 0.9 stored them: `a/b/c` in `a/b%252Fc`. */
export function v1TwiceQuotedSuite(name: string, open: OpenStorage): void {
  describe(`names that docker-registry 0.9 quoted twice, on ${name}`, () => {
    const storage = useStorage(open);
    const registry = useRegistry(storage, { settings: { hasSearch: true } });
    const image = newImage();
    let count = 0;

    /** A repository with the tags `latest` and `old`, in the folder of 0.9. */
    const newOld = async (): Promise<{ name: string; old: string; own: string }> => {
      const part = `old${count++}`;
      const old = `repositories/three/${part}%252Fc`;
      if (count === 1) {
        for (const [key, content] of Object.entries({
          json: image.json,
          layer: image.layer,
          ancestry: `["${image.id}"]`,
        })) {
          await storage.put(`images/${image.id}/${key}`, content);
        }
      }
      for (const tag of ['latest', 'old']) {
        await storage.put(`${old}/tag_${tag}`, image.id);
        await storage.put(`${old}/tag${tag}_json`, '{"os": "linux"}');
      }
      await storage.put(`${old}/json`, '{"os": "linux"}');
      await storage.put(`${old}/_index_images`, `[{"id": "${image.id}"}]`);
      return { name: `three/${part}/c`, old, own: `repositories/three/${part}%2Fc` };
    };
    const contentBelow = async (prefix: string) =>
      await Promise.all((await storage.keysBelow(prefix)).map(async (key) => [key, await storage.textOf(key)]));
    const tagsOf = async (repository: string) => await registry.read(`/v1/repositories/${repository}/tags`);
    const manifestOf = (repository: string, tag: string) => registry.send('GET', `/v2/${repository}/manifests/${tag}`);

    it('are read without adoption, by v1 and v2, and do not change', async () => {
      const { name, old, own } = await newOld();
      const before = await contentBelow(`${old}/`);
      const path = `/v1/repositories/${name}`;
      assert.deepEqual(await tagsOf(name), { latest: image.id, old: image.id });
      assert.equal(await registry.read(`${path}/tags/old`), image.id);
      assert.deepEqual(await registry.read(`${path}/tags/old/json`), { os: 'linux' });
      assert.deepEqual(await registry.read(`${path}/json`), { os: 'linux' });
      assert.deepEqual(await registry.read(`${path}/images`), [{ id: image.id }]);
      assert.equal((await manifestOf(name, 'latest')).status, 200);
      assert.deepEqual(await registry.read(`/v2/${name}/tags/list`), { name, tags: ['latest', 'old'] });
      assert.equal((await new V1Client(registry.url).pull(name, 'latest')).length, 1);
      assert.deepEqual(await contentBelow(`${old}/`), before);
      assert.deepEqual(await storage.keysBelow(`${own}/`), []);
    });

    it('are in the catalog and the search under their one name, once, in order', async () => {
      const { name, own } = await newOld();
      await storage.put('repositories/three/zz/tag_latest', image.id);
      await storage.put('repositories/three/aa/tag_latest', image.id);
      await storage.put(`${own}/tag_new`, image.id);
      const listed = async () => {
        const { repositories } = (await registry.read('/v2/_catalog?n=1000')) as { repositories: string[] };
        const { results } = (await registry.read('/v1/search?n=100&q=three/')) as { results: { name: string }[] };
        return [repositories, results.map((result) => result.name)];
      };
      for (const names of await listed()) {
        assert.deepEqual(
          names.filter((one) => one === name),
          [name],
        );
        assert.deepEqual(
          names.filter((one) => one.includes('%')),
          [],
        );
        assert.deepEqual(names, names.toSorted());
      }
    });

    it('take pushes under their one name, beside what 0.9 wrote, which stays', async () => {
      const { name, old, own } = await newOld();
      const before = await contentBelow(`${old}/`);
      const child = newImage({ parent: image });
      await new V1Client(registry.url).push(name, [image, child], { latest: child.id, new: child.id });
      assert.deepEqual(await tagsOf(name), { latest: child.id, new: child.id, old: image.id });
      assert.deepEqual(await registry.read(`/v2/${name}/tags/list`), { name, tags: ['latest', 'new', 'old'] });
      const index = (await registry.read(`/v1/repositories/${name}/images`)) as { id: string }[];
      assert.deepEqual(new Set(index.map(({ id }) => id)), new Set([image.id, child.id]));
      assert.deepEqual(await contentBelow(`${old}/`), before);
      assert.equal(await storage.textOf(`${own}/tag_latest`), child.id);
      assert.equal(await storage.textOf(`${own}/tag_old`), undefined);
    });

    it('show nothing of what was deleted, before or after a push', async () => {
      const { name } = await newOld();
      assert.equal((await registry.send('DELETE', `/v1/repositories/${name}/tags/old`)).status, 200);
      assert.deepEqual(await tagsOf(name), { latest: image.id });
      await registry.tag(name, 'latest', image.id);
      assert.equal((await registry.send('DELETE', `/v2/${name}/manifests/latest`)).status, 202);
      assert.deepEqual(await tagsOf(name).catch(() => ({})), {});
      assert.equal((await manifestOf(name, 'latest')).status, 404);
    });

    it('are deleted as a whole', async () => {
      const { name, old, own } = await newOld();
      await registry.tag(name, 'new', image.id);
      assert.equal((await registry.send('DELETE', `/v1/repositories/${name}/`)).status, 200);
      assert.deepEqual([await storage.keysBelow(`${old}/`), await storage.keysBelow(`${own}/`)], [[], []]);
      assert.equal((await registry.send('GET', `/v1/repositories/${name}/tags`)).status, 404);
    });

    it('show the same after adopt has copied them', async () => {
      const { name, own } = await newOld();
      const before = await tagsOf(name);
      const { adoption } = assembleRegistry(storage.driver, { copiesLayers: false });
      await adoption.copyTwiceQuoted((await adoption.findTwiceQuoted()).filter(({ to }) => to.startsWith(`${own}/`)));
      assert.equal(await storage.textOf(`${own}/tag_old`), image.id);
      assert.deepEqual(await tagsOf(name), before);
      assert.equal((await registry.send('DELETE', `/v1/repositories/${name}/tags/old`)).status, 200);
      assert.deepEqual(await tagsOf(name), { latest: image.id });
    });

    it('cannot be reached by the name of the folder, to which other access rules might apply', async () => {
      const { name } = await newOld();
      const quoted = name.replace(/\/c$/, '%252Fc');
      assertError(
        await registry.send('GET', `/v1/repositories/${quoted}/tags`),
        400,
        `invalid repository name "${name.replace(/\/c$/, '%2Fc')}"`,
      );
    });

    it('are the names in events about their folder', () => {
      const expected = { repository: 'three/b/c', tag: 'x' };
      for (const folder of ['three/b%2Fc', 'three/b%252Fc']) {
        assert.deepEqual(parseTagKey(`repositories/${folder}/tag_x`), expected);
      }
    });

    describe('to storage', () => {
      const counted = (requests: string[]) =>
        mergeTwiceQuoted(
          alterDriver(storage.driver, (original) => ({
            head(key) {
              requests.push(`head ${key}`);
              return original.head(key);
            },
            read(key) {
              requests.push(`read ${key}`);
              return original.read(key);
            },
            list(prefix, options) {
              requests.push(`list ${prefix}`);
              return original.list(prefix, options);
            },
          })),
        );
      const key = (text: string) => text as Key;

      it('cost one more request for a missing object, once, and none for a hit or a name with two components', async () => {
        const requests: string[] = [];
        const driver = counted(requests);
        await storage.put('repositories/cost/b%2Fc/tag_x', image.id);
        for (let round = 0; round < 2; round++) {
          await driver.read(key('repositories/cost/b%2Fc/tag_x'));
          await driver.read(key('repositories/cost/two/tag_none'));
          await Array.fromAsync(driver.list('repositories/cost/two/tag_' as KeyPrefix));
        }
        assert.deepEqual(requests.length, 6);
        requests.length = 0;
        for (let round = 0; round < 2; round++) await driver.read(key('repositories/cost/b%2Fc/tag_none'));
        assert.deepEqual(requests, [
          'read repositories/cost/b%2Fc/tag_none',
          'list repositories/cost/b%252Fc/',
          'read repositories/cost/b%2Fc/tag_none',
        ]);
      });

      it('honour conditions: an object in the old folder is not absent, and its ETag matches only itself', async () => {
        const driver = counted([]);
        const tag = key('repositories/conditions/b%2Fc/tag_x');
        await storage.put('repositories/conditions/b%252Fc/tag_x', image.id);
        const bytes = Buffer.from('f'.repeat(64));
        assert.equal(await driver.put(tag, bytes, { ifAbsent: true }), undefined);
        const found = await driver.head(tag);
        assert.ok(found && found.key === tag);
        assert.ok(await driver.put(tag, bytes, { ifMatch: found.etag }));
        assert.equal(await driver.put(tag, bytes, { ifMatch: found.etag }), undefined);
        assert.equal(await driver.delete(tag, { ifMatch: found.etag }), false);
        assert.equal(await storage.textOf('repositories/conditions/b%252Fc/tag_x'), image.id);
      });

      it('are listed in key order, after a given key, each once', async () => {
        const driver = counted([]);
        for (const folder of ['b', 'b%2525', 'b%252Fa', 'b%252Fz', 'b%2Ba', 'b%2Fa', 'b%2Fm', 'b-x']) {
          await storage.put(`repositories/ordered/${folder}/tag_x`, image.id);
        }
        const folders = async (after?: string) =>
          await Array.fromAsync(driver.listFolders('repositories/ordered/' as KeyPrefix, after ? { after } : {}));
        const all = await folders();
        const names = ['b', 'b%25', 'b%2Ba', 'b%2Fa', 'b%2Fm', 'b%2Fz', 'b-x'].map(
          (one) => `repositories/ordered/${one}/`,
        );
        assert.deepEqual(all, names.toSorted());
        for (const [at, folder] of all.entries()) {
          if (folder.includes('%')) assert.deepEqual(await folders(folder), all.slice(at + 1));
        }
        for (const tag of ['1', '3', '5']) await storage.put(`repositories/merged/b%252Fc/tag_${tag}`, image.id);
        for (const tag of ['2', '3', '6']) await storage.put(`repositories/merged/b%2Fc/tag_${tag}`, 'e'.repeat(64));
        const prefix = 'repositories/merged/b%2Fc/tag_';
        const listed = async (after?: Key) =>
          (await Array.fromAsync(driver.list(prefix as KeyPrefix, after ? { after } : {}))).map((info) =>
            info.key.slice(prefix.length),
          );
        assert.deepEqual(await listed(), ['1', '2', '3', '5', '6']);
        assert.deepEqual(await listed(key(`${prefix}2`)), ['3', '5', '6']);
      });
    });
  });
}
