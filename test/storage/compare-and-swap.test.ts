import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Key } from '../../lib/model/layout.ts';
import { compareAndSwap } from '../../lib/storage/compare-and-swap.ts';
import { type StorageDriver, StorageUnavailableError, unchanged } from '../../lib/storage/driver.ts';
import { FilesDriver } from '../../lib/storage/files.ts';
import { decodeText, encodeText } from '../../lib/streams/bytes.ts';

const KEY = 'counter' as Key;

describe('compare and swap', () => {
  let folder: string;
  let storage: StorageDriver;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'stowage-swap-'));
    storage = await FilesDriver.open(folder);
  });

  after(async () => {
    await storage.close();
    await rm(folder, { recursive: true });
  });

  const add = (number: number) =>
    compareAndSwap(KEY, {
      read: () => storage.read(KEY),
      write: (object) => {
        const sum = (object ? Number(decodeText(object.bytes)) : 0) + number;
        return storage.put(KEY, encodeText(String(sum)), unchanged(object?.info));
      },
    });

  it('loses none of ten concurrent changes', async () => {
    await Promise.all(Array.from({ length: 10 }, (_, number) => add(number)));
    const stored = await storage.read(KEY);
    assert.equal(stored && decodeText(stored.bytes), '45');
  });

  it('uses the object that the caller has read for the first attempt only', async () => {
    const seen: string[] = [];
    const result = await compareAndSwap(KEY, {
      first: { before: 'first' },
      read: async () => 'read',
      write: async (state) => {
        seen.push(state);
        return seen.length === 3 ? 'written' : undefined;
      },
    });
    assert.deepEqual({ result, seen }, { result: 'written', seen: ['first', 'read', 'read'] });
  });

  it('throws StorageUnavailableError after 20 attempts', async () => {
    let attempts = 0;
    const swap = compareAndSwap(KEY, {
      read: async () => undefined,
      write: async () => {
        attempts++;
        return undefined;
      },
    });
    await assert.rejects(swap, (error) => error instanceof StorageUnavailableError && error.message.includes(KEY));
    assert.equal(attempts, 20);
  });
});
