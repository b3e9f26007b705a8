import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Key, layout } from '../../../lib/model/layout.ts';
import { parseRepositoryName } from '../../../lib/model/names.ts';
import type { OpenedStorage } from '../../storage/open.ts';
import { type RegistryServer, startRegistry } from '../../support/registry-server.ts';
import { V1Client } from '../../support/v1-client.ts';
import { newImage } from '../../v1/use-registry.ts';
import { V2Client } from '../../v2/client.ts';
import { pushImage } from '../../v2/image.ts';
import { Interceptor } from '../interceptor.ts';

/** A repository exists as long as it has a tag or a manifest. */
export function leftoversSuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`on ${name}, a repository without tags and manifests`, () => {
    let storage: OpenedStorage;
    let interceptor: Interceptor;
    let server: RegistryServer;
    let client: V2Client;
    let v1: V1Client;
    before(async () => {
      storage = await open();
      interceptor = new Interceptor(storage.driver);
      server = await startRegistry(interceptor.driver, { hasSearch: true });
      client = new V2Client(server.url);
      v1 = new V1Client(server.url);
    });
    after(async () => {
      await server.stop();
      await storage.close();
    });

    const statusOf = async (method: string, path: string) => (await client.send(method, path)).status;
    const lists = async (repository: string) => {
      await server.idle();
      const catalog = (await (await client.send('GET', '/v2/_catalog')).json()) as { repositories: string[] };
      const search = (await (await client.send('GET', `/v1/search?q=${repository}`)).json()) as {
        results: { name: string }[];
      };
      return {
        catalog: catalog.repositories.includes(repository),
        search: search.results.some((result) => result.name === repository),
        tags: await statusOf('GET', `/v2/${repository}/tags/list`),
        v1Tags: await statusOf('GET', `/v1/repositories/${repository}/tags`),
        v1Images: await statusOf('GET', `/v1/repositories/${repository}/images`),
      };
    };
    const UNLISTED = { catalog: false, search: false, tags: 404, v1Tags: 404, v1Images: 404 };
    const LISTED = { catalog: true, search: true, tags: 200, v1Tags: 200, v1Images: 200 };
    const keysOf = async (repository: string): Promise<string[]> => {
      const objects = await Array.fromAsync(storage.driver.list(layout.repository(parseRepositoryName(repository))));
      return objects.map(({ key }) => key);
    };
    const makePrivate = (repository: string) =>
      client.send('PUT', `/v1/repositories/${repository}/properties`, { body: '{"access":"private"}' });

    it('is in no list after its only manifest is deleted', async () => {
      const { digest } = await pushImage(client, 'left/digest', 'latest', { contents: ['digest'] });
      await makePrivate('left/digest');
      assert.deepEqual(await lists('left/digest'), LISTED);
      assert.equal(await statusOf('DELETE', `/v2/left/digest/manifests/${digest}`), 202);
      assert.deepEqual(await lists('left/digest'), UNLISTED);
      assert.deepEqual(await keysOf('left/digest'), []);
    });

    it('is in no list after its tags and then its manifests are deleted', async () => {
      const images = ['one', 'two'].map((tag) => pushImage(client, 'left/both', tag, { contents: [tag] }));
      const digests = (await Promise.all(images)).map(({ digest }) => digest);
      for (const tag of ['one', 'two']) assert.equal(await statusOf('DELETE', `/v2/left/both/manifests/${tag}`), 202);
      const untagged = await lists('left/both');
      assert.deepEqual([untagged.catalog, untagged.tags], [true, 200], 'listed as long as it has manifests');
      for (const digest of digests) assert.equal(await statusOf('DELETE', `/v2/left/both/manifests/${digest}`), 202);
      assert.deepEqual(await lists('left/both'), UNLISTED);
      assert.deepEqual(await keysOf('left/both'), []);
    });

    it('is in no list after v1 has deleted its last tag', async () => {
      const image = newImage();
      await v1.push('left/v1', [image], { latest: image.id, other: image.id });
      for (const tag of ['latest', 'other']) {
        assert.deepEqual(await lists('left/v1'), LISTED);
        assert.equal(await statusOf('DELETE', `/v1/repositories/left/v1/tags/${tag}`), 200);
      }
      assert.deepEqual(await lists('left/v1'), UNLISTED);
      assert.deepEqual(await keysOf('left/v1'), []);
    });

    it('is listed during a v1 push, from the announcement of the images on', async () => {
      await client.send('PUT', '/v1/repositories/left/announced/', { body: '[{"id":"x"}]' });
      const { catalog, v1Images } = await lists('left/announced');
      assert.deepEqual([catalog, v1Images], [true, 200]);
    });

    it('is listed, with all its objects, if it is pushed again before the leftovers are deleted', async () => {
      const { digest, manifest } = await pushImage(client, 'left/again', 'latest', { contents: ['again'] });
      await server.idle();
      const index = layout.indexImages(parseRepositoryName('left/again'));
      const next = await pushImage(client, 'left/elsewhere', 'latest', { contents: ['again', 'and again'] });
      interceptor.before(
        'delete',
        (key: Key) => key === index,
        async () => {
          await pushImage(client, 'left/again', 'next', { contents: ['again', 'and again'] });
          await server.idle();
        },
      );
      assert.equal(await statusOf('DELETE', `/v2/left/again/manifests/${digest}`), 202);
      assert.deepEqual(await lists('left/again'), LISTED);
      const images = await client.send('GET', '/v1/repositories/left/again/images');
      assert.deepEqual(await images.json(), [{ id: next.digest.slice('sha256:'.length) }]);
      assert.equal((await client.pushManifest('left/again', 'latest', manifest)).status, 201);
    });

    it('is listed again after the next push', async () => {
      const { digest } = await pushImage(client, 'left/twice', 'latest', { contents: ['twice'] });
      assert.equal(await statusOf('DELETE', `/v2/left/twice/manifests/${digest}`), 202);
      await server.idle();
      await pushImage(client, 'left/twice', 'latest', { contents: ['twice'] });
      assert.deepEqual(await lists('left/twice'), LISTED);
    });
  });
}
