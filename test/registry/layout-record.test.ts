import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type Key, layout } from '../../lib/model/layout.ts';
import { parseRepositoryName, sha256Digest } from '../../lib/model/names.ts';
import { readLayoutRecord, recordLayout, refuseOnceOutdated } from '../../lib/registry/condemned/layout-record.ts';
import { StorageDeniedError, type StorageDriver } from '../../lib/storage/driver.ts';
import { alterDriver } from '../storage/altered-driver.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';

describe('the record of the layout version', () => {
  let storage: OpenedStorage;
  beforeEach(async () => {
    storage = await openFiles();
  });
  afterEach(() => storage.close());

  const at = layout.layoutVersion();
  const put = (record: object) => storage.driver.put(at, Buffer.from(JSON.stringify(record)));
  const stored = async () => {
    const object = await storage.driver.read(at);
    assert.ok(object);
    return JSON.parse(Buffer.from(object.bytes).toString());
  };

  const failing = (error: Error) =>
    alterDriver(storage.driver, () => ({
      put: async () => {
        throw error;
      },
    }));

  it('is left to another process where the role of this one may not write it', async () => {
    assert.equal(await recordLayout(failing(new StorageDeniedError('no right'))), true);
    assert.equal(await storage.driver.head(layout.layoutVersion()), undefined);
  });

  it('is required: any other error on writing it is thrown', async () => {
    await assert.rejects(recordLayout(failing(new Error('broken'))), /broken/);
  });

  it('is written once, and a newer one forbids writing', async () => {
    assert.equal(await recordLayout(storage.driver), true);
    assert.deepEqual(await stored(), { layout: 2, minWriter: 2 });
    assert.equal(await recordLayout(failing(new Error('broken'))), true);
    await put({ layout: 9, minWriter: 9 });
    assert.equal(await recordLayout(storage.driver), false);
    assert.equal(await recordLayout(failing(new StorageDeniedError('no right'))), false);
  });

  for (const [title, prepare] of Object.entries({
    'of layout 1': () => put({ layout: 1, minWriter: 1 }),
    'that is absent, where a repository of v2 is stored': () =>
      storage.driver.put(layout.manifest(parseRepositoryName('a/b'), sha256Digest('0'.repeat(64))), Buffer.from('{}')),
  })) {
    it(`${title} is raised to layout 2, with the time: older programs may write for a while`, async () => {
      await prepare();
      const before = Date.now();
      assert.equal(await recordLayout(storage.driver), true);
      const { minWriterSince, ...rest } = await stored();
      assert.deepEqual(rest, { layout: 2, minWriter: 2 });
      assert.ok(Date.parse(minWriterSince) >= before && Date.parse(minWriterSince) <= Date.now());
      assert.deepEqual(await readLayoutRecord(storage.driver), {
        minWriter: 2,
        minWriterSince: (await storage.driver.head(at))?.lastModified,
      });
      await recordLayout(storage.driver);
      assert.equal((await stored()).minWriterSince, minWriterSince);
    });
  }

  const digest = sha256Digest('0'.repeat(64));
  const uuid = '00000000-0000-4000-8000-000000000000';
  const firstPush = async () => {
    for (const key of [layout.manifest(parseRepositoryName('a/b'), digest), layout.blobCopy(digest, uuid)]) {
      await storage.driver.put(key, Buffer.from('{}'));
    }
  };

  it('has no time where the first push came before it, since no older program has written', async () => {
    await firstPush();
    assert.equal(await recordLayout(storage.driver), true);
    assert.deepEqual(await stored(), { layout: 2, minWriter: 2 });
  });

  it('has the time where any bytes are those of an older program', async () => {
    await firstPush();
    await storage.driver.put(`oci/blobs/sha256/${'1'.repeat(64)}` as Key, Buffer.from('old'));
    await recordLayout(storage.driver);
    assert.equal(typeof (await stored()).minWriterSince, 'string');
  });

  describe('is read again by a running process', () => {
    const write = (driver: StorageDriver) => driver.put(layout.uploadScrap('x'), new Uint8Array());

    it('before the first write after ten minutes, which is refused if the process is too old', async (t) => {
      t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
      let refusals = 0;
      let reads = 0;
      const counting = alterDriver(storage.driver, (original) => ({
        read: async (key) => {
          reads++;
          return await original.read(key);
        },
      }));
      const driver = refuseOnceOutdated(counting, { onRefusal: () => refusals++ });
      await put({ layout: 9, minWriter: 9 });
      t.mock.timers.tick(10 * 60_000 - 1);
      await write(driver);
      assert.equal(reads, 0);
      t.mock.timers.tick(1);
      await Promise.all([1, 2, 3].map(() => assert.rejects(write(driver), { code: 'UNSUPPORTED' })));
      await assert.rejects(driver.delete(at), { code: 'UNSUPPORTED' });
      assert.ok(await driver.head(at), 'reads go on');
      assert.deepEqual([reads, refusals], [1, 1]);
    });

    it('and writes go on where no newer program has written', async () => {
      await recordLayout(storage.driver);
      const driver = refuseOnceOutdated(storage.driver, { rereadMs: 0 });
      assert.ok(await write(driver));
    });
  });
});
