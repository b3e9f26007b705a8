import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LruCache } from '../../lib/model/lru-cache.ts';

describe('an LRU cache', () => {
  it('drops the entry that was not used for longest', () => {
    const cache = new LruCache<string, number>({ max: 2 });
    cache.set('a', 1);
    cache.set('b', 2);
    assert.equal(cache.get('a'), 1);
    cache.set('c', 3);
    assert.deepEqual([cache.get('a'), cache.get('b'), cache.get('c')], [1, undefined, 3]);
  });

  it('does not take a look for a use', () => {
    const cache = new LruCache<string, number>({ max: 2 });
    cache.set('a', 1);
    cache.set('b', 2);
    assert.equal(cache.has('a') && cache.holds('a') && cache.remainingMs('a') > 0, true);
    cache.set('c', 3);
    assert.equal(cache.has('a'), false);
  });

  it('bounds the bytes of its values, and keeps none that is larger than all of it', () => {
    const cache = new LruCache<string, string>({ maxBytes: 10, bytesOf: ({ length }) => length });
    cache.set('a', 'xxxxx');
    cache.set('b', 'xxxxx');
    cache.set('b', 'xxxx');
    cache.set('c', 'x');
    assert.deepEqual([cache.has('a'), cache.has('b'), cache.has('c')], [true, true, true]);
    cache.set('d', 'x');
    assert.deepEqual([cache.has('a'), cache.has('b'), cache.has('c'), cache.has('d')], [false, true, true, true]);
    cache.set('b', 'x'.repeat(11));
    assert.deepEqual([cache.has('b'), cache.has('c')], [false, true]);
  });

  it('forgets an entry once its time is over', () => {
    let now = 0;
    const cache = new LruCache<string, number>({ ttlMs: 10, now: () => now });
    cache.set('a', 1);
    cache.set('b', 2, { ttlMs: 20 });
    now = 10;
    assert.equal(cache.get('a'), 1);
    now = 11;
    assert.deepEqual([cache.has('a'), cache.holds('a'), cache.remainingMs('a')], [false, true, -1]);
    assert.equal(cache.get('a'), undefined);
    assert.deepEqual([cache.holds('a'), cache.remainingMs('a') < 0, cache.get('b')], [false, true, 2]);
  });

  it('loads a value once for simultaneous callers, and keeps it', async () => {
    const cache = new LruCache<string, number>({});
    let loads = 0;
    const load = async () => ++loads;
    assert.deepEqual(await Promise.all([cache.fetch('a', load), cache.fetch('a', load)]), [1, 1]);
    assert.equal(await cache.fetch('a', load), 1);
    cache.delete('a');
    assert.equal(await cache.fetch('a', load), 2);
  });

  it('keeps no failure', async () => {
    const cache = new LruCache<string, number>({});
    const failing = () => Promise.reject(new Error('no'));
    await assert.rejects(Promise.all([cache.fetch('a', failing), cache.fetch('a', failing)]), /no/);
    assert.equal(await cache.fetch('a', async () => 1), 1);
  });

  it('keeps no value whose key was deleted while it was loaded', async () => {
    const cache = new LruCache<string, number>({});
    const { promise, resolve } = Promise.withResolvers<number>();
    const loading = cache.fetch('a', () => promise);
    cache.delete('a');
    resolve(1);
    assert.equal(await loading, 1);
    assert.equal(cache.has('a'), false);
  });
});
