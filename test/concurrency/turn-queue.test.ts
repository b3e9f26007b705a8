import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { TurnQueue } from '../../lib/concurrency/turn-queue.ts';

const numbersTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

it('tasks run in their order, some of them in each turn of the event loop', async () => {
  const queue = new TurnQueue(3);
  const started: number[] = [];
  for (const number of numbersTo(7)) queue.run(() => started.push(number));
  const counts = [started.length];
  for (let turn = 0; turn < 3; turn++) {
    await nextTurn();
    counts.push(started.length);
  }
  assert.deepEqual(counts, [3, 6, 7, 7]);
  assert.deepEqual(started, numbersTo(7));
});

it('a task that comes while others wait runs after them', async () => {
  const queue = new TurnQueue(1);
  const started: number[] = [];
  queue.run(() => {
    started.push(1);
    queue.run(() => started.push(3));
  });
  queue.run(() => started.push(4));
  assert.deepEqual(started, [1]);
  for (let turn = 0; turn < 4; turn++) await nextTurn();
  assert.deepEqual(started, [1, 3, 4]);
});

it('tasks that come one by one never wait for long', async () => {
  const queue = new TurnQueue(2);
  for (const number of numbersTo(9)) {
    let isStarted = false;
    queue.run(() => (isStarted = true));
    if (!isStarted) await nextTurn();
    assert.equal(isStarted, true, String(number));
  }
});
