import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BLOCK_BYTES, BlockPool } from '../../lib/streams/block-pool.ts';

describe('BlockPool', () => {
  it('lends memory that was given back again, whole, also when a part of it is given back', () => {
    const pool = new BlockPool();
    const first = pool.take();
    assert.equal(first.length, BLOCK_BYTES);
    pool.giveBack(first.subarray(10, 20));
    const second = pool.take();
    assert.equal(second.buffer, first.buffer);
    assert.equal(second.length, BLOCK_BYTES);
  });

  it('never lends one block to two', () => {
    const pool = new BlockPool();
    const block = pool.take();
    pool.giveBack(block);
    pool.giveBack(block);
    assert.notEqual(pool.take().buffer, pool.take().buffer);
  });

  it('ignores memory that is not its own', () => {
    const pool = new BlockPool();
    pool.giveBack(new Uint8Array(BLOCK_BYTES));
    pool.giveBack(new BlockPool().take());
    assert.equal(pool.idle, 0);
  });

  it('frees at once what is given back beyond its limit', () => {
    const pool = new BlockPool(1);
    const [kept, freed] = [pool.take(), pool.take()];
    pool.giveBack(kept);
    pool.giveBack(freed);
    assert.equal(pool.idle, 1);
    assert.equal(kept.buffer.byteLength, BLOCK_BYTES);
    assert.equal(freed.buffer.byteLength, 0);
  });
});
