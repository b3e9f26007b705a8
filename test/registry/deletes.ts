import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { layout } from '../../lib/model/layout.ts';
import { parseDigest, parseImageId, parseRepositoryName, parseTag } from '../../lib/model/names.ts';
import type { OpenedStorage } from '../storage/open.ts';
import { V1Client } from '../support/v1-client.ts';
import { newImage } from '../v1/use-registry.ts';
import { pushImage } from '../v2/image.ts';
import { useInterceptedRegistry } from './intercepted-registry.ts';

/** A deletion removes what it has read, and nothing that a push has written since. */
export function deleteSuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`on ${name}, a deletion`, () => {
    const registry = useInterceptedRegistry(open);

    const tagsOf = async (repository: string) => {
      const { client } = registry();
      const list = await client.send('GET', `/v2/${repository}/tags/list`);
      if (list.status === 404) return {};
      const { tags } = (await list.json()) as { tags: string[] };
      const digests = tags.map(async (tag) => {
        const manifest = await client.send('GET', `/v2/${repository}/manifests/${tag}`);
        return [tag, manifest.status === 200 ? manifest.headers.get('Docker-Content-Digest') : manifest.status];
      });
      return Object.fromEntries(await Promise.all(digests));
    };
    const tagKey = (repository: string, tag: string) => layout.tag(parseRepositoryName(repository), parseTag(tag));

    it('of a tag keeps the tag if it is moved meanwhile', async () => {
      const { interceptor, client } = registry();
      const repository = 'deletes/tag';
      await pushImage(client, repository, 'latest', { contents: ['old'] });
      const { digest, manifest } = await pushImage(client, repository, 'next', { contents: ['new'] });
      const key = tagKey(repository, 'latest');
      interceptor.before(
        'delete',
        (deleted) => deleted === key,
        () => client.pushManifest(repository, 'latest', manifest),
      );
      await client.send('DELETE', `/v2/${repository}/manifests/latest`);
      assert.deepEqual(await tagsOf(repository), { latest: digest, next: digest });
    });

    it('of a manifest deletes the tags that name it, but not one that is moved meanwhile', async () => {
      const { interceptor, client } = registry();
      const repository = 'deletes/manifest';
      const old = await pushImage(client, repository, 'a', { contents: ['old'] });
      await client.pushManifest(repository, 'b', old.manifest);
      const { digest, manifest } = await pushImage(client, repository, 'c', { contents: ['new'] });
      const key = tagKey(repository, 'b');
      interceptor.before(
        'delete',
        (deleted) => deleted === key,
        () => client.pushManifest(repository, 'b', manifest),
      );
      const deleted = await client.send('DELETE', `/v2/${repository}/manifests/${old.digest}`);
      assert.equal(deleted.status, 202);
      assert.deepEqual(await tagsOf(repository), { b: digest, c: digest });
    });

    it('of a manifest that is pushed again meanwhile leaves no tag without a manifest', async () => {
      const { interceptor, client } = registry();
      const repository = 'deletes/again';
      const { digest, manifest } = await pushImage(client, repository, 'a', { contents: ['one'] });
      const key = layout.manifest(parseRepositoryName(repository), parseDigest(digest));
      interceptor.before(
        'delete',
        (deleted) => deleted === key,
        () => client.pushManifest(repository, 'b', manifest),
      );
      await client.send('DELETE', `/v2/${repository}/manifests/${digest}`);
      assert.deepEqual(await tagsOf(repository), { b: digest });
    });

    it('of a manifest during its push leaves no tag without a manifest', async () => {
      const { interceptor, client } = registry();
      const repository = 'deletes/middle';
      const image = await pushImage(client, repository, 'image', { contents: ['one'] });
      const subject = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: image.digest, size: 1 };
      const manifest = { ...image.manifest, subject };
      const digest = (await client.pushManifest(repository, 'a', manifest)).headers.get('Docker-Content-Digest');
      const key = tagKey(repository, 'b');
      interceptor.before(
        'put',
        (put) => put === key,
        () => client.send('DELETE', `/v2/${repository}/manifests/${digest}`),
      );
      await client.pushManifest(repository, 'b', manifest);
      assert.deepEqual(await tagsOf(repository), { b: digest, image: image.digest });
      const referrers = await client.send('GET', `/v2/${repository}/referrers/${subject.digest}`);
      const { manifests } = (await referrers.json()) as { manifests: { digest: string }[] };
      assert.deepEqual(
        manifests.map((referrer) => referrer.digest),
        [digest],
      );
    });

    it('of a conversion deletes the tags of its v1 images, and reads no other conversion', async () => {
      const { client, storage, reads } = registry();
      const repository = 'deletes/conversion';
      const v1 = new V1Client(registry().url);
      const source = newImage();
      await v1.push(repository, [source], { one: source.id, two: source.id });
      const others = Array.from({ length: 20 }, () => newImage());
      for (const [index, image] of others.entries())
        await v1.push(repository, [image], { [`other-${index}`]: image.id });
      const made = await client.send('HEAD', `/v2/${repository}/manifests/one`);
      const digest = made.headers.get('Docker-Content-Digest') ?? '';
      reads.length = 0;
      assert.equal((await client.send('DELETE', `/v2/${repository}/manifests/${digest}`)).status, 202);
      const readConversions = reads.filter((key) => /^oci\/images\/.*manifest\.json$/.test(key));
      assert.deepEqual(readConversions, [layout.conversion(parseImageId(source.id))]);
      for (const tag of ['one', 'two'])
        assert.equal(await storage.head(tagKey(repository, tag)), undefined, `${tag} is deleted`);
      assert.ok(await storage.head(tagKey(repository, 'other-3')));
      assert.equal((await client.send('HEAD', `/v2/${repository}/manifests/other-3`)).status, 200);
    });

    it('of a conversion without a source record deletes the tags of its v1 images too', async () => {
      const { client, storage } = registry();
      const repository = 'deletes/no-source-record';
      const source = newImage();
      await new V1Client(registry().url).push(repository, [source], { one: source.id });
      const made = await client.send('HEAD', `/v2/${repository}/manifests/one`);
      const digest = parseDigest(made.headers.get('Docker-Content-Digest') ?? '');
      await storage.delete(layout.conversionSource(digest, parseImageId(source.id)));
      assert.equal((await client.send('DELETE', `/v2/${repository}/manifests/${digest}`)).status, 202);
      assert.equal(await storage.head(tagKey(repository, 'one')), undefined);
    });

    it('of a repository leaves no tag without a manifest if the same manifest is pushed meanwhile', async () => {
      const { interceptor, client } = registry();
      const repository = 'deletes/repository';
      const { digest, manifest } = await pushImage(client, repository, 'a', { contents: ['one'] });
      const other = await pushImage(client, repository, 'other', { contents: ['one', 'two'] });
      await client.send('DELETE', `/v2/${repository}/manifests/${other.digest}`);
      const key = layout.manifest(parseRepositoryName(repository), parseDigest(digest));
      interceptor.before(
        'delete',
        (deleted) => deleted === key,
        async () => {
          await client.pushManifest(repository, 'same', manifest);
          await client.pushManifest(repository, 'other', other.manifest);
        },
      );
      const deleted = await client.send('DELETE', `/v1/repositories/${repository}/`);
      assert.equal(deleted.status, 200);
      assert.deepEqual(await tagsOf(repository), {});
    });

    it('of a repository keeps an image that is pushed meanwhile', async () => {
      const { interceptor, client } = registry();
      const repository = 'deletes/whole';
      const { digest } = await pushImage(client, repository, 'a', { contents: ['one'] });
      const key = layout.manifest(parseRepositoryName(repository), parseDigest(digest));
      let pushed = '';
      interceptor.before(
        'delete',
        (deleted) => deleted === key,
        async () => {
          pushed = (await pushImage(client, repository, 'b', { contents: ['two'] })).digest;
        },
      );
      await client.send('DELETE', `/v1/repositories/${repository}/`);
      assert.deepEqual(await tagsOf(repository), { b: pushed });
    });
  });
}
