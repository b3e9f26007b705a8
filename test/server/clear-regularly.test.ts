import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { layout } from '../../lib/model/layout.ts';
import { createLog } from '../../lib/model/log.ts';
import { clearRemainsRegularly } from '../../lib/server/clear-regularly.ts';
import { alterDriver } from '../storage/altered-driver.ts';
import { MemoryStorage } from '../storage/memory.ts';

const log = createLog('error', () => true);
const [old, young] = ['old', 'young'].map((name) => layout.uploadScrap(name));

async function withRemains(): Promise<MemoryStorage> {
  const storage = new MemoryStorage();
  const toNow = Date.now() - storage.now.getTime();
  storage.pass(toNow - 49 * 60 * 60_000);
  for (const key of [old, layout.robot('r')]) if (key) await storage.put(key, new Uint8Array(1));
  storage.pass(49 * 60 * 60_000);
  if (young) await storage.put(young, new Uint8Array(1));
  return storage;
}

describe('a server without a schedule of the collector', () => {
  it('deletes remains of uploads that are older than two days, and nothing else', async () => {
    const storage = await withRemains();
    const stop = clearRemainsRegularly({ storage, log }, { firstPauseMs: 1 });
    while (old && (await storage.head(old))) await sleep(5);
    stop();
    assert.deepEqual([...storage.objects.keys()].toSorted(), [layout.robot('r'), young]);
  });

  it('tries again where storage does not answer', async () => {
    const storage = await withRemains();
    let attempts = 0;
    const driver = alterDriver(storage, (original) => ({
      delete: async (key, options) => {
        if (++attempts === 1) throw new Error('no answer');
        return await original.delete(key, options);
      },
    }));
    const stop = clearRemainsRegularly({ storage: driver, log }, { firstPauseMs: 1, everyMs: 1 });
    while (old && (await storage.head(old))) await sleep(5);
    stop();
    assert.ok(attempts >= 2);
  });
});
