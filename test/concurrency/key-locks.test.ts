import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { SharedKeyLocks } from '../../lib/concurrency/key-locks.ts';

describe('a key that is shared or had alone', () => {
  function startTasks() {
    const locks = new SharedKeyLocks();
    const running = new Set<string>();
    const ends = new Map<string, () => void>();
    const task = (name: string) => async () => {
      running.add(name);
      const { promise, resolve } = Promise.withResolvers<void>();
      ends.set(name, resolve);
      await promise;
      running.delete(name);
    };
    return {
      share: (name: string, key = 'k') => locks.share(key, task(name)),
      haveAlone: (name: string, key = 'k') => locks.haveAlone(key, task(name)),
      running,
      async end(name: string) {
        ends.get(name)?.();
        await turn();
      },
    };
  }

  test('tasks that share it run at once; one that has it alone waits for them, and later ones for it', async () => {
    const { share, haveAlone, running, end } = startTasks();
    const all = [share('a'), share('b'), haveAlone('alone'), haveAlone('other', 'another key')];
    await turn();
    all.push(share('later'));
    assert.deepEqual([...running], ['a', 'b', 'other']);
    await end('a');
    assert.deepEqual([...running], ['b', 'other']);
    await end('b');
    assert.deepEqual([...running], ['other', 'alone']);
    await end('alone');
    assert.deepEqual([...running], ['other', 'later']);
    await end('other');
    await end('later');
    await Promise.all(all);
  });

  test('two that have it alone take turns, and those that share it come in between', async () => {
    const { share, haveAlone, running, end } = startTasks();
    const all = [haveAlone('first'), haveAlone('second')];
    await turn();
    all.push(share('shared'));
    assert.deepEqual([...running], ['first']);
    await end('first');
    assert.deepEqual([...running], ['shared']);
    await end('shared');
    assert.deepEqual([...running], ['second']);
    await end('second');
    await Promise.all(all);
  });

  test('a task that fails gives the key back', async () => {
    const locks = new SharedKeyLocks();
    const fail = () => Promise.reject(new Error('no'));
    await assert.rejects(locks.share('k', fail), /no/);
    await assert.rejects(locks.haveAlone('k', fail), /no/);
    assert.equal(await locks.share('k', async () => 1), 1);
  });
});
