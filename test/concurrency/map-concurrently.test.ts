import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { mapConcurrently } from '../../lib/concurrency/map-concurrently.ts';

describe('mapConcurrently', () => {
  it('gives the results in the order of the items', async () => {
    const delays = [3, 1, 2, 0];
    const results = await mapConcurrently(delays, async (delay) => {
      for (let turn = 0; turn < delay; turn++) await setImmediate();
      return delay;
    });
    assert.deepEqual(results, delays);
  });

  it('runs at most so many items at once', async () => {
    let running = 0;
    let most = 0;
    const count = async () => {
      most = Math.max(most, ++running);
      await setImmediate();
      running--;
    };
    await mapConcurrently(Array(10).fill(0), count, 3);
    assert.equal(most, 3);
  });

  it('starts nothing after a failure, and rejects with it once the running items have ended', async () => {
    const failed = new Error('the first');
    const ended: number[] = [];
    const run = async (item: number) => {
      if (item === 0) throw failed;
      await setImmediate();
      ended.push(item);
    };
    await assert.rejects(mapConcurrently([0, 1, 2, 3, 4], run, 3), failed);
    assert.deepEqual(ended, [1, 2]);
  });
});
