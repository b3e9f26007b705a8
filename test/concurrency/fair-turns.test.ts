import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FairTurns } from '../../lib/concurrency/fair-turns.ts';

/** Tasks that end when the test says so, in the order in which they were started. */
function controlled(turns: FairTurns) {
  const started: string[] = [];
  const ends: (() => void)[] = [];
  const add = (caller: string, name: string) =>
    turns.run(caller, () => {
      started.push(name);
      return new Promise<string>((resolve) => ends.push(() => resolve(name)));
    });
  const endNext = async () => {
    ends.shift()?.();
    await new Promise(setImmediate);
  };
  return { started, add, endNext };
}

it('callers take turns, however many tasks one of them has', async () => {
  const { started, add, endNext } = controlled(new FairTurns(2));
  const all = [1, 2, 3, 4, 5, 6].map((number) => add('a', `a${number}`));
  all.push(add('b', 'b1'), add('b', 'b2'), add('c', 'c1'));
  assert.deepEqual(started, ['a1', 'a2']);
  for (let ended = 0; ended < all.length; ended++) await endNext();
  assert.deepEqual(started, ['a1', 'a2', 'a3', 'b1', 'c1', 'a4', 'b2', 'a5', 'a6']);
  assert.deepEqual(await Promise.all(all), ['a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'b1', 'b2', 'c1']);
});

it('a task that fails hands its turn on', async () => {
  const turns = new FairTurns(1);
  const failed = turns.run('a', () => Promise.reject(new Error('broken')));
  const next = turns.run('a', async () => 'done');
  await assert.rejects(failed, /broken/);
  assert.equal(await next, 'done');
});

it('as many run at once as there are turns, also after a rest', async () => {
  const { started, add, endNext } = controlled(new FairTurns(3));
  for (const round of [1, 2]) {
    const all = [1, 2, 3, 4].map((number) => add('a', `${round}.${number}`));
    assert.equal(started.length, (round - 1) * 4 + 3);
    for (let ended = 0; ended < 4; ended++) await endNext();
    await Promise.all(all);
  }
});
