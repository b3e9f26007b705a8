import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type KeyPrefix, layout } from '../../../lib/model/layout.ts';
import { parseDigest, parseRepositoryName } from '../../../lib/model/names.ts';
import type { LayerUsage } from '../../../lib/registry/usage/measure.ts';
import type { Quota } from '../../../lib/registry/usage/quotas.ts';
import { FilesDriver } from '../../../lib/storage/files.ts';
import { type RegistryServer, startRegistry } from '../../support/registry-server.ts';
import { tar } from '../../support/tar.ts';
import { until } from '../../support/until.ts';
import { V1Client } from '../../support/v1-client.ts';
import { digestOf, locationOf, V2Client, withDigest } from '../../v2/client.ts';
import { pushImage } from '../../v2/image.ts';
import { fillRegistry, registryOver } from '../fsck/full-registry.ts';

type Described = { size: number; digest: string };

const hasGnuDu = spawnSync('du', ['--version'], { encoding: 'utf8' }).stdout?.includes('GNU') ?? false;

/** Of a file in a layer that is stored once for all repositories: more than 4 MiB. */
const LARGE = 'large'.repeat(2 ** 20);

describe('usage on a disk where projections are second names of layers', () => {
  let root: string;
  let driver: FilesDriver;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'stowage-usage-'));
    driver = await FilesDriver.open(root);
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const opened = () => ({ driver, leftovers: async () => [], close: async () => {} });
  const counted = async () => {
    const layers: LayerUsage[] = [];
    const usage = await registryOver(opened()).usage.run({
      writes: false,
      onLayer: (layer) => void layers.push(layer),
    });
    const of = (name: string) => usage.repositories.find(({ repository }) => repository === name);
    return { ...usage, of, layers };
  };
  const withServer = async (quotas: Quota[], task: (client: V2Client, server: RegistryServer) => Promise<void>) => {
    const server = await startRegistry(driver, { quotas });
    try {
      await task(new V2Client(server.url), server);
    } finally {
      await server.idle();
      await server.stop();
    }
  };
  /** Pushes an image of one layer; a large one first in a chunk without its digest, so that a pointer leads to its bytes. */
  const push = async (client: V2Client, server: RegistryServer, content: string) => {
    if (content === LARGE) {
      const bytes = tar([{ path: 'file-0', content: Buffer.from(content) }]);
      const patched = await client.send('PATCH', await client.start('team/app'), { body: bytes });
      const put = await client.send('PUT', withDigest(locationOf(patched), digestOf(bytes)));
      assert.equal(put.status, 201);
    }
    const options = { contents: [content], compression: 'none' as const, config: { history: [{ created_by: 'x' }] } };
    const { manifest } = await pushImage(client, 'team/app', '1.0', options);
    await server.idle();
    const { config, layers } = manifest as { config: Described; layers: Described[] };
    const [layer] = layers;
    assert.ok(layer);
    const objects = await Array.fromAsync(driver.list('' as KeyPrefix));
    const keys = objects.flatMap(({ key, sizeBytes }) => (sizeBytes === layer.size ? [key] : []));
    assert.equal(keys.length, 2, 'the layer has a projection');
    assert.equal(
      keys.some((key) => layout.isData(key)),
      content === LARGE,
    );
    return { manifest, digest: parseDigest(layer.digest), sizeBytes: layer.size, total: config.size + layer.size };
  };

  it('is what du counts: each file once, under any number of names', { skip: !hasGnuDu }, async () => {
    await fillRegistry(opened());
    const { overview } = await counted();
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    const paths = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
    const du = (...options: string[]) => {
      const all = ['--apparent-size', '--block-size=1', '--total', ...options, '--files0-from=-'];
      const lines = execFileSync('du', all, { input: paths.join('\0'), encoding: 'utf8' })
        .trim()
        .split('\n');
      return Number.parseInt(lines.at(-1) ?? '', 10);
    };
    assert.deepEqual([overview.totalBytes, overview.objects], [du(), paths.length]);
    assert.ok(du('--count-links') > du(), 'the layers of projections are second names');
  });

  for (const [size, content] of [
    ['small', () => randomBytes(1000).toString('hex')],
    ['large', () => LARGE],
  ] as const) {
    it(`counts a ${size} layer and its projection once, and shows one line for it`, async () => {
      await withServer([], async (client, server) => {
        const { digest, sizeBytes, total } = await push(client, server, content());
        const alone = await counted();
        const { uniqueBytes, sharedBytes } = alone.of('team/app') ?? {};
        assert.deepEqual({ uniqueBytes, sharedBytes }, { uniqueBytes: total, sharedBytes: 0 });
        assert.equal(alone.overview.uniqueBytes, total);
        const lines = alone.layers.filter((layer) => layer.sizeBytes === sizeBytes);
        const line = { layer: digest, sizeBytes, storedBytes: sizeBytes, repositories: ['team/app'] };
        assert.deepEqual(lines, [line]);

        const [from, to] = ['team/app', 'team/other'].map(parseRepositoryName);
        assert.ok(from && to);
        const link = await driver.read(layout.blobLink(from, digest));
        assert.ok(link);
        await driver.put(layout.blobLink(to, digest), link.bytes);
        const both = await counted();
        assert.equal(both.overview.sharedBytes, sizeBytes);
        assert.deepEqual(
          [both.of('team/app')?.uniqueBytes, both.of('team/app')?.sharedBytes],
          [total - sizeBytes, sizeBytes],
        );
        assert.deepEqual(
          both.layers.filter((layer) => layer.sizeBytes === sizeBytes),
          [{ ...line, repositories: ['team/app', 'team/other'] }],
        );
      });
    });
  }

  for (const v1Layers of ['copy', 'link'] as const) {
    it(`knows a layer that tags of v1 and v2 share, with v1_layers: ${v1Layers}`, async () => {
      const server = await startRegistry(driver, { v1Layers });
      try {
        const { manifest } = await pushImage(new V2Client(server.url), 'team/app', '1.0', { contents: ['base'] });
        await server.idle();
        const { config, layers } = manifest as { config: Described; layers: Described[] };
        const layerBytes = layers[0]?.size ?? 0;
        const v1 = new V1Client(server.url);
        const images = await v1.pull('team/app', '1.0');
        const [own, parent] = [randomBytes(5000), images.at(-1)?.id];
        const id = randomBytes(32).toString('hex');
        const top = { id, json: Buffer.from(JSON.stringify({ id, parent })), layer: own };
        await v1.push('team/app', [...images, top], { '1.1': id });
        await server.idle();
        const tags = await registryOver(opened(), v1Layers).usage.byTag(parseRepositoryName('team/app'));
        assert.deepEqual(
          tags
            .toSorted((a, b) => a.tag.localeCompare(b.tag))
            .map(({ totalBytes, uniqueBytes }) => [totalBytes, uniqueBytes]),
          [
            [config.size + layerBytes, config.size],
            [own.length + layerBytes, own.length],
          ],
        );
      } finally {
        await server.idle();
        await server.stop();
      }
    });
  }

  it('counts as reclaimable once what only a stale projection and unlinked bytes name', async () => {
    await withServer([], async (client, server) => {
      const { total } = await push(client, server, LARGE);
      for await (const { key } of driver.list('repositories/' as KeyPrefix)) await driver.delete(key);
      for await (const { key } of driver.list('oci/repositories/' as KeyPrefix)) await driver.delete(key);
      const { overview } = await counted();
      assert.deepEqual([overview.reclaimableBytes, overview.keptBytes], [total, 0]);
    });
  });

  for (const [relation, factor, status] of [
    ['above', 1.5, 201],
    ['below', 0.9, 403],
  ] as const) {
    it(`answers ${status} to a push into a quota that is ${relation} the size of its image`, async () => {
      let [bytes, manifest] = [0, {}];
      await withServer([], async (client, server) => {
        const { total, ...image } = await push(client, server, LARGE);
        [bytes, manifest] = [total, image.manifest];
      });
      const quota = { repositories: ['team/*'], limitBytes: Math.round(bytes * factor) };
      await withServer([quota], async (client, { url }) => {
        await fetch(new URL('/v2/_stowage/usage', url), { method: 'POST' });
        await until(async () => (await driver.head(layout.quotas())) !== undefined, 'no quota was counted');
        const record = JSON.parse(Buffer.from((await driver.read(layout.quotas()))?.bytes ?? []).toString());
        assert.equal(record.quotas[0].usedBytes, bytes);
        assert.equal((await client.pushManifest('team/app', '2.0', manifest)).status, status);
      });
    });
  }
});
