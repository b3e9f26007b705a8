import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseDigest, parseRepositoryName, parseTag, type RepositoryName } from '../../../lib/model/names.ts';
import { assembleRegistry } from '../../../lib/registry/registry.ts';
import { findSharedLayers } from '../../../lib/registry/usage/find-shared-layers.ts';
import { tagsSharing } from '../../../lib/registry/usage/shared-layers.ts';
import { MemoryStorage } from '../../storage/memory.ts';
import { startRegistry } from '../../support/registry-server.ts';
import { V2Client } from '../../v2/client.ts';
import { pushImage } from '../../v2/image.ts';

type Pushed = Awaited<ReturnType<typeof pushImage>>;

const layersOf = ({ manifest }: Pushed) =>
  (manifest as { layers: { digest: string }[] }).layers.map(({ digest }) => parseDigest(digest));

/** A server over storage in memory, while `work` runs. */
async function withServer(work: (client: V2Client, storage: MemoryStorage) => Promise<void>): Promise<void> {
  const storage = new MemoryStorage();
  const server = await startRegistry(storage);
  try {
    await work(new V2Client(server.url), storage);
    await server.idle();
  } finally {
    await server.stop();
  }
}

async function sharing(storage: MemoryStorage, repository: RepositoryName) {
  const { usage } = assembleRegistry(storage, { copiesLayers: false });
  await usage.run();
  const shared = (await usage.sharedLayers(repository)) ?? assert.fail('nothing was stored');
  return { usage, shared };
}

describe('the layers that tags of a repository share', () => {
  const app = parseRepositoryName('team/app');

  it('are found by a usage run, also through an index, and not across repositories', async () => {
    await withServer(async (client, storage) => {
      const one = await pushImage(client, app, '1.0', { contents: ['base', 'one'] });
      const two = await pushImage(client, app, '2.0', { contents: ['base', 'two'] });
      const inIndex = await pushImage(client, app, undefined, { contents: ['base', 'in index'] });
      const type = 'application/vnd.oci.image.manifest.v1+json';
      await client.pushManifest(app, 'index', {
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.index.v1+json',
        manifests: [{ mediaType: type, digest: inIndex.digest, size: inIndex.sizeBytes }],
      });
      await client.pushManifest(app, 'alias', two.manifest);
      await pushImage(client, 'team/other', '1.0', { contents: ['one'] });
      const { shared } = await sharing(storage, app);
      const [base, own] = layersOf(one);
      assert.ok(base && own);
      const digest = parseDigest(one.digest);
      const others = tagsSharing(shared, base, { except: digest });
      assert.equal(others.areAll, true);
      assert.deepEqual(new Set(others.tags), new Set([parseTag('index'), parseTag('alias')]), 'a tag of each manifest');
      assert.deepEqual(tagsSharing(shared, own, { except: digest }), { tags: [], areAll: true });
      const fromOutside = tagsSharing(shared, base, { except: parseDigest(`sha256:${'0'.repeat(64)}`) });
      assert.equal(fromOutside.tags.length, 3);
    });
  });

  it('name six tags each, the newest first, and say that there are more', async () => {
    await withServer(async (client, storage) => {
      const pushed: Pushed[] = [];
      for (let n = 0; n < 9; n++)
        pushed.push(await pushImage(client, app, `1.${n}`, { contents: ['base', `own ${n}`] }));
      const { shared } = await sharing(storage, app);
      const [first] = pushed;
      const base = first && layersOf(first)[0];
      assert.ok(base);
      const { tags, areAll } = tagsSharing(shared, base, { except: parseDigest(first.digest) });
      assert.deepEqual([tags, areAll], [['1.8', '1.7', '1.6', '1.5', '1.4', '1.3'], false]);
    });
  });

  it('are looked for in a number of steps that a few large indexes cannot exceed', async () => {
    await withServer(async (client, storage) => {
      await pushImage(client, app, '1.0', { contents: ['base', 'one'] });
      await pushImage(client, app, '2.0', { contents: ['base', 'two'] });
      const { tags } = assembleRegistry(storage, { copiesLayers: false });
      const sharedIn = async (maxSteps: number) => {
        const options = { at: new Date().toISOString(), mayRead: () => true, maxSteps };
        const found = await findSharedLayers({ storage, tags }, app, options);
        return Object.keys(found?.shared.layers ?? {}).length;
      };
      const steps = 2 * (1 + 3); // of each tag the manifest, its config and two layers
      assert.deepEqual([await sharedIn(steps), await sharedIn(steps - 1)], [1, 0]);
    });
  });

  it('are looked for again only in repositories that have changed, and each manifest is read once', async () => {
    await withServer(async (client, storage) => {
      await pushImage(client, app, '1.0', { contents: ['base', 'one'] });
      await pushImage(client, app, '2.0', { contents: ['base', 'two'] });
      await sharing(storage, app);
      const { usage } = assembleRegistry(storage, { copiesLayers: false });
      const requestsOfRun = async () => {
        storage.log.length = 0;
        await usage.run();
        return storage.log.filter((line) => /manifests\/sha256\/|edges|shared-layers/.test(line));
      };
      assert.deepEqual(await requestsOfRun(), []);
      const { digest } = await pushImage(client, app, '3.0', { contents: ['base', 'three'] });
      const again = await requestsOfRun();
      const read = again.filter((line) => /^GET .*manifests/.test(line));
      assert.deepEqual(read, [`GET oci/repositories/team/app/manifests/sha256/${digest.slice('sha256:'.length)}`]);
      assert.ok(again.some((line) => line.startsWith('PUT') && line.endsWith('shared-layers.json')));
    });
  });
});
