import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rename, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Key, KeyPrefix } from '../../lib/model/layout.ts';
import { type MultipartUpload, StorageUnavailableError } from '../../lib/storage/driver.ts';
import { FilesDriver } from '../../lib/storage/files.ts';
import { MiB, readAll } from '../../lib/streams/bytes.ts';
import { storageContract } from './contract.ts';
import { openFiles } from './open.ts';

const key = (text: string) => text as Key;
const everything = '' as KeyPrefix;
const bytes = (text: string) => new TextEncoder().encode(text);
const temporaryRoot = () => mkdtemp(join(tmpdir(), 'stowage-files-'));

storageContract('the file driver', openFiles);

describe('the file driver', { timeout: 300_000 }, () => {
  let root: string;
  let driver: FilesDriver;
  beforeEach(async () => {
    root = await temporaryRoot();
    driver = await FilesDriver.open(root);
  });
  afterEach(async () => await rm(root, { recursive: true }));

  const textAt = async (at: string, from = driver) => {
    const object = await from.get(key(at));
    return object && new TextDecoder().decode(await readAll(object.body));
  };
  const keysIn = async (from = driver) => (await Array.fromAsync(from.list(everything))).map((info) => info.key);

  test('a put whose look expires while the file is written gives it no name', async () => {
    for (const existing of [false, true]) {
      const look = { remainingMs: 1000 };
      const at = key(`a${existing}`);
      if (existing) await driver.put(at, bytes('before'));
      const putting = driver.put(at, bytes('after'), { look });
      look.remainingMs = -1;
      await assert.rejects(putting, StorageUnavailableError);
      assert.equal(await textAt(at), existing ? 'before' : undefined);
      assert.deepEqual(await readdir(join(root, '.tmp')), []);
    }
  });

  for (const bad of [
    '',
    '.',
    '..',
    '../outside',
    'a/../../outside',
    'a/./b',
    '/etc/passwd',
    'a//b',
    'a/',
    'a\0b',
    '.tmp/a',
    '.TMP/a',
    `a/${'x'.repeat(256)}`,
    `a/${'é'.repeat(128)}`,
    'a\ud800',
  ]) {
    test(`the key ${JSON.stringify(bad.slice(0, 20))} is refused by every method`, async () => {
      const refused = /cannot be stored as a file/;
      const upload = { key: key(bad), uploadId: randomUUID() };
      await assert.rejects(driver.head(key(bad)), refused);
      await assert.rejects(driver.get(key(bad)), refused);
      await assert.rejects(driver.put(key(bad), bytes('x')), refused);
      await assert.rejects(driver.putStream(key(bad), ReadableStream.from([bytes('x')])), refused);
      await assert.rejects(driver.delete(key(bad)), refused);
      await assert.rejects(driver.createMultipart(key(bad)), refused);
      assert.equal(await driver.uploadPart(upload, 1, bytes('x')), undefined);
      assert.deepEqual(await readdir(root), ['.tmp']);
      assert.deepEqual(await readdir(join(root, '.tmp')), []);
    });
  }

  test('a prefix cannot leave the root either', async () => {
    for (const prefix of ['../', 'a/../../', '/', '.tmp/'] as KeyPrefix[]) {
      await assert.rejects(Array.fromAsync(driver.list(prefix)), /cannot be stored as a file/);
      await assert.rejects(Array.fromAsync(driver.listFolders(prefix)), /cannot be stored as a file/);
    }
  });

  test('an upload id that is no UUID is unknown, so it cannot lead out of the root', async () => {
    await mkdir(join(root, 'elsewhere'));
    await writeFile(join(root, 'elsewhere', 'key'), 'a');
    for (const uploadId of ['../elsewhere', '.', '', `${randomUUID()}/../../elsewhere`]) {
      const upload = { key: key('a'), uploadId };
      assert.equal(await driver.uploadPart(upload, 1, bytes('x')), undefined);
      assert.equal(await driver.listParts(upload), undefined);
      assert.equal(await driver.completeMultipart(upload, []), false);
      await driver.abortMultipart(upload);
    }
    assert.deepEqual(await readdir(join(root, 'elsewhere')), ['key']);
  });

  test('part numbers are 1 to 10,000', async () => {
    const upload = await driver.createMultipart(key('a'));
    for (const number of [0, -1, 1.5, 10_001]) {
      await assert.rejects(driver.uploadPart(upload, number, bytes('x')), RangeError);
    }
    assert.ok(await driver.uploadPart(upload, 10_000, bytes('x')));
  });

  test('a completion that was killed half-way can be repeated', async () => {
    const upload = await driver.createMultipart(key('a'));
    const first = await driver.uploadPart(upload, 1, new Uint8Array(5 * MiB));
    const last = await driver.uploadPart(upload, 2, bytes('end'));
    assert.ok(first && last);
    const firstFile = join(root, '.tmp', upload.uploadId, `1.${5 * MiB}.${first.etag}`);
    await writeFile(firstFile, 'en', { flag: 'a' });
    assert.equal(await driver.completeMultipart(upload, [first, last]), true);
    assert.equal((await driver.head(key('a')))?.sizeBytes, 5 * MiB + 3);
  });

  test('opening removes files in .tmp that are older than a day, and no others', async () => {
    const temporary = join(root, '.tmp');
    const dayBefore = Date.now() / 1000 - 25 * 60 * 60;
    await driver.put(key('old'), bytes('x'));
    const [stale, running] = [await driver.createMultipart(key('a')), await driver.createMultipart(key('b'))];
    await writeFile(join(temporary, 'stale'), 'x');
    await writeFile(join(temporary, 'fresh'), 'x');
    for (const path of [join(root, 'old'), join(temporary, 'stale'), join(temporary, stale.uploadId)]) {
      await utimes(path, dayBefore, dayBefore);
    }
    const again = await FilesDriver.open(root);
    assert.deepEqual(new Set(await readdir(temporary)), new Set(['fresh', running.uploadId]));
    assert.deepEqual(await keysIn(again), ['old']);
  });

  test('files in .tmp are no objects', async () => {
    await driver.createMultipart(key('a'));
    await writeFile(join(root, '.tmp', 'x'), 'x');
    assert.deepEqual(await keysIn(), []);
    assert.deepEqual(await Array.fromAsync(driver.listFolders(everything)), []);
  });

  test('empty directories are no folders', async () => {
    await mkdir(join(root, 'empty', 'deep'), { recursive: true });
    await driver.put(key('full/deep/a'), bytes('x'));
    assert.deepEqual(await Array.fromAsync(driver.listFolders(everything)), ['full/']);
  });

  test('deleting the last object removes its folders, but not the root', async () => {
    await driver.put(key('a/b/c'), bytes('x'));
    await driver.put(key('a/d'), bytes('x'));
    await driver.delete(key('a/b/c'));
    assert.deepEqual(await readdir(join(root, 'a')), ['d']);
    await driver.delete(key('a/d'));
    assert.deepEqual(await readdir(root), ['.tmp']);
  });

  test('a key cannot be an object and a folder at once, and the error says so', async () => {
    await driver.put(key('a'), bytes('x'));
    await driver.put(key('b/c'), bytes('x'));
    for (const options of [{}, { ifAbsent: true }]) {
      await assert.rejects(driver.put(key('a/b'), bytes('y'), options), /cannot be both an object and a folder/);
      await assert.rejects(driver.put(key('b'), bytes('y'), options), /cannot be both an object and a folder/);
    }
    assert.deepEqual(await keysIn(), ['a', 'b/c']);
    assert.deepEqual(await readdir(join(root, '.tmp')), []);
  });

  test('a reader of a file that is replaced or deleted gets the old file to its end', async () => {
    const sizeBytes = 8 * MiB;
    for (const change of [() => driver.put(key('a'), bytes('new')), () => driver.delete(key('a'))]) {
      await driver.put(key('a'), new Uint8Array(sizeBytes).fill(1));
      const object = await driver.get(key('a'));
      assert.ok(object);
      await change();
      const content = await readAll(object.body);
      assert.equal(content.byteLength, sizeBytes);
      assert.ok(content.every((byte) => byte === 1));
    }
  });

  test('a file that shrinks while it is read is an error, not a normal end', async () => {
    await driver.put(key('a'), new Uint8Array(8 * MiB));
    const object = await driver.get(key('a'));
    assert.ok(object);
    await truncate(join(root, 'a'), MiB);
    await assert.rejects(readAll(object.body), /the file ends at byte 1048576/);
  });

  test('no file stays open, whether it is read, cancelled, aborted, empty or refused', async () => {
    await driver.put(key('a'), new Uint8Array(8 * MiB));
    await driver.put(key('empty'), new Uint8Array());
    await driver.put(key('folder/a'), bytes('x'));
    const countOpenFiles = async () => (await readdir('/dev/fd')).length;
    const before = await countOpenFiles();
    for (let round = 0; round < 20; round++) {
      const stop = new AbortController();
      const object = await driver.get(key('a'), { signal: stop.signal });
      assert.ok(object);
      if (round % 4 === 0) await readAll(object.body);
      if (round % 4 === 1) await object.body.cancel();
      if (round % 4 === 2) for await (const chunk of object.body) if (chunk.byteLength > 0) break;
      if (round % 4 === 3) {
        stop.abort();
        await assert.rejects(readAll(object.body));
      }
      assert.equal(await textAt('empty'), '');
      await assert.rejects(driver.get(key('a'), { range: { start: 8 * MiB, end: 8 * MiB } }), RangeError);
      assert.equal(await driver.get(key('folder')), undefined);
      // An abort does not wait until the file is closed. A longer wait would let the garbage collector close it.
      for (let wait = 0; wait < 50 && (await countOpenFiles()) !== before; wait++) await sleep(5);
      assert.equal(await countOpenFiles(), before, `in round ${round}`);
    }
  });

  test('500 puts in quick succession have 500 ETags', async () => {
    const etags = new Set<string | undefined>();
    for (let round = 0; round < 500; round++) etags.add(await driver.put(key('a'), bytes('same')));
    assert.equal(etags.size, 500);
  });

  test('of 20 concurrent puts with ifAbsent by two drivers on one directory exactly one writes', async () => {
    const other = await FilesDriver.open(root);
    const etags = await Promise.all(
      Array.from({ length: 20 }, (_, writer) =>
        [driver, other][writer % 2]?.put(key('a'), bytes('x'), { ifAbsent: true }),
      ),
    );
    assert.equal(etags.filter((etag) => etag !== undefined).length, 1);
  });

  test('a folder that is a symbolic link is listed', async () => {
    const elsewhere = await temporaryRoot();
    await driver.put(key('images/a/layer'), bytes('x'));
    await rename(join(root, 'images'), join(elsewhere, 'images'));
    await symlink(join(elsewhere, 'images'), join(root, 'images'));
    assert.deepEqual(await keysIn(), ['images/a/layer']);
    assert.deepEqual(await Array.fromAsync(driver.listFolders(everything)), ['images/']);
    await rm(elsewhere, { recursive: true });
  });

  describe('where its directory is lost', () => {
    const at = key('images/a/json');
    let upload: MultipartUpload;
    let aside: string;
    beforeEach(async () => {
      await driver.put(at, bytes('x'));
      upload = await driver.createMultipart(key('images/b/layer'));
      aside = `${root}-aside`;
      await rename(root, aside);
    });
    afterEach(() => rm(aside, { recursive: true, force: true }));

    const lose: Record<string, () => Promise<unknown>> = {
      'as a mount is, which leaves an empty directory': () => mkdir(root),
      'with its name': async () => undefined,
    };
    const calls: Record<string, (lost: FilesDriver) => Promise<unknown>> = {
      head: (lost) => lost.head(at),
      get: (lost) => lost.get(at),
      read: (lost) => lost.read(at),
      list: (lost) => Array.fromAsync(lost.list(everything)),
      listFolders: (lost) => Array.fromAsync(lost.listFolders('images/' as KeyPrefix)),
      put: (lost) => lost.put(at, bytes('y')),
      putStream: (lost) => lost.putStream(at, ReadableStream.from([bytes('y')])),
      copyIfAbsent: (lost) => lost.copyIfAbsent(at, key('images/c/json')),
      delete: (lost) => lost.delete(at),
      createMultipart: (lost) => lost.createMultipart(at),
      uploadPart: (lost) => lost.uploadPart(upload, 1, bytes('y')),
      listParts: (lost) => lost.listParts(upload),
      completeMultipart: (lost) => lost.completeMultipart(upload, []),
      checkRoom: (lost) => lost.checkRoom(),
    };
    for (const [how, loseRoot] of Object.entries(lose)) {
      for (const [method, call] of Object.entries(calls)) {
        test(`${how}: ${method} finds storage unavailable, and nothing absent`, async () => {
          await loseRoot();
          try {
            await assert.rejects(call(driver), StorageUnavailableError);
          } finally {
            await rm(root, { recursive: true, force: true });
            await rename(aside, root);
          }
          assert.equal(await textAt(at), 'x');
        });
      }
    }
  });

  test('a root in a file system that makes no directories is an error', {
    skip: process.platform !== 'linux',
  }, async () => {
    await assert.rejects(FilesDriver.open('/proc/stowage/data'), /cannot store files in \/proc\/stowage\/data/);
  });

  test('opening a root without write access is an error that names it', async () => {
    await writeFile(join(root, 'a-file'), '');
    await assert.rejects(FilesDriver.open(join(root, 'a-file')), (error) => {
      assert.ok(error instanceof Error && error.cause instanceof Error);
      assert.match(error.message, /cannot store files in \S+a-file: it must be a directory/);
      return true;
    });
  });

  describe('where the file system ignores case', () => {
    beforeEach(async () => {
      driver = await FilesDriver.open(root, { ignoresCase: true });
      await driver.put(key('tags/tag_Latest'), bytes('x'));
    });

    test('a key that differs only in case is refused, and the other object stays', async () => {
      const refused = /differs only in case from one that exists/;
      for (const at of ['tags/tag_latest', 'TAGS/tag_Latest', 'Tags/tag_other']) {
        for (const options of [{}, { ifAbsent: true }]) {
          await assert.rejects(driver.put(key(at), bytes('y'), options), refused);
        }
      }
      assert.deepEqual(await keysIn(), ['tags/tag_Latest']);
      assert.equal(await textAt('tags/tag_Latest'), 'x');
      assert.deepEqual(await readdir(join(root, '.tmp')), []);
    });

    test('a key that differs only in case does not exist', async () => {
      assert.equal(await driver.head(key('tags/tag_latest')), undefined);
      assert.equal(await textAt('TAGS/tag_Latest'), undefined);
      assert.equal(await driver.delete(key('tags/tag_latest')), true);
      assert.deepEqual(await Array.fromAsync(driver.list('TAGS/' as KeyPrefix)), []);
      assert.equal(await textAt('tags/tag_Latest'), 'x');
    });

    test('of two concurrent puts of keys that differ only in case one is refused', async () => {
      const results = await Promise.allSettled([
        driver.put(key('tags/tag_A'), bytes('1')),
        driver.put(key('tags/tag_a'), bytes('2')),
      ]);
      assert.deepEqual(results.map((result) => result.status).toSorted(), ['fulfilled', 'rejected']);
    });

    test('the same key and unrelated keys are written', async () => {
      assert.ok(await driver.put(key('tags/tag_Latest'), bytes('again')));
      assert.ok(await driver.put(key('tags/tag_1.0'), bytes('y')));
      assert.equal(await textAt('tags/tag_Latest'), 'again');
      await driver.delete(key('tags/tag_Latest'));
      assert.ok(await driver.put(key('tags/tag_latest'), bytes('z')), 'nothing differs any more');
    });
  });
});
