import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { immutabilityOf } from '../../lib/config/immutable-tags.ts';
import { type RegistryServer, startRegistry } from '../registry-server.ts';
import type { OpenedStorage } from '../storage/contract.ts';
import { newImage } from '../v1/use-registry.ts';
import { V1Client } from '../v1-client.ts';
import { codesOf, V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';

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

    it('one that was deleted may be made anew', async () => {
      assert.equal((await put('v3', 0)).status, 201);
      assert.equal((await client.send('DELETE', '/v2/prod/app/manifests/v3')).status, 202);
      assert.equal((await put('v3', 1)).status, 201);
    });
  });
}
