import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConcurrencyLimit } from '../../lib/limits/concurrency-limit.ts';
import type { Slot } from '../../lib/limits/slot.ts';
import { RegistryError } from '../../lib/model/errors.ts';

const what = 'uploads';

describe('a limit on concurrency', () => {
  it('runs as many as it allows, and starts the others in the order they came', async () => {
    const limit = new ConcurrencyLimit({ what, atOnce: 3 }); // too few to keep some back
    const started: number[] = [];
    let running = 0;
    let most = 0;
    const all = Array.from({ length: 20 }, (_, index) =>
      limit.run('alice', async () => {
        started.push(index);
        most = Math.max(most, ++running);
        await sleep(Math.random() * 5);
        running--;
        if (index % 4 === 0) throw new Error('this one fails');
      }),
    );
    const failed = (await Promise.allSettled(all)).filter(({ status }) => status === 'rejected');
    assert.equal(failed.length, 5);
    assert.equal(most, 3);
    assert.deepEqual(started, [...started.keys()]);
    assert.equal(await limit.run('alice', async () => 'free again'), 'free again');
    assert.deepEqual([limit.running, limit.waiting], [0, 0]);
  });

  it('refuses a request that has waited too long, and gives it no slot', async () => {
    const limit = new ConcurrencyLimit({ what, atOnce: 1, waitMs: 50 });
    const first = await limit.acquire('alice');
    await assert.rejects(limit.acquire('alice'), (error) => {
      assert.ok(error instanceof RegistryError);
      assert.deepEqual([error.code, error.headers], ['UNAVAILABLE', { 'Retry-After': '5' }]);
      return true;
    });
    const next = limit.run('alice', async () => 'next');
    first.release();
    assert.equal(await next, 'next');
  });

  for (const [title, bounds] of [
    ['all callers together', { maxWaiting: 0 }],
    ['each caller', { maxWaitingPerCaller: 0 }],
  ] as const) {
    it(`keeps nothing of the callers that it refuses at once, where the waiting requests of ${title} are bounded`, async () => {
      const limit = new ConcurrencyLimit({ what, atOnce: 1, ...bounds });
      const slot = await limit.acquire('alice');
      for (const caller of ['bob', 'carol', 'alice']) await assert.rejects(limit.acquire(caller), RegistryError);
      assert.equal(limit.callers, 1);
      slot.release();
      assert.equal(limit.callers, 0);
    });
  }

  it('keeps a quarter of the slots for callers with few slots', async () => {
    const limit = new ConcurrencyLimit({ what, atOnce: 20, waitMs: 50 });
    const end = Promise.withResolvers<void>();
    const take = (caller: string) => limit.run(caller, () => end.promise);
    const greedy = Array.from({ length: 40 }, (_, index) => take(index % 2 === 0 ? 'alice' : 'bob'));
    assert.equal(await limit.run('carol', async () => 'served'), 'served');
    const few = Array.from({ length: 5 }, () => take('carol'));
    const settled = Promise.allSettled(greedy);
    await assert.rejects(take('dave'), { code: 'UNAVAILABLE' }); // now all 20 are taken
    end.resolve();
    const served = (await settled).filter(({ status }) => status === 'fulfilled');
    assert.equal(served.length, 15);
    await Promise.all(few);
  });

  it('gives a free slot to the caller with the fewest slots', async () => {
    const limit = new ConcurrencyLimit({ what, atOnce: 4 });
    const slots = await Promise.all(Array.from({ length: 4 }, () => limit.acquire('alice')));
    const order: string[] = [];
    const waiting = ['alice', 'alice', 'bob', 'carol'].map((caller) =>
      limit.acquire(caller).then((slot) => {
        order.push(caller);
        return slot;
      }),
    );
    for (const slot of slots) {
      slot.release();
      await sleep(1);
    }
    assert.deepEqual(order, ['bob', 'carol', 'alice', 'alice']);
    for (const slot of await Promise.all(waiting)) slot.release();
    assert.equal(limit.running, 0);
  });

  it('makes only the caller with too many slots wait', async () => {
    const limit = new ConcurrencyLimit({ what, atOnce: 20, perCaller: 2, waitMs: 2000 });
    const [first] = [await limit.acquire('alice'), await limit.acquire('alice')];
    const third = limit.acquire('alice');
    assert.equal(await limit.run('bob', async () => 'served'), 'served');
    assert.equal(limit.waiting, 1);
    first.release();
    (await third).release();
  });

  it('refuses with 429 if the caller is at its own limit, with 503 if the process is full', async () => {
    const own = new ConcurrencyLimit({ what, atOnce: 20, perCaller: 1, waitMs: 20 });
    await own.acquire('alice');
    await assert.rejects(own.acquire('alice'), { code: 'TOOMANYREQUESTS', headers: { 'Retry-After': '5' } });
    const full = new ConcurrencyLimit({ what, atOnce: 1, waitMs: 20 });
    await full.acquire('alice');
    await assert.rejects(full.acquire('bob'), { code: 'UNAVAILABLE', headers: { 'Retry-After': '5' } });
  });

  it('limits how many requests wait, for one caller and in all', async () => {
    const limit = new ConcurrencyLimit({ what, atOnce: 1, waitMs: 5000, maxWaitingPerCaller: 2, maxWaiting: 3 });
    const first = await limit.acquire('alice');
    const waiting = [limit.acquire('alice'), limit.acquire('alice')];
    await assert.rejects(limit.acquire('alice'), { code: 'TOOMANYREQUESTS' });
    waiting.push(limit.acquire('bob'));
    await assert.rejects(limit.acquire('bob'), { code: 'UNAVAILABLE' });
    first.release();
    await Promise.all(waiting.map(async (slot) => (await slot).release()));
    assert.equal(limit.running, 0);
  });

  it('forgets a request whose client goes away', async () => {
    const limit = new ConcurrencyLimit({ what, atOnce: 1 });
    const first = await limit.acquire('alice');
    const gone = new AbortController();
    const waiting = limit.acquire('bob', gone.signal);
    gone.abort();
    await assert.rejects(waiting, /went away/);
    assert.equal(limit.waiting, 0);
    first.release();
    assert.equal(limit.running, 0);
  });

  describe('with clients that stall', () => {
    const options = { what, atOnce: 2, pace: { stallMs: 100, minBytesPerSecond: 1000 }, waitMs: 2000 };

    it('leaves them alone while no request waits', async () => {
      const limit = new ConcurrencyLimit(options);
      const slot = await stalledSlot(limit);
      await sleep(300);
      assert.equal(slot.signal.aborted, false);
    });

    it('cuts off one for each request that waits', async () => {
      const cutOff: Slot[] = [];
      const limit = new ConcurrencyLimit({ ...options, onCutOff: (slot) => cutOff.push(slot) });
      const stalled = [await stalledSlot(limit), await stalledSlot(limit)];
      const slot = await limit.acquire('bob');
      assert.equal(stalled.filter(({ signal }) => signal.aborted).length, 1);
      assert.equal(cutOff.length, 1);
      assert.throws(() => cutOff[0]?.signal.throwIfAborted(), { code: 'UNAVAILABLE' });
      slot.release();
    });

    it('leaves clients alone that are fast enough or wait for storage', async (t) => {
      let nowMs = performance.now();
      t.mock.method(performance, 'now', () => nowMs);
      const limit = new ConcurrencyLimit({ ...options, waitMs: 300 });
      const [moving, waitingForStorage] = [await stalledSlot(limit), await stalledSlot(limit)];
      waitingForStorage.isWaitingForClient = false;
      for (let moves = 0; moves < 25; moves++) {
        nowMs += 20;
        moving.moved(100);
      }
      nowMs += 20;
      await assert.rejects(limit.acquire('bob'), { code: 'UNAVAILABLE' });
      assert.deepEqual([moving.signal.aborted, waitingForStorage.signal.aborted], [false, false]);
    });

    it('cuts off no other caller for a request that waits for its own caller', async () => {
      const limit = new ConcurrencyLimit({ ...options, atOnce: 20, perCaller: 1, waitMs: 500 });
      const alice = await stalledSlot(limit, 'alice');
      const bob = await stalledSlot(limit, 'bob');
      (await limit.acquire('alice')).release();
      assert.deepEqual([alice.signal.aborted, bob.signal.aborted], [true, false]);
    });
  });
});

async function stalledSlot(limit: ConcurrencyLimit, caller = 'alice'): Promise<Slot> {
  const slot = await limit.acquire(caller);
  slot.isWaitingForClient = true;
  return slot;
}
