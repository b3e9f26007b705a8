import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Slots } from '../../lib/concurrency/slots.ts';

/** Tasks that end when the test says so, in the order in which they were started. */
function controlled(slots: Slots) {
  const started: string[] = [];
  const ends: (() => void)[] = [];
  const add = (caller: string, name: string) =>
    slots.run(() => {
      started.push(name);
      return new Promise<string>((resolve) => ends.push(() => resolve(name)));
    }, caller);
  const endNext = async () => {
    ends.shift()?.();
    await new Promise(setImmediate);
  };
  return { started, add, endNext };
}

it('callers take turns, however many tasks one of them has', async () => {
  const { started, add, endNext } = controlled(new Slots({ atOnce: 2 }));
  const all = [1, 2, 3, 4, 5, 6].map((number) => add('a', `a${number}`));
  all.push(add('b', 'b1'), add('b', 'b2'), add('c', 'c1'));
  assert.deepEqual(started, ['a1', 'a2']);
  for (let ended = 0; ended < all.length; ended++) await endNext();
  assert.deepEqual(started, ['a1', 'a2', 'a3', 'b1', 'c1', 'a4', 'b2', 'a5', 'a6']);
  assert.deepEqual(await Promise.all(all), ['a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'b1', 'b2', 'c1']);
});

it('a task that fails passes its slot on', async () => {
  const slots = new Slots({ atOnce: 1 });
  const failed = slots.run(() => Promise.reject(new Error('broken')));
  const next = slots.run(async () => 'done');
  await assert.rejects(failed, /broken/);
  assert.equal(await next, 'done');
});

it('as many tasks run at once as there are slots, also after all have ended', async () => {
  const { started, add, endNext } = controlled(new Slots({ atOnce: 3 }));
  for (const round of [1, 2]) {
    const all = [1, 2, 3, 4].map((number) => add('a', `${round}.${number}`));
    assert.equal(started.length, (round - 1) * 4 + 3);
    for (let ended = 0; ended < 4; ended++) await endNext();
    await Promise.all(all);
  }
});

it('a task beyond the number that may wait is refused with UNAVAILABLE and does not run; the others go on', async () => {
  const { started, add, endNext } = controlled(new Slots({ atOnce: 1, maxWaiting: 2 }));
  const all = [add('a', 'a1'), add('a', 'a2'), add('b', 'b1')];
  await assert.rejects(add('c', 'c1'), { code: 'UNAVAILABLE' });
  await endNext();
  all.push(add('c', 'c2'));
  for (let ended = 0; ended < 3; ended++) await endNext();
  assert.deepEqual(started, ['a1', 'a2', 'b1', 'c2']);
  assert.deepEqual(await Promise.all(all), ['a1', 'a2', 'b1', 'c2']);
});
