import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Key, layout } from '../../../lib/model/layout.ts';
import { parseRepositoryName } from '../../../lib/model/names.ts';
import { encodeBlobLink } from '../../../lib/registry/blobs/link.ts';
import { Collector } from '../../../lib/registry/collector/collector.ts';
import { collectorStages } from '../../../lib/registry/collector/stages.ts';
import type { StorageDriver } from '../../../lib/storage/driver.ts';
import { alterDriver } from '../../storage/altered-driver.ts';
import { MemoryStorage } from '../../storage/memory.ts';
import { Bucket, keysOf, stagesOf } from './bucket.ts';

const DELETED = { untaggedPolicy: () => ({ olderThanMs: 0 }) };
const STATE = layout.collectorState();

/** Something for every stage: garbage of each age, copies, data without a pointer, remains of an upload. */
async function filled(storage = new MemoryStorage()): Promise<Bucket> {
  const bucket = await Bucket.inMemory(storage);
  await bucket.image('a/kept', 'kept', 'v');
  await bucket.image('a/gone', 'gone');
  const copies = [await bucket.blob('a/copies', 'copies'), await bucket.blob('b/copies', 'copies')];
  for (const repository of ['a/copies', 'b/copies']) {
    const { digest } = await bucket.manifest(repository, { blobs: copies.map(({ digest }) => digest).slice(0, 1) });
    await bucket.tag(repository, 'v', digest);
  }
  const { link } = await bucket.blob('a/unlinked', 'unlinked');
  await storage.delete(link);
  await bucket.put(layout.data('00000000-0000-4000-8000-000000000000'), 'no pointer');
  await bucket.put(layout.uploadScrap('11111111-0000-4000-8000-000000000000'), 'remains');
  bucket.age();
  return bucket;
}

/** Keys of what is not the collector's own, without uuids of runs. */
const shape = (bucket: Bucket) => bucket.keys().then((keys) => keys.filter((key) => !key.startsWith('oci/gc/')).sort());

/** A driver whose writes fail from the nth on, as for a process that was killed. */
function killedAfter(storage: StorageDriver, writes: number): StorageDriver {
  let left = writes;
  const alive = () => {
    if (left-- <= 0) throw new Error('killed');
  };
  return alterDriver(storage, (original) => ({
    put: async (...args) => {
      alive();
      return await original.put(...args);
    },
    putStream: async (...args) => {
      alive();
      return await original.putStream(...args);
    },
    delete: async (...args) => {
      alive();
      return await original.delete(...args);
    },
  }));
}

