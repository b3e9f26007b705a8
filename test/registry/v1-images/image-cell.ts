import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { layout } from '../../../lib/model/layout.ts';
import type { ImageId } from '../../../lib/model/names.ts';
import { Look } from '../../../lib/registry/condemned/look.ts';
import {
  condemnImage,
  endRemoving,
  isLiveAsListed,
  lookAtImage,
  type MarkedCell,
  makeLive,
  readImageCell,
  startRemoving,
} from '../../../lib/registry/v1-images/image-cell.ts';
import { type StorageDriver, StorageUnavailableError } from '../../../lib/storage/driver.ts';
import type { OpenedStorage } from '../../storage/open.ts';
import { newImageId } from '../../v1/use-registry.ts';

const RUN = '0c7e8a52-7d53-4c8e-9a43-5b8f5a1f9d11';

export function imageCellSuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`the cell of a v1 image on ${name}`, () => {
    let opened: OpenedStorage;
    let storage: StorageDriver;
    before(async () => {
      opened = await open();
      storage = opened.driver;
    });
    after(async () => await opened.close());

    const newId = () => newImageId() as ImageId;
    const markedCell = async (id: ImageId): Promise<MarkedCell> => {
      const cell = await readImageCell(storage, id);
      assert.ok(cell.state !== 'live');
      return cell;
    };
    const condemn = async (id: ImageId): Promise<MarkedCell> => {
      const cell = await readImageCell(storage, id);
      assert.ok(cell.state === 'live' && (await condemnImage(storage, id, cell, RUN)));
      return await markedCell(id);
    };
    const remove = async (id: ImageId): Promise<MarkedCell> => {
      const removing = await startRemoving(storage, id, await condemn(id), RUN);
      assert.ok(removing);
      return removing;
    };
    const look = (id: ImageId, by = new Look()) => lookAtImage(storage, id, { look: by });

    it('is live where there is none', async () => {
      const id = newId();
      assert.deepEqual(await readImageCell(storage, id), { state: 'live' });
      await look(id);
    });

    it('is condemned with the id of the run and a nonce, each time another', async () => {
      const id = newId();
      const first = await condemn(id);
      assert.equal(first.state, 'condemned');
      assert.equal(first.by.run, RUN);
      await look(id);
      assert.notEqual((await condemn(id)).object.etag, first.object.etag);
    });

    it('is made live by the look of a writer, and tells so in a listing', async () => {
      const id = newId();
      const listed = async () => (await Array.fromAsync(storage.list(layout.imageRecords(id))))[0];
      await condemn(id);
      assert.equal(isLiveAsListed(await listed()), false);
      await lookAtImage(storage, id, { look: new Look(), listed: await listed() });
      assert.equal((await readImageCell(storage, id)).state, 'live');
      assert.equal(isLiveAsListed(await listed()), true);
    });

    it('is not made live by a look that is too old', async () => {
      const id = newId();
      await condemn(id);
      await assert.rejects(look(id, new Look({ lookMs: 0 })), StorageUnavailableError);
      assert.equal((await readImageCell(storage, id)).state, 'condemned');
    });

    it('refuses writers while the image is removed, and no longer', async () => {
      for (const hasConditionalDeletes of [true, false]) {
        const id = newId();
        const removing = await remove(id);
        await assert.rejects(look(id), { code: 'UNAVAILABLE' });
        assert.ok(await endRemoving(storage, id, removing, { hasConditionalDeletes }));
        assert.equal((await readImageCell(storage, id)).state, 'live');
        await look(id);
        await condemn(id);
      }
    });

    it('is left alone by a collector that read it before another process wrote it', async () => {
      const id = newId();
      const before = await readImageCell(storage, id);
      assert.ok(before.state === 'live');
      const condemned = await condemn(id);
      assert.equal(await condemnImage(storage, id, before, RUN), false);
      await look(id);
      assert.equal(await startRemoving(storage, id, condemned, RUN), undefined);
      assert.equal(await makeLive(storage, id, condemned), false);
    });

    it('stays with the collector that has taken over a removal', async () => {
      for (const hasConditionalDeletes of [true, false]) {
        const id = newId();
        const former = await remove(id);
        const later = await startRemoving(storage, id, await markedCell(id), RUN);
        assert.ok(later);
        // MinIO carries out a DELETE whatever its condition says; the driver compares first, which is enough here.
        assert.equal(await endRemoving(storage, id, former, { hasConditionalDeletes }), false);
        assert.equal((await readImageCell(storage, id)).state, 'removing');
        assert.ok(await endRemoving(storage, id, later, { hasConditionalDeletes }));
      }
    });
  });
}
