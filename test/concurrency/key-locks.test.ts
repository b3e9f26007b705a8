import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { SharedKeyLocks } from '../../lib/concurrency/key-locks.ts';

describe('shared and exclusive locks', () => {
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
      shared: (name: string, key = 'k') => locks.shared(key, task(name)),
      exclusive: (name: string, key = 'k') => locks.exclusive(key, task(name)),
      running,
      async end(name: string) {
        ends.get(name)?.();
        await turn();
      },
    };
  }

  test('shared tasks run at once; an exclusive task waits for them, and later shared tasks wait for it', async () => {
    const { shared, exclusive, running, end } = startTasks();
    const all = [shared('a'), shared('b'), exclusive('alone'), exclusive('other', 'another key')];
    await turn();
    all.push(shared('later'));
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

  test('exclusive tasks run one after the other, and a shared task that waits runs between them', async () => {
    const { shared, exclusive, running, end } = startTasks();
    const all = [exclusive('first'), exclusive('second')];
    await turn();
    all.push(shared('shared'));
    assert.deepEqual([...running], ['first']);
    await end('first');
    assert.deepEqual([...running], ['shared']);
    await end('shared');
    assert.deepEqual([...running], ['second']);
    await end('second');
    await Promise.all(all);
  });

  test('a task that fails releases the lock', async () => {
    const locks = new SharedKeyLocks();
    const fail = () => Promise.reject(new Error('no'));
    await assert.rejects(locks.shared('k', fail), /no/);
    await assert.rejects(locks.exclusive('k', fail), /no/);
    assert.equal(await locks.shared('k', async () => 1), 1);
  });
});