describe('a run of the collector', () => {
  it('reaches the same end wherever it is killed and resumed', async () => {
    const whole = await filled();
    for (let run = 0; run < 5; run++) {
      await whole.collect(DELETED);
      await whole.grace();
    }
    const expected = (await shape(whole)).map((key) => key.replace(/-[0-9a-f-]{36}/, ''));
    let kills = 0;
    for (let writes = 0; ; writes++) {
      const bucket = await filled();
      let wasKilled = false;
      for (let run = 0; run < 7; run++) {
        const storage = killedAfter(bucket.storage, writes);
        const { times, now, undoMs } = bucket;
        const options = { stages: stagesOf({ undoMs, ...DELETED }), times, now, checkpointMs: 0 };
        await new Collector(storage, options).collect().catch(() => {
          wasKilled = true;
        });
        bucket.pass(11 * 60_000);
        await bucket.collect(DELETED);
        bucket.grace();
      }
      assert.deepEqual(
        (await shape(bucket)).map((key) => key.replace(/-[0-9a-f-]{36}/, '')),
        expected,
        `killed after ${writes} writes`,
      );
      if (!wasKilled) break;
      kills++;
    }
    assert.ok(kills > 20, `${kills}`);
  });

  it('does what a dry run right before it has listed, and the dry run writes nothing', async () => {
    const bucket = await filled();
    for (let round = 0; round < 5; round++) {
      const before = JSON.stringify([...(bucket.storage as MemoryStorage).objects]);
      const dry = await bucket.collect({ ...DELETED, isDryRun: true });
      assert.equal(JSON.stringify([...(bucket.storage as MemoryStorage).objects]), before);
      const real = await bucket.collect(DELETED);
      assert.deepEqual(dry.report.list, real.report.list);
      assert.deepEqual(dry.report.kept, real.report.kept);
      bucket.grace();
    }
  });

  it('is not begun while another process works on one, and is taken over once that is silent', async () => {
    const bucket = await filled();
    await assert.rejects(bucket.collect({ ...DELETED, onProgress: () => assert.fail('killed') }));
    const state = JSON.parse(Buffer.from((await bucket.storage.read(STATE))?.bytes ?? []).toString()) as object;
    await bucket.put(STATE, JSON.stringify({ ...state, holder: 'another' }));
    assert.equal((await bucket.collector().collect()).kind, 'busy');
    bucket.pass(11 * 60_000);
    const { kind, run } = (await bucket.collector().collect()) as { kind: string; run: string };
    assert.deepEqual([kind, run], ['complete', (state as { run: string }).run]);
  });

  it('stops at its next checkpoint, and goes on from there with what it had read', async () => {
    const bucket = await filled();
    const controller = new AbortController();
    const stopped = await bucket.collector(DELETED).collect({
      signal: controller.signal,
      onProgress: () => controller.abort(), // after the first repository
    });
    assert.equal(stopped.kind, 'interrupted');
    const resumed = await bucket.collect(DELETED);
    assert.equal('run' in stopped && stopped.run, resumed.run);
    const marked = keysOf(resumed, 'mark', 'bytes');
    assert.equal(marked.length, 1, 'the linked bytes are known from the first part');
  });

  it('leaves storage alone that Stowage has not written to, or older programs may write to', async () => {
    const storage = new MemoryStorage();
    const bucket = await Bucket.inMemory(storage);
    const refused = async (record: string | undefined) => {
      if (record === undefined) await storage.delete(layout.layoutVersion());
      else await bucket.put(layout.layoutVersion(), record);
      const before = storage.objects.size;
      const { kind } = await bucket.collector().collect();
      assert.equal(storage.objects.size, before);
      return kind === 'refused';
    };
    assert.ok(await refused(undefined));
    assert.ok(await refused('{"layout": 1, "minWriter": 1}'));
    const raised = '{"layout": 2, "minWriter": 2, "minWriterSince": "2026-01-02T03:04:05.000Z"}';
    assert.ok(await refused(raised));
    await bucket.put('oci/digests/sha256/ab/uuid' as Key, '');
    bucket.pass(26 * 60 * 60_000);
    assert.equal((await bucket.collector().collect()).kind, 'refused', 'bytes of layout 1');
    await storage.delete('oci/digests/sha256/ab/uuid' as Key);
    assert.equal((await bucket.collector().collect()).kind, 'complete');
  });

  it('tells by the clock of storage whether older programs may still write', async () => {
    const bucket = await Bucket.inMemory();
    await bucket.put(layout.layoutVersion(), '{"layout": 2, "minWriter": 2, "minWriterSince": "1970-01-01T00:00:00Z"}');
    const collectWhere = async (processIsAheadMs: number) => {
      const now = () => new Date(bucket.now().getTime() + processIsAheadMs);
      const { storage, undoMs } = bucket;
      const stages = collectorStages({ undoMs, findSources: async () => new Set() });
      return (await new Collector(storage, { stages, now }).collect()).kind;
    };
    assert.equal(await collectWhere(48 * 60 * 60_000), 'refused');
    bucket.pass(26 * 60 * 60_000);
    assert.equal(await collectWhere(-48 * 60 * 60_000), 'complete');
  });

  it('leaves a link that a writer makes live between the listing and the removal', async () => {
    for (const honorsDeleteConditions of [true, false]) {
      const storage = new MemoryStorage({ honorsDeleteConditions });
      const bucket = await Bucket.inMemory(storage);
      const { link, key } = await bucket.blob('late/delete', 'late');
      bucket.age();
      await bucket.collect();
      assert.ok(await bucket.isCondemned(link));
      bucket.grace();
      const live = encodeBlobLink({ key, sizeBytes: 4 });
      const driver = alterDriver(storage, (original) => ({
        delete: async (at, options) => {
          if (at === link) await original.put(link, live);
          return await original.delete(at, options);
        },
        put: async (at, body, options) => {
          if (at === link) await original.put(link, live);
          return await original.put(at, body, options);
        },
      }));
      const { times, now, undoMs } = bucket;
      await new Collector(driver, { stages: stagesOf({ undoMs }), times, now }).collect();
      assert.deepEqual((await storage.read(link))?.bytes, live);
    }
  });

  it('only condemns by a late condemnation of a link that is named by then, and revives it', async () => {
    const storage = new MemoryStorage();
    const bucket = await Bucket.inMemory(storage);
    const { link, digest } = await bucket.blob('stale/condemnation', 'stale');
    bucket.age();
    const driver = alterDriver(storage, (original) => ({
      put: async (at, body, options) => {
        if (at === link) {
          const manifest = await bucket.manifest('stale/condemnation', { blobs: [digest] });
          await bucket.tag('stale/condemnation', 'v', manifest.digest);
        }
        return await original.put(at, body, options);
      },
    }));
    const { times, now, undoMs } = bucket;
    await new Collector(driver, { stages: stagesOf({ undoMs }), times, now }).collect();
    assert.ok(await bucket.isCondemned(link));
    bucket.grace();
    await bucket.collect();
    assert.ok((await bucket.has(link)) && !(await bucket.isCondemned(link)));
  });

  it('reads each manifest once, and tags that name manifests never', async () => {
    const storage = new MemoryStorage();
    const bucket = await Bucket.inMemory(storage);
    for (let image = 0; image < 20; image++) await bucket.image('many/tags', `${image}`, `v${image}`);
    bucket.age();
    await bucket.collect();
    storage.requests.GET = 0;
    await bucket.collect();
    assert.ok((storage.requests.GET ?? 0) <= 8, `${storage.requests.GET}`);
    assert.ok(await bucket.has(layout.manifestEdges(parseRepositoryName('many/tags'))));
  });
});
