import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BloomFilter } from '../../../lib/registry/collector/bloom-filter.ts';
import { concatBytes } from '../../../lib/streams/bytes.ts';

const names = (count: number, prefix: string) => Array.from({ length: count }, (_, index) => `${prefix}${index}`);

describe('a Bloom filter of the collector', () => {
  it('reports every name that was added, however far it has grown beyond its first layer', () => {
    const filter = BloomFilter.empty();
    const added = names(200_000, 'sha256:');
    for (const name of added) filter.add(name);
    assert.deepEqual(
      added.filter((name) => !filter.has(name)),
      [],
    );
    assert.ok(filter.count > 199_000);
  });

  it('reports at most one in 500 names that were not added', () => {
    const filter = BloomFilter.empty();
    for (const name of names(60_000, 'sha256:')) filter.add(name);
    const wrong = names(50_000, 'other').filter((name) => filter.has(name));
    assert.ok(wrong.length < 100, `${wrong.length}`);
  });

  it('takes 20 MB for ten million names', () => {
    assert.equal(BloomFilter.empty(10_000_000).sizeBytes, 20_000_000);
  });

  it('does not report the same names by mistake in two runs', () => {
    const [first, second] = [BloomFilter.empty(), BloomFilter.empty()];
    for (const name of names(65_000, 'sha256:')) for (const filter of [first, second]) filter.add(name);
    const wrong = (filter: BloomFilter) => names(50_000, 'other').filter((name) => filter.has(name));
    assert.notDeepEqual(wrong(first), wrong(second));
  });

  it('is the same once it is stored and read again', () => {
    const filter = BloomFilter.empty();
    const added = names(70_000, 'a');
    for (const name of added) filter.add(name);
    const read = BloomFilter.decode(concatBytes([...filter.encode()]));
    assert.equal(read.count, filter.count);
    assert.deepEqual(
      added.filter((name) => !read.has(name)),
      [],
    );
    read.add('later');
    assert.ok(read.has('later') && !filter.has('later'));
  });

  it('is refused where its bytes are cut off', () => {
    const bytes = concatBytes([...BloomFilter.empty().encode()]);
    for (const end of [0, 10, bytes.length - 1]) assert.throws(() => BloomFilter.decode(bytes.subarray(0, end)));
  });
});
