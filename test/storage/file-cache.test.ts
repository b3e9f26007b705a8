import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Key } from '../../lib/model/layout.ts';
import type { ETag } from '../../lib/storage/driver.ts';
import { FileCache, isOnLocalDisk } from '../../lib/storage/file-cache.ts';
import { FilesDriver } from '../../lib/storage/files.ts';
import { statFile } from '../../lib/storage/read-file.ts';

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'stowage-cache-'));
});
after(() => rm(directory, { recursive: true }));

describe('the cache of small files', () => {
  let path: string;
  let cache: FileCache;

  const keep = async (bytes: Buffer<ArrayBuffer>) => {
    await writeFile(path, bytes);
    const stats = await statFile(path);
    const info = { key: 'tag' as Key, sizeBytes: bytes.length, etag: 'e' as ETag, lastModified: stats.mtime };
    cache.keep(path, { stats, object: { info, bytes } });
  };

  beforeEach(() => {
    path = join(directory, 'tag');
    cache = new FileCache();
  });

  it('has a file that is as it was read', async () => {
    await keep(Buffer.from('one'));
    assert.equal(cache.find(path)?.bytes.toString(), 'one');
  });

  for (const { title, change } of [
    { title: 'replaced', change: () => writeFile(`${path}.new`, 'two').then(() => rename(`${path}.new`, path)) },
    { title: 'written in its place', change: writeInPlace },
    { title: 'deleted', change: () => rm(path) },
  ]) {
    it(`does not have a file that was ${title}`, async () => {
      await keep(Buffer.from('one'));
      await change();
      assert.equal(cache.find(path), undefined);
    });
  }

  async function writeInPlace(): Promise<void> {
    await writeFile(path, 'two');
    await utimes(path, 1, 1); // the kernel's clock may not have ticked since
  }

  it('keeps no large file', async () => {
    await keep(Buffer.alloc(1024 * 1024));
    assert.equal(cache.find(path), undefined);
  });
});

it('a driver reads what another process has put, deleted and put again since it read the key', async () => {
  const [reader, writer] = [await FilesDriver.open(directory), await FilesDriver.open(directory)];
  const key = 'repositories/a/b/tag_c' as Key;
  const read = async () => (await reader.read(key))?.bytes.toString();
  for (const text of ['one', 'two', 'six']) {
    const etag = await writer.put(key, Buffer.from(text));
    assert.deepEqual([await read(), await read()], [text, text]);
    assert.equal((await reader.read(key))?.info.etag, etag);
    await writer.put(key, Buffer.from('old'));
    assert.equal(await read(), 'old');
    await writer.delete(key);
    assert.equal(await read(), undefined);
  }
});

it('no file system of the kernel itself counts as a disk', { skip: process.platform !== 'linux' }, async () => {
  assert.equal(await isOnLocalDisk('/proc'), false);
});
