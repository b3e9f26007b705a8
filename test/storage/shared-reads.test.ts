import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SharedReads } from '../../lib/storage/shared-reads.ts';

/** Reads that the test ends; each returns its number. */
function newReads() {
  const ends: (() => void)[] = [];
  const reads = new SharedReads<number>();
  const read = (key = 'a') =>
    reads.read(key, async () => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const number = ends.push(resolve);
      if (number === failing) reject(new Error('no answer'));
      await promise;
      return number;
    });
  let failing = 0;
  return { ends, read, fail: (number: number) => (failing = number) };
}

/** Lets all pending callbacks run. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('reads of one key', () => {
  test('run at once while they are few', async () => {
    const { ends, read } = newReads();
    const all = [read(), read()];
    assert.equal(ends.length, 2);
    for (const end of ends) end();
    assert.deepEqual(await Promise.all(all), [1, 2]);
  });

  test('beyond two share the next read that has not started', async () => {
    const { ends, read } = newReads();
    const first = [read(), read()];
    const late = [read(), read(), read()];
    await settle();
    assert.equal(ends.length, 2);
    ends[1]?.();
    await settle();
    assert.equal(ends.length, 3);
    const later = read(); // the third has begun: it may be older than what this one has to see
    for (let number = 0; number < 4; number++) {
      await settle();
      ends[number]?.();
    }
    assert.deepEqual(await Promise.all([...first, ...late, later]), [1, 2, 3, 3, 3, 4]);
  });

  test('do not wait for reads of another key', async () => {
    const { ends, read } = newReads();
    const busy = Array.from({ length: 9 }, () => read('a'));
    const other = read('b');
    assert.equal(ends.length, 3);
    ends[2]?.();
    assert.equal(await other, 3);
    for (const end of ends) end();
    await settle();
    for (const end of ends) end();
    await Promise.all(busy);
  });

  test('that fail do so for all callers that share them, and for no later caller', async () => {
    const { ends, read, fail } = newReads();
    fail(3);
    const first = [read(), read()];
    const sharing = Promise.allSettled([read(), read()]);
    ends[0]?.();
    assert.deepEqual(
      (await sharing).map(({ status }) => status),
      ['rejected', 'rejected'],
    );
    const later = read();
    for (const end of ends) end();
    assert.deepEqual(await Promise.all([...first, later]), [1, 2, 4]);
  });
});
