import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { immutabilityOf } from '../../../lib/config/immutable-tags.ts';
import type { Key } from '../../../lib/model/layout.ts';
import type { OpenedStorage } from '../../storage/contract.ts';
import { type RegistryServer, startRegistry } from '../../support/registry-server.ts';
import { V1Client } from '../../support/v1-client.ts';
import { newImage } from '../../v1/use-registry.ts';
import { codesOf, V2Client } from '../../v2/client.ts';
import { pushImage } from '../../v2/image.ts';
import { Interceptor } from '../interceptor.ts';

export function immutableTagsSuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`immutable tags on ${name}`, () => {
    let storage: OpenedStorage;
    let interceptor: Interceptor;
    /** Two processes on one storage. */
    let servers: RegistryServer[];
    let client: V2Client;
    const manifests: object[] = [];
    before(async () => {
      storage = await open();
      const isImmutable = immutabilityOf([{ repositories: 'prod/*', tags: 'v*' }]);
      interceptor = new Interceptor(storage.driver);
      servers = await Promise.all([1, 2].map(() => startRegistry(interceptor.driver, { isImmutable })));
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

    it('may be set and pushed again with the same manifest, but not moved', async () => {
      assert.equal((await put('v1', 0)).status, 201);
      assert.equal((await put('v1', 0)).status, 201);
      const refused = await put('v1', 1);
      assert.equal(refused.status, 403);
      const { errors } = (await refused.clone().json()) as { errors: { message: string }[] };
      assert.match(errors[0]?.message ?? '', /v1 of prod\/app is immutable/);
      assert.deepEqual(await codesOf(refused), ['DENIED']);
    });

    it('do not keep other tags from moving', async () => {
      for (const index of [0, 1]) assert.equal((await put('latest', index)).status, 201);
    });

    it('are not moved by a push with several tags', async () => {
      assert.equal((await put('v2', 0)).status, 201);
      const digest = (await client.send('HEAD', '/v2/prod/app/manifests/latest')).headers.get('Docker-Content-Digest');
      assert.equal((await client.pushManifest('prod/app', `${digest}?tag=v2`, manifests[1] ?? {})).status, 403);
      assert.notEqual(
        (await client.send('HEAD', '/v2/prod/app/manifests/v2')).headers.get('Docker-Content-Digest'),
        digest,
      );
    });

    it('do not keep the other tags of the same push from moving, before the answer, and for v1 too', async () => {
      const { digest, manifest } = await pushImage(client, 'prod/app', undefined, { contents: ['beside'] });
      const beside = 'repositories/prod/app/tag_beside' as Key;
      interceptor.before(
        'put',
        (key) => key === beside,
        () => sleep(300),
      );
      assert.equal((await client.pushManifest('prod/app', `${digest}?tag=beside&tag=v1`, manifest)).status, 403);
      assert.ok(await storage.driver.head(beside));
      await servers[0]?.idle();
      assert.ok(await storage.driver.head('repositories/prod/app/tagbeside_json' as Key));
    });

    it('are set by one of several pushes at the same time, to two processes', async () => {
      const statuses = await Promise.all(
        manifests.map(async (_, index) => (await put('v-race', index, { server: index % 2 })).status),
      );
      assert.deepEqual(statuses.toSorted(), [201, ...Array.from({ length: 7 }, () => 403)]);
      const winner = statuses.indexOf(201);
      assert.equal((await put('v-race', winner)).status, 201, 'the tag names the manifest of that push');
    });

    it('are not moved by v1 either', async () => {
      const [one, other] = [newImage(), newImage()];
      const v1 = new V1Client(servers[0]?.url ?? assert.fail());
      await v1.push('prod/old', [one], { v1: one.id });
      await v1.push('prod/old', [one], { v1: one.id });
      await assert.rejects(v1.push('prod/old', [other], { v1: other.id }), /403 .*v1 of prod\/old is immutable/);
      await assert.rejects(v1.push('prod/app', [other], { v1: other.id }), /403 .*v1 of prod\/app is immutable/);
    });

    /** A manifest whose blobs are in `repository`, which does not hold it, and a v1 image whose id is the hex of its digest. */
    const manifestAndImageOfOneId = async (repository: string) => {
      const elsewhere = `elsewhere/${randomBytes(4).toString('hex')}`;
      const { digest, manifest } = await pushImage(client, repository, undefined, { contents: [elsewhere] });
      await pushImage(client, elsewhere, undefined, { contents: [elsewhere] });
      assert.equal((await client.send('DELETE', `/v2/${repository}/manifests/${digest}`)).status, 202);
      return { digest, manifest, elsewhere, image: newImage({ id: digest.slice('sha256:'.length) }) };
    };
    const answersFor = async (repository: string, tag: string) => {
      const byV2 = await client.send('GET', `/v2/${repository}/manifests/${tag}`);
      const byV1 = await client.send('GET', `/v1/repositories/${repository}/tags/${tag}`);
      return [byV2.status, byV2.headers.get('Docker-Content-Digest'), byV1.status, await byV1.text()];
    };
    const tagByV1 = async (repository: string, tag: string, id: string) => {
      const body = JSON.stringify(id);
      return (await client.send('PUT', `/v1/repositories/${repository}/tags/${tag}`, { body })).status;
    };
    const v1 = () => new V1Client(servers[0]?.url ?? assert.fail());

    it('of v1 images are not retargeted by a manifest whose digest is the image id', async () => {
      for (const isPulledBefore of [true, false]) {
        const repository = `prod/digits-${isPulledBefore}`;
        const { digest, manifest, image } = await manifestAndImageOfOneId(repository);
        await v1().push(repository, [image], { v1: image.id });
        const before = isPulledBefore && (await answersFor(repository, 'v1'));
        for (const reference of [digest, `${digest}?tag=latest`, 'v1', 'v2', 'latest']) {
          const refused = await client.pushManifest(repository, reference, manifest);
          assert.equal(refused.status, 403, reference);
          const { errors } = (await refused.json()) as { errors: { code: string; message: string }[] };
          assert.equal(errors[0]?.code, 'DENIED');
          assert.match(errors[0]?.message ?? '', /^v1 of .* is immutable/);
        }
        const after = await answersFor(repository, 'v1');
        assert.deepEqual([after[0], after[2]], [200, 200]);
        assert.notEqual(after[1], digest);
        if (before) assert.deepEqual(after, before);
      }
    });

    it('of v1 images are not retargeted by a projection that replaces the image from another repository', async () => {
      const repository = 'prod/projections';
      const { digest, manifest, elsewhere, image } = await manifestAndImageOfOneId(repository);
      await v1().push(repository, [image], { v1: image.id });
      const [, before] = await answersFor(repository, 'v1');
      assert.notEqual(before, digest);
      assert.equal((await client.pushManifest(elsewhere, 'latest', manifest)).status, 201);
      assert.equal((await v1().pull(elsewhere, 'latest')).length, 1);
      assert.deepEqual((await answersFor(repository, 'v1')).slice(0, 3), [200, before, 404]);
      for (const tag of ['v1', 'v2', 'latest']) assert.equal(await tagByV1(repository, tag, image.id), 403);
      assert.equal((await client.pushManifest(repository, digest, manifest)).status, 403);
      assert.deepEqual((await answersFor(repository, 'v1')).slice(0, 3), [200, before, 404]);
    });

    it('of v1 images are not retargeted by the conversion of another v1 image', async () => {
      const repository = 'prod/conversions';
      const source = newImage();
      await v1().push('elsewhere/made', [source], { latest: source.id });
      const made = (await client.send('HEAD', '/v2/elsewhere/made/manifests/latest')).headers;
      const image = newImage({ id: made.get('Docker-Content-Digest')?.slice('sha256:'.length) ?? '' });
      await v1().push(repository, [image], { v1: image.id });
      const before = await answersFor(repository, 'v1');
      assert.equal(await tagByV1(repository, 'other', source.id), 200);
      assert.equal((await client.send('GET', `/v2/${repository}/manifests/other`)).status, 404);
      assert.deepEqual(await answersFor(repository, 'v1'), before);
    });

    it('of manifests are not retargeted by a v1 push of an image whose id is the digest', async () => {
      const repository = 'prod/reverse';
      const { digest, manifest, image } = await manifestAndImageOfOneId(repository);
      assert.equal((await client.pushManifest(repository, digest, manifest)).status, 201);
      await v1().push(repository, [image], { v1: image.id });
      const before = await answersFor(repository, 'v1');
      assert.deepEqual(before, [200, digest, 200, JSON.stringify(image.id)]);
      assert.equal((await v1().pull(repository, 'v1')).length, 1);
      assert.equal((await client.pushManifest(repository, 'v1', manifest)).status, 201);
      assert.deepEqual(await answersFor(repository, 'v1'), before);
    });

    it('do not keep tags of other repositories from being retargeted', async () => {
      const repository = 'dev/digits';
      const { digest, manifest, image } = await manifestAndImageOfOneId(repository);
      await v1().push(repository, [image], { v1: image.id });
      assert.equal((await client.pushManifest(repository, digest, manifest)).status, 201);
      assert.equal((await answersFor(repository, 'v1'))[1], digest);
    });

    it('do not keep v1 from tagging a projection, nor v2 from pushing its manifest', async () => {
      const { digest, manifest } = await pushImage(client, 'dev/promoted', 'latest', { contents: ['promoted'] });
      const images = await v1().pull('dev/promoted', 'latest');
      const id = digest.slice('sha256:'.length);
      await v1().push('prod/promoted', images, { latest: id });
      await pushImage(client, 'prod/promoted', 'v1', { contents: ['promoted'] });
      assert.equal((await client.pushManifest('prod/promoted', 'v1', manifest)).status, 201);
      assert.equal((await answersFor('prod/promoted', 'v1'))[1], digest);
    });

    it('may be deleted and then set to something else', async () => {
      assert.equal((await put('v3', 0)).status, 201);
      assert.equal((await client.send('DELETE', '/v2/prod/app/manifests/v3')).status, 202);
      assert.equal((await put('v3', 1)).status, 201);
    });
  });
}
