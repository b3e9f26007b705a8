import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../../../lib/model/content-digest.ts';
import { layout } from '../../../lib/model/layout.ts';
import { parseDigest, parseRepositoryName, parseTag, type RepositoryName } from '../../../lib/model/names.ts';
import { assembleRegistry } from '../../../lib/registry/registry.ts';
import { findSharedLayers } from '../../../lib/registry/usage/find-shared-layers.ts';
import { tagsSharing } from '../../../lib/registry/usage/shared-layers.ts';
import { encodeText } from '../../../lib/streams/bytes.ts';
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
        const found = await findSharedLayers({ storage, tags }, { repository: app, manifests: 2, tags: 2 }, options);
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

  it('name no tag that is deleted, also where one tag is left', async () => {
    await withServer(async (client, storage) => {
      const { digest } = await pushImage(client, app, '1.0', { contents: ['base', 'one'] });
      await pushImage(client, app, '2.0', { contents: ['base', 'two'] });
      assert.deepEqual(Object.keys((await sharing(storage, app)).shared.layers).length, 1);
      assert.equal((await client.send('DELETE', `/v2/${app}/manifests/2.0`)).status, 202);
      assert.deepEqual((await sharing(storage, app)).shared.layers, {});
      assert.equal((await client.send('GET', `/v2/${app}/manifests/${digest}`)).status, 200);
    });
  });

  it('are looked for after everything is counted, so that the figures are stored also where the search fails', async () => {
    await withServer(async (client, storage) => {
      await pushTwo(client);
      const put = storage.put.bind(storage);
      storage.put = async (key, ...others) => {
        if (key === layout.manifestEdges(app)) throw new Error('no room');
        return await put(key, ...others);
      };
      const { usage } = assembleRegistry(storage, { copiesLayers: false });
      await assert.rejects(usage.run(), /no room/);
      assert.equal((await usage.overview())?.repositories, 1);
      assert.equal((await usage.summary(app))?.tags, 2);
      storage.put = put;
      await usage.run();
      assert.equal((await usage.sharedLayers(app))?.targets.length, 2);
    });
  });

  it('are not looked for any more once the process stops', async () => {
    await withServer(async (client, storage) => {
      await pushTwo(client);
      const { usage } = assembleRegistry(storage, { copiesLayers: false });
      const onObject = () => {
        if (storage.objects.has(layout.usageOverview())) throw new Error('the process stops');
      };
      await assert.rejects(usage.run({ onObject }), /the process stops/);
      assert.equal(await usage.sharedLayers(app), undefined);
    });
  });

  it('are not looked for in a repository that is too large, and what was found before is not shown any more', async () => {
    await withServer(async (client, storage) => {
      await pushTwo(client);
      const { usage } = await sharing(storage, app);
      const bytes = encodeText('no manifest');
      const digests = Array.from({ length: 20_000 }, (_, n) => digestOf(encodeText(String(n))));
      // In the order of a listing, which the storage in memory sorts for each page.
      for (const digest of digests.sort()) await storage.put(layout.manifest(app, digest), bytes);
      storage.log.length = 0;
      await usage.run();
      assert.equal(await usage.sharedLayers(app), undefined);
      const isRead = (line: string) => line.startsWith('GET') && /manifests|edges/.test(line);
      assert.deepEqual(storage.log.filter(isRead), []);
    });
  });

  it('take no request in a repository with too many tags', async () => {
    const storage = new MemoryStorage();
    const { tags } = assembleRegistry(storage, { copiesLayers: false });
    const counted = { repository: app, manifests: 1, tags: 100_001 };
    assert.equal(await findSharedLayers({ storage, tags }, counted, { at: '', mayRead: () => true }), undefined);
    assert.deepEqual(storage.log, []);
  });
});

async function pushTwo(client: V2Client): Promise<void> {
  for (const tag of ['1.0', '2.0']) await pushImage(client, 'team/app', tag, { contents: ['base', tag] });
}
