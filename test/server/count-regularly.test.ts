import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLog } from '../../lib/model/log.ts';
import type { CollectorState } from '../../lib/registry/collector/state.ts';
import { assembleRegistry, type Registry } from '../../lib/registry/registry.ts';
import { countRegularly } from '../../lib/server/count-regularly.ts';
import { MemoryStorage } from '../storage/memory.ts';
import { until } from '../support/until.ts';

const SOON = { firstPauseMs: 5, spreadMs: 0, checkMs: 5 };

describe('usage runs for quotas', () => {
  const log = createLog('critical');
  const open = (storage: MemoryStorage, ...patterns: string[]): Registry =>
    assembleRegistry(storage, {
      copiesLayers: true,
      quotas: { quotas: patterns.map((pattern) => ({ repositories: [pattern], limitBytes: 10 })), log },
    });
  /** The schedule starts this many usage runs, and no more in a short time. */
  const assertRuns = async (expected: number, registry: Registry, state?: Partial<CollectorState>): Promise<void> => {
    let count = 0;
    const collections = { state: async () => state } as Registry['collections'];
    const usage = {
      run: async (options: object) => {
        count++;
        return await registry.usage.run(options);
      },
    } as Registry['usage'];
    const stop = countRegularly({ registry: { ...registry, usage, collections }, log }, SOON);
    await until(() => count >= expected, 'no run starts');
    await sleep(150);
    await stop();
    assert.equal(count, expected);
  };

  it('one where nothing was counted yet, and no other on the same day, also after a restart', async () => {
    const storage = new MemoryStorage();
    await assertRuns(1, open(storage, 'team/*'));
    await assertRuns(0, open(storage, 'team/*'));
  });

  it('one for a further quota', async () => {
    const storage = new MemoryStorage();
    await assertRuns(1, open(storage, 'team/*'));
    await assertRuns(1, open(storage, 'team/*', '*'));
  });

  it('one where a collection ended an hour ago and nothing was counted since', async () => {
    const storage = new MemoryStorage();
    const registry = open(storage, 'team/*');
    await registry.quotas.record(new Date(Date.now() - 4_000_000).toISOString(), []);
    await assertRuns(0, registry, { endedAt: new Date(Date.now() - 5_000_000).toISOString() });
    await assertRuns(0, registry, { endedAt: new Date().toISOString() });
    await assertRuns(1, registry, { endedAt: new Date(Date.now() - 3_700_000).toISOString() });
  });

  it('one a day', async () => {
    const registry = open(new MemoryStorage(), 'team/*');
    await registry.quotas.record(new Date(Date.now() - 86_400_000).toISOString(), []);
    await assertRuns(1, registry);
  });
});
