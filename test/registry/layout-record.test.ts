import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { layout } from '../../lib/model/layout.ts';
import { recordLayout } from '../../lib/registry/layout-record.ts';
import { StorageDeniedError } from '../../lib/storage/driver.ts';
import { alterDriver } from '../storage/altered-driver.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';

describe('the record of the layout version', () => {
  let storage: OpenedStorage;
  before(async () => {
    storage = await openFiles();
  });
  after(() => storage.close());

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
    const newer = Buffer.from('{"layout": 9, "minWriter": 9}');
    await storage.driver.put(layout.layoutVersion(), newer);
    assert.equal(await recordLayout(storage.driver), false);
    assert.equal(await recordLayout(failing(new StorageDeniedError('no right'))), false);
  });
});
