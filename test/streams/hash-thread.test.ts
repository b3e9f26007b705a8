import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { BLOCK_BYTES, BlockPool } from '../../lib/streams/block-pool.ts';
import { HashThread, hashByThread } from '../../lib/streams/hash-thread.ts';

const PROGRAM = new URL('../../lib/streams/hash-thread-program.ts', import.meta.url);

describe('HashThread', { timeout: 30_000 }, () => {
  const pool = new BlockPool();
  const thread = new HashThread(pool);

  async function* blocksOf(body: Uint8Array): AsyncGenerator<Uint8Array> {
    for (let start = 0; start < body.length; start += BLOCK_BYTES) {
      const part = body.subarray(start, start + BLOCK_BYTES);
      const block = pool.take();
      block.set(part);
      yield block.subarray(0, part.length);
    }
  }

  /** What comes out of the thread; its blocks go back to the pool. */
  async function hash(
    algorithm: string,
    blocks: AsyncIterable<Uint8Array>,
    by = thread,
  ): Promise<{ bytes: Buffer; hex: string }> {
    const hashing = by.hash(algorithm, blocks);
    const copies: Buffer[] = [];
    for (;;) {
      const { done, value } = await hashing.next();
      if (done) return { bytes: Buffer.concat(copies), hex: value };
      copies.push(Buffer.from(value));
      pool.giveBack(value);
    }
  }

  const assertHashed = async (algorithm: string, body: Uint8Array) => {
    const { bytes, hex } = await hash(algorithm, blocksOf(body));
    assert.ok(bytes.equals(body));
    assert.equal(hex, createHash(algorithm).update(body).digest('hex'));
  };

  for (const sizeBytes of [0, 1, BLOCK_BYTES, 5 * BLOCK_BYTES + 7]) {
    it(`passes on a body of ${sizeBytes} bytes, and returns its digest`, () =>
      assertHashed('sha256', randomBytes(sizeBytes)));
  }

  it('hashes several bodies at once, each by its own algorithm', async () => {
    const algorithms = ['sha256', 'sha512', 'sha256'];
    await Promise.all(algorithms.map((algorithm) => assertHashed(algorithm, randomBytes(3 * BLOCK_BYTES))));
  });

  it('uses few blocks for a body, and all of them can be lent again', async () => {
    const ownPool = new BlockPool();
    async function* blocks() {
      for (let count = 0; count < 20; count++) yield ownPool.take();
    }
    for await (const block of new HashThread(ownPool).hash('sha256', blocks())) ownPool.giveBack(block);
    assert.ok(ownPool.idle >= 1 && ownPool.idle <= 2, `${ownPool.idle} blocks were taken`);
  });

  it('fails as its body does, and hashes the next one', async () => {
    async function* brokenOff() {
      yield* blocksOf(randomBytes(3 * BLOCK_BYTES));
      throw new Error('the client went away');
    }
    await assert.rejects(hash('sha256', brokenOff()), { message: 'the client went away' });
    await assertHashed('sha256', randomBytes(2 * BLOCK_BYTES));
  });

  it('closes the body when the caller stops early', async () => {
    let isClosed = false;
    async function* endless() {
      try {
        for (;;) yield pool.take();
      } finally {
        isClosed = true;
      }
    }
    for await (const _ of thread.hash('sha256', endless())) break;
    assert.ok(isClosed);
  });

  it('fails if the thread ends, and starts it again for the next body', async () => {
    await assert.rejects(hash('no such algorithm', blocksOf(randomBytes(4 * BLOCK_BYTES))), {
      message: 'the thread that hashes has ended',
    });
    await assertHashed('sha256', randomBytes(2 * BLOCK_BYTES));
  });

  it('hashes without a thread where none can be started, and looks for one again for the next body', async () => {
    let isAllowed = false;
    const tried: boolean[] = [];
    const limited = new HashThread(pool, () => {
      tried.push(isAllowed);
      if (!isAllowed) throw new Error('the system allows no further thread');
      return new Worker(PROGRAM);
    });
    for (const now of [false, false, true, true]) {
      isAllowed = now;
      const body = randomBytes(3 * BLOCK_BYTES + 7);
      const { bytes, hex } = await hash('sha256', blocksOf(body), limited);
      assert.ok(bytes.equals(body));
      assert.equal(hex, createHash('sha256').update(body).digest('hex'));
    }
    assert.deepEqual(tried, [false, false, true]);
  });

  it('is not used on a single CPU', () => {
    assert.equal(hashByThread(1).hashBlocks, undefined);
    assert.ok(hashByThread(2).hashBlocks);
  });
});
