import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { inTurns, sortedInTurns } from '../../lib/concurrency/turns.ts';

/** Runs work, and counts the turns of the event loop that others got meanwhile. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  await work();
  isOver = true;
  return turns;
}

describe('work in turns', () => {
  it('sorts as toSorted does, with equal items in their order', async () => {
    const items = fc.array(fc.record({ by: fc.integer({ min: 0, max: 9 }), other: fc.integer() }));
    await fc.assert(
      fc.asyncProperty(items, fc.integer({ min: 1, max: 7 }), async (some, perTurn) => {
        const compare = (a: { by: number }, b: { by: number }) => a.by - b.by;
        assert.deepEqual(await sortedInTurns(some, compare, perTurn), some.toSorted(compare));
      }),
    );
  });

  it('lets other work run at least once for each 2,000 items that it sorts', async () => {
    const items = Array.from({ length: 100_000 }, (_, n) => (n * 7919) % 100_003);
    const turns = await turnsDuring(() => sortedInTurns(items, (a, b) => a - b));
    assert.ok(turns >= items.length / 2000, `${turns} turns`);
  });

  it('goes through all items once, and takes no turn for a short list', async () => {
    const seen: number[] = [];
    for await (const group of inTurns([1, 2, 3, 4, 5], 2)) seen.push(...group);
    assert.deepEqual(seen, [1, 2, 3, 4, 5]);
    const short = async () => {
      for await (const _ of inTurns([1, 2, 3]));
    };
    assert.equal(await turnsDuring(short), 0);
  });
});
