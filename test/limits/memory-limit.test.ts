import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Hold, MemoryLimit } from '../../lib/limits/memory-limit.ts';

const ALICE = { caller: 'alice', isUnknown: false };
const BOB = { caller: 'bob', isUnknown: false };
const UNKNOWN = { caller: 'address 192.0.2.1', isUnknown: true };
const ALSO_UNKNOWN = { caller: 'address 192.0.2.2', isUnknown: true };

const pace = { stallMs: 100, minBytesPerSecond: 1000 };

async function holding(limit: MemoryLimit, holder: typeof ALICE, bytes: number): Promise<Hold> {
  const hold = limit.open(holder);
  await hold.take(bytes);
  return hold;
}

describe('a limit on memory', () => {
  it('lets a request go on while there is memory, and makes others wait', async () => {
    const limit = new MemoryLimit({ maxBytes: 100 });
    const alice = limit.open(ALICE);
    assert.equal(alice.take(50), undefined);
    await holding(limit, BOB, 50);
    const carol = limit.open({ caller: 'carol', isUnknown: false });
    const waiting = carol.take(10);
    assert.equal(limit.waiting, 1);
    alice.release();
    await waiting;
    assert.equal(limit.heldBytes, 60);
  });

  it('gives one caller half of it at most', async () => {
    const limit = new MemoryLimit({ maxBytes: 100, waitMs: 20 });
    await holding(limit, ALICE, 40);
    await assert.rejects(holding(limit, ALICE, 20), { code: 'TOOMANYREQUESTS', headers: { 'Retry-After': '5' } });
    await holding(limit, BOB, 50);
    assert.equal(limit.heldBytes, 90);
  });

  it('gives all callers that have not logged in a quarter at most', async () => {
    const limit = new MemoryLimit({ maxBytes: 100, waitMs: 20 });
    await holding(limit, UNKNOWN, 20);
    await assert.rejects(holding(limit, ALSO_UNKNOWN, 10), { code: 'UNAVAILABLE', headers: { 'Retry-After': '5' } });
    await holding(limit, ALICE, 50);
    await holding(limit, BOB, 30);
  });

  it('lets the oldest request exceed the limit, so that no request waits for ever', async () => {
    const limit = new MemoryLimit({ maxBytes: 100 });
    const oldest = await holding(limit, ALICE, 50);
    const second = await holding(limit, BOB, 50);
    const waiting = second.take(50);
    await oldest.take(50);
    assert.equal(limit.heldBytes, 150);
    oldest.release();
    await waiting;
    second.release();
    assert.deepEqual([limit.heldBytes, limit.waiting], [0, 0]);
  });

  it('cuts off stalled clients while others wait for the memory they hold', async () => {
    const limit = new MemoryLimit({ maxBytes: 100, pace, waitMs: 2000 });
    const [stalled, moving] = [await holding(limit, ALICE, 50), await holding(limit, BOB, 50)];
    stalled.slot.isWaitingForClient = true;
    const carol = await holding(limit, { caller: 'carol', isUnknown: false }, 10);
    assert.throws(() => stalled.slot.signal.throwIfAborted(), { code: 'UNAVAILABLE' });
    assert.throws(() => stalled.take(1), { code: 'UNAVAILABLE' });
    assert.equal(moving.slot.signal.aborted, false);
    assert.equal(limit.heldBytes, 60);
    carol.release();
  });

  it('forgets a request whose client goes away', async () => {
    const limit = new MemoryLimit({ maxBytes: 100 });
    await holding(limit, ALICE, 50);
    const gone = new AbortController();
    const waiting = limit.open(ALICE).take(10, gone.signal);
    gone.abort();
    await assert.rejects(async () => await waiting, /went away/);
    assert.equal(limit.waiting, 0);
  });
});
