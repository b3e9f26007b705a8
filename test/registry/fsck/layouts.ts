import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { type Key, type KeyPrefix, layout } from '../../../lib/model/layout.ts';
import type { Finding } from '../../../lib/registry/fsck/findings.ts';
import type { FsckOptions } from '../../../lib/registry/fsck/fsck.ts';
import type { OpenedStorage } from '../../storage/open.ts';
import { startRegistry } from '../../support/registry-server.ts';
import { V1Client } from '../../support/v1-client.ts';
import { V2Client } from '../../v2/client.ts';
import { fillRegistry, registryOver } from './full-registry.ts';
import { toLayout1 } from './layout-1.ts';

export const fsckOf = async (storage: OpenedStorage, options: Omit<FsckOptions, 'onFinding'> = {}) => {
  const found: Finding[] = [];
  const result = await registryOver(storage).fsck.run({ ...options, onFinding: (finding) => void found.push(finding) });
  return { found, ...result };
};

/** The digest of every manifest that a tag names, after each of its blobs was read and hashed. */
export async function pullEverything(storage: OpenedStorage): Promise<Record<string, string>> {
  const server = await startRegistry(storage.driver);
  const client = new V2Client(server.url);
  const digests: Record<string, string> = {};
  type Manifest = { config?: Blob; layers?: Blob[]; manifests?: Blob[] };
  type Blob = { digest: string };
  const pull = async (repository: string, reference: string): Promise<string> => {
    const response = await client.send('GET', `/v2/${repository}/manifests/${reference}`);
    assert.equal(response.status, 200, `${repository}:${reference}`);
    const { config, layers = [], manifests = [] } = (await response.json()) as Manifest;
    for (const { digest } of [...(config ? [config] : []), ...layers]) {
      const blob = await client.send('GET', `/v2/${repository}/blobs/${digest}`);
      const hex = createHash('sha256')
        .update(await blob.bytes())
        .digest('hex');
      assert.equal(`sha256:${hex}`, digest);
    }
    for (const { digest } of manifests) await pull(repository, digest);
    return response.headers.get('Docker-Content-Digest') ?? '';
  };
  const { repositories } = (await (await client.send('GET', '/v2/_catalog')).json()) as { repositories: string[] };
  for (const repository of repositories) {
    const { tags } = (await (await client.send('GET', `/v2/${repository}/tags/list`)).json()) as { tags: string[] };
    for (const tag of tags) {
      // Of old buckets, some images are incomplete.
      if ((await client.send('HEAD', `/v2/${repository}/manifests/${tag}`)).status !== 200) continue;
      digests[`${repository}:${tag}`] = await pull(repository, tag);
    }
  }
  await server.idle();
  await server.stop();
  return digests;
}

/** Buckets that were not written by this version. */
export function layoutsSuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`fsck of older storage on ${name}`, () => {
    it('finds no error in the adopted bucket of a docker-registry', async () => {
      const storage = await open();
      await fillRegistry(storage, { old: true });
      const { found } = await fsckOf(storage, { level: 'bytes' });
      assert.deepEqual(
        found.filter(({ severity }) => severity === 'error'),
        [],
      );
      // The bucket has a push that did not end; conversions of one image at once store a config each.
      const others = found.filter(({ kind }) => kind !== 'unlinked-bytes').map(({ kind }) => kind);
      assert.deepEqual(others.toSorted(), ['no-layout-record', 'unfinished-push']);
      await storage.close();
    });

    it('brings layout 1 to layout 2: every image is pulled with the same digest as before', async () => {
      const storage = await open();
      await fillRegistry(storage);
      const before = await pullEverything(storage);
      assert.ok(Object.keys(before).length >= 7);
      await toLayout1(storage.driver);
      const sizes = async () =>
        (await Array.fromAsync(storage.driver.list('' as KeyPrefix)))
          .filter(({ key }) => isBytes(key))
          .map((object) => object.sizeBytes);
      const old = (await sizes()).toSorted();

      const first = await fsckOf(storage);
      assert.deepEqual([...new Set(first.found.map(({ kind }) => kind))], ['old-layout']);
      const planned = await fsckOf(storage, { repair: 'plan' });
      assert.equal(planned.found.length, first.found.length);
      assert.ok(planned.found.every(({ repair }) => repair?.isDone === false));

      const repaired = await fsckOf(storage, { repair: 'on' });
      assert.deepEqual([repaired.errors, repaired.warnings], [0, 0], JSON.stringify(repaired.found));
      assert.deepEqual((await sizes()).toSorted(), old, 'no bytes are deleted');
      assert.deepEqual((await fsckOf(storage, { level: 'bytes' })).found, []);
      const record = await storage.driver.read(layout.layoutVersion());
      const { minWriter, minWriterSince } = JSON.parse(Buffer.from(record?.bytes ?? []).toString()) as Record<
        string,
        unknown
      >;
      assert.deepEqual([minWriter, typeof minWriterSince], [2, 'string']);

      assert.deepEqual(await pullEverything(storage), before);
      const server = await startRegistry(storage.driver);
      assert.equal((await new V1Client(server.url).pull('team/app', '1.0')).length, 2);
      await server.stop();
      await storage.close();
    });

    it('goes on where a repair of layout 1 was interrupted', async () => {
      const storage = await open();
      await fillRegistry(storage);
      const before = await pullEverything(storage);
      await toLayout1(storage.driver);
      let left = 0;
      let interruptions = 0;
      const interrupted = registryOver({ ...storage, driver: failingAfter(storage.driver, () => left-- <= 0) });
      for (let budget = 11; ; budget++) {
        left = budget;
        try {
          await interrupted.fsck.run({ repair: 'on', onFinding: () => {} });
          break;
        } catch (error) {
          assert.match(String(error), /interrupted/);
          interruptions++;
        }
        assert.deepEqual(await pullEverything(storage), before);
      }
      assert.ok(interruptions > 3, `${interruptions} interruptions`);
      assert.deepEqual(await pullEverything(storage), before);
      const { errors } = await fsckOf(storage, { level: 'bytes' });
      assert.equal(errors, 0);
      await storage.close();
    });
  });
}

const isBytes = (key: Key) => /^oci\/(?:data\/|blobs\/[^/]+\/[a-f0-9]+$|blobs\/.*\/copy-)/.test(key);

/** A driver whose writes throw once `isOver` says so. */
function failingAfter(driver: OpenedStorage['driver'], isOver: () => boolean): OpenedStorage['driver'] {
  const check = () => {
    if (isOver()) throw new Error('interrupted');
  };
  return new Proxy(driver, {
    get(target, name) {
      const value = Reflect.get(target, name) as unknown;
      if (typeof value !== 'function') return value;
      if (!['put', 'delete', 'copyIfAbsent'].includes(String(name))) return value.bind(target) as unknown;
      return async (...args: unknown[]) => {
        check();
        return (await Reflect.apply(value, target, args)) as unknown;
      };
    },
  });
}
