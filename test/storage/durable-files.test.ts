import assert from 'node:assert/strict';
import fs, { rmdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { linkFile } from '../../lib/storage/durable-files.ts';
import { FilesDriver } from '../../lib/storage/files.ts';

describe('a file that is linked into new directories', { skip: process.platform === 'win32' }, () => {
  let root = '';
  let from = '';
  let to = '';
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'stowage-'));
    from = join(root, 'from');
    to = join(root, 'a/b/to');
    await writeFile(from, 'text');
  });
  afterEach(async () => await rm(root, { recursive: true }));

  it('has all directories synced whose names changed', async () => {
    const synced = await syncedBy(async () => void (await linkFile(from, to)));
    assert.deepEqual(synced, new Set([root, join(root, 'a'), join(root, 'a/b')]));
  });

  it('has them synced if a delete removes the last one before the file has its name', async () => {
    let removals = 0;
    const synced = await syncedBy(async () => {
      const isLinked = await linkFile(from, to, () => {
        if (removals++ === 0) rmdirSync(dirname(to));
      });
      assert.ok(isLinked);
    });
    assert.equal(removals, 2);
    assert.deepEqual(synced, new Set([root, join(root, 'a'), join(root, 'a/b')]));
  });

  it('leaves no directory whose name is not synced if it must not be linked any more', async () => {
    const synced = await syncedBy(async () => {
      const refused = linkFile(from, to, () => {
        throw new Error('too late');
      });
      await assert.rejects(refused, /too late/);
    });
    assert.deepEqual(synced, new Set([root, join(root, 'a')]));
  });

  it('lies in a directory of storage whose own name is synced', async () => {
    const synced = await syncedBy(async () => void (await FilesDriver.open(join(root, 'new/storage'))));
    assert.deepEqual(synced, new Set([root, join(root, 'new'), join(root, 'new/storage')]));
  });
});

/** The directories that are synced while `task` runs. */
async function syncedBy(task: () => Promise<void>): Promise<Set<string>> {
  const { open, fsync } = fs;
  const paths = new Map<number, string>();
  const synced = new Set<string>();
  type Done = (error: Error | null, file: number) => void;
  Object.assign(fs, {
    open: (path: string, flags: string, done: Done) =>
      open(path, flags, (error, file) => {
        paths.set(file, path);
        done(error, file);
      }),
    fsync: (file: number, done: (error: Error | null) => void) =>
      fsync(file, (error) => {
        if (!error) synced.add(paths.get(file) ?? '');
        done(error);
      }),
  });
  syncBuiltinESMExports();
  try {
    await task();
  } finally {
    Object.assign(fs, { open, fsync });
    syncBuiltinESMExports();
  }
  return synced;
}
