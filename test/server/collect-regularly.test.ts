import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { layout } from '../../lib/model/layout.ts';
import { createLog } from '../../lib/model/log.ts';
import { Collections } from '../../lib/registry/collector/collections.ts';
import type { AroundCollection } from '../../lib/server/around-collection.ts';
import { collectRegularly, loggedStart } from '../../lib/server/collect-regularly.ts';
import { Bucket } from '../registry/collector/bucket.ts';
import { MemoryStorage } from '../storage/memory.ts';
import { until } from '../support/until.ts';

/** Counts what a schedule does around its runs. */
function countedAround(): AroundCollection & { calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    before: async () => void calls.push('before'),
    after: async () => void calls.push('after'),
  };
}

const SOON = { firstPauseMs: 5, spreadMs: 0, checkMs: 5 };

/** How long a test waits to see that nothing more happens. */
const REST_MS = 150;

/**
 * A schedule over storage in memory, until `isEnough` and a moment longer.
 * @returns the messages of its log
 */
async function schedule(
  everyMs: number,
  isEnough: (messages: string[]) => boolean,
  { storage = new MemoryStorage(), around = countedAround() as AroundCollection } = {},
): Promise<string[]> {
  const bucket = await Bucket.inMemory(storage);
  const messages: string[] = [];
  const log = createLog('info', (line) => messages.push((JSON.parse(line) as { message: string }).message) > 0);
  const collections = new Collections(bucket.collector({ now: () => new Date() }));
  const stop = collectRegularly({ collections, start: loggedStart(collections, log), log, everyMs, around }, SOON);
  await until(() => isEnough(messages), 'too little is collected');
  await sleep(REST_MS);
  stop();
  await collections.stop();
  return messages;
}

describe('the schedule of the collector', () => {
  it('starts a run each time the interval has passed', async () => {
    const messages = await schedule(1, ({ length }) => length > 1);
    assert.deepEqual([...new Set(messages)], ['collection complete']);
  });

  it('starts none after a restart until the interval has passed since the last run', async () => {
    const storage = new MemoryStorage();
    assert.deepEqual(await schedule(60_000, ({ length }) => length > 0, { storage }), ['collection complete']);
    assert.deepEqual(await schedule(60_000, () => true, { storage }), []);
  });

  it('says when it looks next, until it is stopped', async () => {
    const collections = new Collections((await Bucket.inMemory()).collector());
    const log = createLog('critical');
    const start = loggedStart(collections, log);
    const before = Date.now();
    const stop = collectRegularly(
      { collections, start, log, everyMs: 1, around: countedAround() },
      { firstPauseMs: 600_000, spreadMs: 600_000 },
    );
    const at = collections.nextCheckAt?.getTime() ?? 0;
    assert.ok(at >= before + 600_000 && at <= Date.now() + 1_200_000);
    stop();
    assert.equal(collections.nextCheckAt, undefined);
  });

  it('applies the retention rules before each run, and counts usage after it', async () => {
    const around = countedAround();
    await schedule(60_000, () => around.calls.includes('after'), { around });
    assert.deepEqual(around.calls, ['before', 'after']);
  });

  it('logs how long a run took, what it removed, and when the next one is due', async () => {
    const storage = new MemoryStorage();
    const bucket = await Bucket.inMemory(storage);
    await bucket.put(layout.uploadScrap('left'), 'of an upload');
    bucket.age();
    const lines: string[] = [];
    const log = createLog('info', (line) => lines.push(line) > 0);
    const collections = new Collections(bucket.collector());
    await loggedStart(collections, log, 60_000)()?.outcome;
    const entry = JSON.parse(lines[0] ?? '{}') as Record<string, unknown>;
    assert.equal(entry.message, 'collection complete');
    assert.equal(entry.removedBytes, 'of an upload'.length);
    assert.equal(entry.problems, 0);
    assert.equal(typeof entry.durationSeconds, 'number');
    assert.ok(Date.parse(String(entry.nextAt)) > Date.now());
  });

  it('says why nothing is collected, and does not try again at once', async () => {
    const lines: string[] = [];
    const log = createLog('info', (line) => lines.push(line) > 0);
    const bucket = await Bucket.inMemory();
    await bucket.put('oci/layout.json' as never, '{"layout": 1, "minWriter": 1}');
    const collections = new Collections(bucket.collector());
    const around = countedAround();
    const stop = collectRegularly({ collections, start: loggedStart(collections, log), log, everyMs: 1, around }, SOON);
    await until(() => lines.length > 0, 'nothing is said');
    await sleep(REST_MS);
    stop();
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? '', /minWriter 1/);
    assert.deepEqual(around.calls, ['before']);
  });
});
