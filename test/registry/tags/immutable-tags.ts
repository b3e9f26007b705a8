import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { immutabilityOf } from '../../../lib/config/immutable-tags.ts';
import type { Key } from '../../../lib/model/layout.ts';
import type { OpenedStorage } from '../../storage/contract.ts';
import { type RegistryServer, startRegistry } from '../../support/registry-server.ts';
import { V1Client } from '../../support/v1-client.ts';
import { newImage } from '../../v1/use-registry.ts';
import { codesOf, V2Client } from '../../v2/client.ts';
import { pushImage } from '../../v2/image.ts';

export function immutableTagsSuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`immutable tags on ${name}`, () => {
    let storage: OpenedStorage;
    /** Two processes on one bucket. */
    let servers: RegistryServer[];
    let client: V2Client;
    const manifests: object[] = [];
    before(async () => {
      storage = await open();
      const isImmutable = immutabilityOf([{ repositories: 'prod/*', tags: 'v*' }]);
      servers = await Promise.all([1, 2].map(() => startRegistry(storage.driver, { isImmutable })));
      client = new V2Client(servers[0]?.url ?? assert.fail());
      for (let i = 0; i < 8; i++) {
        manifests.push((await pushImage(client, 'prod/app', undefined, { contents: [`image ${i}`] })).manifest);
      }
    });
    after(async () => {
      for (const server of servers) await server.stop();
      await storage.close();
    });

    const put = (tag: string, index: number, { repository = 'prod/app', server = 0 } = {}) =>
      new V2Client(servers[server]?.url ?? assert.fail()).pushManifest(repository, tag, manifests[index] ?? {});

    it('a push may make one, and push the same again, and not move it', async () => {
      assert.equal((await put('v1', 0)).status, 201);
      assert.equal((await put('v1', 0)).status, 201);
      const refused = await put('v1', 1);
      assert.equal(refused.status, 403);
      const { errors } = (await refused.clone().json()) as { errors: { message: string }[] };
      assert.match(errors[0]?.message ?? '', /v1 of prod\/app is immutable/);
      assert.deepEqual(await codesOf(refused), ['DENIED']);
    });

    it('other tags move, and the same tag elsewhere', async () => {
      for (const index of [0, 1]) assert.equal((await put('latest', index)).status, 201);
    });

    it('a push with several tags moves none that may not', async () => {
      assert.equal((await put('v2', 0)).status, 201);
      const digest = (await client.send('HEAD', '/v2/prod/app/manifests/latest')).headers.get('Docker-Content-Digest');
      assert.equal((await client.pushManifest('prod/app', `${digest}?tag=v2`, manifests[1] ?? {})).status, 403);
      assert.notEqual(
        (await client.send('HEAD', '/v2/prod/app/manifests/v2')).headers.get('Docker-Content-Digest'),
        digest,
      );
    });

    it('a tag that moved beside one that may not is shown by v1 as any other', async () => {
      const { digest, manifest } = await pushImage(client, 'prod/app', undefined, { contents: ['beside'] });
      assert.equal((await client.pushManifest('prod/app', `${digest}?tag=beside&tag=v1`, manifest)).status, 403);
      await servers[0]?.idle();
      assert.ok(await storage.driver.head('repositories/prod/app/tagbeside_json' as Key));
    });

    it('of pushes that come at once, to two processes, one wins', async () => {
      const statuses = await Promise.all(
        manifests.map(async (_, index) => (await put('v-race', index, { server: index % 2 })).status),
      );
      assert.deepEqual(statuses.toSorted(), [201, ...Array.from({ length: 7 }, () => 403)]);
      const winner = statuses.indexOf(201);
      assert.equal((await put('v-race', winner)).status, 201, 'and it is the one that is there');
    });

    it('v1 does not move one either', async () => {
      const [one, other] = [newImage(), newImage()];
      const v1 = new V1Client(servers[0]?.url ?? assert.fail());
      await v1.push('prod/old', [one], { v1: one.id });
      await v1.push('prod/old', [one], { v1: one.id });
      await assert.rejects(v1.push('prod/old', [other], { v1: other.id }), /403 .*v1 of prod\/old is immutable/);
      await assert.rejects(v1.push('prod/app', [other], { v1: other.id }), /403 .*v1 of prod\/app is immutable/);
    });

    /** A manifest that is in no repository yet, with its blobs in `repository`; and a v1 image under its digits. */
    const oneIdForTwo = async (repository: string) => {
      const elsewhere = `elsewhere/${randomBytes(4).toString('hex')}`;
      const { digest, manifest } = await pushImage(client, repository, undefined, { contents: [elsewhere] });
      await pushImage(client, elsewhere, undefined, { contents: [elsewhere] });
      assert.equal((await client.send('DELETE', `/v2/${repository}/manifests/${digest}`)).status, 202);
      return { digest, manifest, elsewhere, image: newImage({ id: digest.slice('sha256:'.length) }) };
    };
    const shown = async (repository: string, tag: string) => {
      const byV2 = await client.send('GET', `/v2/${repository}/manifests/${tag}`);
      const byV1 = await client.send('GET', `/v1/repositories/${repository}/tags/${tag}`);
      return [byV2.status, byV2.headers.get('Docker-Content-Digest'), byV1.status, await byV1.text()];
    };
    const tagByV1 = async (repository: string, tag: string, id: string) => {
      const body = JSON.stringify(id);
      return (await client.send('PUT', `/v1/repositories/${repository}/tags/${tag}`, { body })).status;
    };
    const v1 = () => new V1Client(servers[0]?.url ?? assert.fail());

    it('one that names a v1 image goes on to show it: no manifest of these digits comes to its repository', async () => {
      for (const isAsked of [true, false]) {
        const repository = `prod/digits-${isAsked}`;
        const { digest, manifest, image } = await oneIdForTwo(repository);
        await v1().push(repository, [image], { v1: image.id });
        const before = isAsked && (await shown(repository, 'v1'));
        for (const reference of [digest, `${digest}?tag=latest`, 'v1', 'v2', 'latest']) {
          const refused = await client.pushManifest(repository, reference, manifest);
          assert.equal(refused.status, 403, reference);
          const { errors } = (await refused.json()) as { errors: { code: string; message: string }[] };
          assert.equal(errors[0]?.code, 'DENIED');
          assert.match(errors[0]?.message ?? '', /^v1 of .* is immutable/);
        }
        const after = await shown(repository, 'v1');
        assert.deepEqual([after[0], after[2]], [200, 200]);
        assert.notEqual(after[1], digest);
        if (before) assert.deepEqual(after, before);
      }
    });

    it('nor by way of a view that replaces the image elsewhere', async () => {
      const repository = 'prod/views';
      const { digest, manifest, elsewhere, image } = await oneIdForTwo(repository);
      await v1().push(repository, [image], { v1: image.id });
      const [, before] = await shown(repository, 'v1');
      assert.notEqual(before, digest);
      assert.equal((await client.pushManifest(elsewhere, 'latest', manifest)).status, 201);
      assert.equal((await v1().pull(elsewhere, 'latest')).length, 1);
      assert.deepEqual((await shown(repository, 'v1')).slice(0, 3), [200, before, 404]);
      for (const tag of ['v1', 'v2', 'latest']) assert.equal(await tagByV1(repository, tag, image.id), 403);
      assert.equal((await client.pushManifest(repository, digest, manifest)).status, 403);
      assert.deepEqual((await shown(repository, 'v1')).slice(0, 3), [200, before, 404]);
    });

    it('nor by a manifest that is made of another v1 image', async () => {
      const repository = 'prod/made';
      const source = newImage();
      await v1().push('elsewhere/made', [source], { latest: source.id });
      const made = (await client.send('HEAD', '/v2/elsewhere/made/manifests/latest')).headers;
      const image = newImage({ id: made.get('Docker-Content-Digest')?.slice('sha256:'.length) ?? '' });
      await v1().push(repository, [image], { v1: image.id });
      const before = await shown(repository, 'v1');
      assert.equal(await tagByV1(repository, 'other', source.id), 200);
      assert.equal((await client.send('GET', `/v2/${repository}/manifests/other`)).status, 404);
      assert.deepEqual(await shown(repository, 'v1'), before);
    });

    it('one that names a manifest goes on to show that, whatever is pushed by v1 under its digits', async () => {
      const repository = 'prod/reverse';
      const { digest, manifest, image } = await oneIdForTwo(repository);
      assert.equal((await client.pushManifest(repository, digest, manifest)).status, 201);
      await v1().push(repository, [image], { v1: image.id });
      const before = await shown(repository, 'v1');
      assert.deepEqual(before, [200, digest, 200, JSON.stringify(image.id)]);
      assert.equal((await v1().pull(repository, 'v1')).length, 1);
      assert.equal((await client.pushManifest(repository, 'v1', manifest)).status, 201);
      assert.deepEqual(await shown(repository, 'v1'), before);
    });

    it('tags that may move do', async () => {
      const repository = 'dev/digits';
      const { digest, manifest, image } = await oneIdForTwo(repository);
      await v1().push(repository, [image], { v1: image.id });
      assert.equal((await client.pushManifest(repository, digest, manifest)).status, 201);
      assert.equal((await shown(repository, 'v1'))[1], digest);
    });

    it('a view that replaced nothing may be tagged by v1, and its manifest pushed', async () => {
      const { digest, manifest } = await pushImage(client, 'dev/promoted', 'latest', { contents: ['promoted'] });
      const images = await v1().pull('dev/promoted', 'latest');
      const id = digest.slice('sha256:'.length);
      await v1().push('prod/promoted', images, { latest: id });
      await pushImage(client, 'prod/promoted', 'v1', { contents: ['promoted'] });
      assert.equal((await client.pushManifest('prod/promoted', 'v1', manifest)).status, 201);
      assert.equal((await shown('prod/promoted', 'v1'))[1], digest);
    });

    it('one that was deleted may be made anew', async () => {
      assert.equal((await put('v3', 0)).status, 201);
      assert.equal((await client.send('DELETE', '/v2/prod/app/manifests/v3')).status, 202);
      assert.equal((await put('v3', 1)).status, 201);
    });
  });
}
