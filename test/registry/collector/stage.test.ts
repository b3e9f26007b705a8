import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { layout } from '../../../lib/model/layout.ts';
import { dryRunStorage } from '../../../lib/registry/collector/dry-run-storage.ts';
import { CollectionReport } from '../../../lib/registry/collector/report.ts';
import {
  isOlderThan,
  isRipe,
  RunInterrupted,
  RunTakenOver,
  type Stage,
} from '../../../lib/registry/collector/stage.ts';
import { COLLECTION_TIMES } from '../../../lib/registry/condemned/times.ts';
import { openFiles } from '../../storage/open.ts';

const key = layout.uploadScrap('a');

describe('what the stages of a run share', () => {
  it('is ripe for removal once the run started the grace period after the condemnation', () => {
    const startedAt = new Date('2026-11-27T12:00:00Z');
    const condemnedAt = new Date(startedAt.getTime() - COLLECTION_TIMES.graceMs);
    assert.ok(isRipe({ startedAt, times: COLLECTION_TIMES }, condemnedAt));
    assert.ok(!isRipe({ startedAt, times: COLLECTION_TIMES }, new Date(condemnedAt.getTime() + 1)));
    assert.ok(isOlderThan({ startedAt }, new Date(startedAt.getTime() - 5), 5));
  });

  it('is a report that counts actions, lists as many as were asked for, and goes on from a stored one', () => {
    const report = new CollectionReport({ maxListed: 1 });
    report.did('condemn', 'link', key, { bytes: 3, reason: 'no manifest names it' });
    report.did('condemn', 'link', key, { bytes: 4 });
    report.kept('manifest', 'tagged', 2);
    report.unknown(key);
    const document = report.toJson();
    assert.deepEqual(document.actions, { condemn: { link: { count: 2, bytes: 7 } } });
    assert.deepEqual(document.list, {
      isComplete: false,
      actions: [{ action: 'condemn', kind: 'link', key, bytes: 3, reason: 'no manifest names it' }],
    });
    assert.deepEqual([document.kept, document.unknown], [{ 'manifest: tagged': 2 }, { count: 1, samples: [key] }]);
    const resumed = new CollectionReport({ from: document });
    resumed.did('condemn', 'link', key);
    assert.deepEqual(resumed.count('condemn', 'link'), { count: 3, bytes: 7 });
  });

  it('is in a dry run a storage that writes nothing', async () => {
    const { driver, close } = await openFiles();
    try {
      await driver.put(key, new Uint8Array(1));
      const dry = dryRunStorage(driver);
      assert.ok(await dry.put(layout.uploadScrap('b'), new Uint8Array(1), { ifAbsent: true }));
      assert.ok(await dry.delete(key));
      const keys = await Array.fromAsync(driver.list(layout.uploadScraps()), (object) => object.key);
      assert.deepEqual(keys, [key]);
    } finally {
      await close();
    }
  });

  it('names the errors by which a run ends before its last stage', async () => {
    const stage: Stage = { name: 'test', run: async () => Promise.reject(new RunInterrupted()) };
    assert.equal(stage.name, 'test');
    assert.equal(new RunTakenOver().name, 'RunTakenOver');
  });
});
