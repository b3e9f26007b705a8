// Small blobs that arrive in blocks of a pool, as from the Node server.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseDigest } from '../../lib/model/names.ts';
import { BlobStore } from '../../lib/registry/blobs/store.ts';
import { BlockPool } from '../../lib/streams/block-pool.ts';
import { decodeText, encodeText } from '../../lib/streams/bytes.ts';
import { alterDriver } from '../storage/altered-driver.ts';
import { MemoryStorage } from '../storage/memory.ts';
import { digestOf } from '../v2/client.ts';

async function* inBlocks(pool: BlockPool, ...texts: string[]) {
  for (const text of texts) {
    const block = pool.take();
    block.set(encodeText(text));
    yield block.subarray(0, text.length);
  }
}

describe('a small blob in lent blocks', () => {
  for (const texts of [['one block'], ['two ', 'blocks']]) {
    it(`is sent from memory that no other blob uses after it: ${texts.join('')}`, async () => {
      const pool = new BlockPool();
      const sent: Uint8Array[] = [];
      const storage = alterDriver(new MemoryStorage(), (original) => ({
        put(key, body, options) {
          sent.push(body);
          return original.put(key, body, options);
        },
      }));
      const { digest } = await new BlobStore(storage).put(inBlocks(pool, ...texts), { giveBack: pool.giveBack });
      assert.equal(digest, digestOf(texts.join('')));
      assert.equal(pool.idle, texts.length);
      while (pool.idle > 0) pool.take().fill(0);
      assert.deepEqual(sent.map(decodeText), [texts.join('')]);
    });
  }

  it('gives its blocks back if it is refused', async () => {
    const pool = new BlockPool();
    const options = { expected: parseDigest(digestOf('another')), giveBack: pool.giveBack };
    await assert.rejects(new BlobStore(new MemoryStorage()).put(inBlocks(pool, 'one', 'two'), options), {
      code: 'DIGEST_INVALID',
    });
    assert.equal(pool.idle, 2);
  });
});
