// The contract of every storage driver. A driver's own test file runs it, and adds tests of what only that driver does.
import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Key, KeyPrefix } from '../../lib/model/layout.ts';
import { compareByteOrder } from '../../lib/storage/byte-order.ts';
import { deleteIf, deleteMany } from '../../lib/storage/deletions.ts';
import { type ByteRange, type ETag, type StorageDriver, StorageUnavailableError } from '../../lib/storage/driver.ts';
import { decodeText, MiB, readAll } from '../../lib/streams/bytes.ts';
import { withOneMd5 } from '../support/md5-collision.ts';

export type OpenedStorage = {
  driver: StorageDriver;
  /** What failed uploads have left where `list` does not show it. */
  leftovers(): Promise<string[]>;
  close(): Promise<void>;
};

const key = (text: string) => text as Key;
const prefix = (text: string) => text as KeyPrefix;
const bytes = (text: string) => new TextEncoder().encode(text);

/** Larger than two parts of any driver, so that a driver with parts uploads several. */
const LARGE_BYTES = 30 * MiB;
const MIN_PART_BYTES = 5 * MiB;

export function storageContract(name: string, open: () => Promise<OpenedStorage>): void {
  // Also fails a driver that waits for ever.
  describe(`${name} keeps the storage contract`, { timeout: 300_000 }, () => {
    let storage: OpenedStorage;
    let driver: StorageDriver;
    before(async () => {
      storage = await open();
      driver = storage.driver;
    });
    after(async () => await storage.close());

    /** A folder that no other test uses. */
    const freshFolder = () => `t/${randomUUID()}/`;

    const textAt = async (at: Key) => {
      const object = await driver.read(at);
      return object && new TextDecoder().decode(object.bytes);
    };
    const putText = async (at: Key, text: string): Promise<ETag> => {
      const etag = await driver.put(at, bytes(text));
      assert.ok(etag);
      return etag;
    };
    const keysOf = async (below: string, afterKey?: string) => {
      const keys: string[] = [];
      for await (const info of driver.list(prefix(below), afterKey === undefined ? {} : { after: key(afterKey) })) {
        keys.push(info.key);
      }
      return keys;
    };
    const foldersOf = async (below: string, afterFolder?: string) => {
      const folders: string[] = [];
      for await (const folder of driver.listFolders(
        prefix(below),
        afterFolder === undefined ? {} : { after: afterFolder },
      )) {
        folders.push(folder);
      }
      return folders;
    };

    describe('objects', () => {
      test('a put is visible at once, with the same ETag and size in every method', async () => {
        const folder = freshFolder();
        const at = key(`${folder}a`);
        const earliest = Date.now() - 2000; // S3 knows whole seconds
        const etag = await driver.put(at, bytes('hello'), { contentType: 'text/plain' });

        const head = await driver.head(at);
        const got = await driver.get(at);
        const read = await driver.read(at);
        assert.ok(head && got && read);
        const listed = await Array.fromAsync(driver.list(prefix(folder)));
        assert.deepEqual(await readAll(got.body), Buffer.from('hello'));
        assert.equal(new TextDecoder().decode(read.bytes), 'hello');
        for (const info of [head, got.info, read.info, ...listed]) {
          assert.equal(info.key, at);
          assert.equal(info.sizeBytes, 5);
          assert.equal(info.etag, etag);
          assert.ok(info.lastModified.getTime() >= earliest && info.lastModified.getTime() <= Date.now() + 2000);
        }
        assert.equal(listed.length, 1);
      });

      test('a missing object is undefined, also below the key of an object', async () => {
        const at = key(`${freshFolder()}a`);
        const below = key(`${at}/b`);
        await putText(at, 'x');
        for (const missing of [key(`${at}x`), below, key(at.slice(0, -2))]) {
          assert.equal(await driver.head(missing), undefined);
          assert.equal(await driver.get(missing), undefined);
          assert.equal(await driver.read(missing), undefined);
          assert.equal(await driver.delete(missing), true);
        }
        assert.equal(await textAt(at), 'x');
      });

      test('etagOf gives the ETag of the listing, or undefined', async () => {
        const folder = freshFolder();
        await putText(key(`${folder}told`), 'some digits');
        await textAt(key(`${folder}told`));
        const told = driver.etagOf(bytes('some digits'));
        const [listed] = await Array.fromAsync(driver.list(prefix(folder)));
        if (told !== undefined) assert.equal(told, listed?.etag);
        assert.equal(told === undefined, driver.etagOf(bytes('')) === undefined);
      });

      test('a put replaces an object and changes its ETag, also if the size is the same', async () => {
        const at = key(`${freshFolder()}a`);
        const etags = new Set<string>();
        for (let round = 0; round < 50; round++)
          etags.add(await putText(at, `round ${String(round).padStart(2, '0')}`));
        assert.equal(etags.size, 50);
        assert.equal(await textAt(at), 'round 49');
      });

      test('an object may be empty', async () => {
        const folder = freshFolder();
        assert.ok(await driver.put(key(`${folder}put`), new Uint8Array()));
        assert.ok(await driver.putStream(key(`${folder}stream`), chunksOf(new Uint8Array(), 1)));
        for (const at of [key(`${folder}put`), key(`${folder}stream`)]) {
          assert.equal((await driver.head(at))?.sizeBytes, 0);
          assert.equal(await textAt(at), '');
        }
      });

      test('keys are listed as they were written', async () => {
        const folder = freshFolder();
        const names = [
          'b%2Fc',
          'b%252Fc',
          'a+b',
          'a b',
          '~',
          'x%7E',
          "!*'()",
          '&<>"',
          'ä',
          '日本',
          '😀',
          '.hidden',
          'a=b;c,d:e@f',
        ];
        for (const name of names) await putText(key(folder + name), name);
        for (const name of names) assert.equal(await textAt(key(folder + name)), name);
        assert.deepEqual(new Set(await keysOf(folder)), new Set(names.map((name) => folder + name)));
      });

      test('a body with another SHA-256 than the given one is refused, and nothing is written', async () => {
        const at = key(`${freshFolder()}a`);
        const sha256 = createHash('sha256').update('hello').digest('hex');
        await assert.rejects(driver.put(at, bytes('hellO'), { sha256 }));
        assert.equal(await driver.head(at), undefined);
        assert.ok(await driver.put(at, bytes('hello'), { sha256 }));
        assert.equal(await textAt(at), 'hello');
        assert.deepEqual(await storage.leftovers(), []);
      });
    });

    describe('ranges', () => {
      const content = bytes('0123456789');
      const at = key('t/ranges/digits');
      before(async () => {
        await driver.put(at, content);
      });

      for (const { title, range, expected } of [
        { title: 'the first byte', range: { start: 0, end: 0 }, expected: '0' },
        { title: 'the last byte', range: { start: 9, end: 9 }, expected: '9' },
        { title: 'the middle', range: { start: 3, end: 6 }, expected: '3456' },
        { title: 'everything', range: { start: 0, end: 9 }, expected: '0123456789' },
      ]) {
        test(`${title} is read alone, with the size of the whole object`, async () => {
          const object = await driver.get(at, { range });
          assert.ok(object);
          assert.equal(object.info.sizeBytes, 10);
          assert.equal(new TextDecoder().decode(await readAll(object.body)), expected);
        });
      }

      for (const { title, range } of [
        { title: 'begins after the end', range: { start: 10, end: 10 } },
        { title: 'ends before it begins', range: { start: 5, end: 4 } },
        { title: 'begins before the object', range: { start: -1, end: 4 } },
      ] satisfies { title: string; range: ByteRange }[]) {
        test(`a range that ${title} is refused`, async () => {
          await assert.rejects(driver.get(at, { range }), RangeError);
        });
      }

      test('an empty object has no range', async () => {
        const empty = key('t/ranges/empty');
        await driver.put(empty, new Uint8Array());
        await assert.rejects(driver.get(empty, { range: { start: 0, end: 0 } }), RangeError);
      });
    });

    describe('conditions', () => {
      test('with ifAbsent only the first put writes', async () => {
        const at = key(`${freshFolder()}a`);
        assert.ok(await driver.put(at, bytes('first'), { ifAbsent: true }));
        assert.equal(await driver.put(at, bytes('second'), { ifAbsent: true }), undefined);
        assert.equal(await textAt(at), 'first');
      });

      test('of 20 concurrent puts with ifAbsent exactly one writes', async () => {
        const at = key(`${freshFolder()}a`);
        const etags = await Promise.all(
          Array.from({ length: 20 }, (_, writer) => driver.put(at, bytes(`writer ${writer}`), { ifAbsent: true })),
        );
        const winner = etags.findIndex((etag) => etag !== undefined);
        assert.equal(etags.filter((etag) => etag !== undefined).length, 1);
        assert.equal(await textAt(at), `writer ${winner}`);
        assert.equal((await driver.head(at))?.etag, etags[winner]);
      });

      test('with ifMatch only the object with this ETag is replaced', async () => {
        const at = key(`${freshFolder()}a`);
        const first = await putText(at, 'first');
        const second = await putText(at, 'second');
        assert.equal(await driver.put(at, bytes('third'), { ifMatch: first }), undefined);
        assert.equal(await textAt(at), 'second');
        assert.ok(await driver.put(at, bytes('third'), { ifMatch: second }));
        assert.equal(await textAt(at), 'third');
      });

      test('with ifMatch nothing is written if there is no object', async () => {
        const folder = freshFolder();
        const etag = await putText(key(`${folder}a`), 'x');
        assert.equal(await driver.put(key(`${folder}b`), bytes('y'), { ifMatch: etag }), undefined);
        assert.deepEqual(await keysOf(folder), [`${folder}a`]);
      });

      test('of 20 concurrent puts with the same ifMatch exactly one writes', async () => {
        const at = key(`${freshFolder()}a`);
        const seen = await putText(at, 'seen');
        const etags = await Promise.all(
          Array.from({ length: 20 }, (_, writer) => driver.put(at, bytes(`writer ${writer}`), { ifMatch: seen })),
        );
        const winner = etags.findIndex((etag) => etag !== undefined);
        assert.equal(etags.filter((etag) => etag !== undefined).length, 1);
        assert.equal(await textAt(at), `writer ${winner}`);
      });

      test('a put whose look has expired writes nothing', async () => {
        const at = key(`${freshFolder()}a`);
        const [expired, valid] = [{ remainingMs: -60_000 }, { remainingMs: 14 * 60_000 }];
        await assert.rejects(driver.put(at, bytes('first'), { look: expired }), StorageUnavailableError);
        assert.equal(await driver.head(at), undefined);

        const first = await driver.put(at, bytes('first'), { look: valid });
        assert.ok(first);
        for (const condition of [{}, { ifMatch: first }]) {
          const writing = driver.put(at, bytes('second'), { ...condition, look: expired });
          await assert.rejects(writing, StorageUnavailableError);
        }
        assert.equal(await textAt(at), 'first');
        assert.ok(await driver.put(at, bytes('second'), { ifMatch: first, look: valid }));
        assert.equal(await textAt(at), 'second');
      });

      test('a delete whose look has expired deletes nothing', async () => {
        const at = key(`${freshFolder()}a`);
        await putText(at, 'first');
        const deleting = driver.delete(at, { onceWithin: { remainingMs: -60_000 } });
        await assert.rejects(deleting, StorageUnavailableError);
        assert.equal(await textAt(at), 'first');
        assert.equal(await driver.delete(at, { onceWithin: { remainingMs: 14 * 60_000 } }), true);
        assert.equal(await textAt(at), undefined);
      });

      test('deleteIf deletes what is wanted, by its bytes, and tells what it found', async () => {
        const at = key(`${freshFolder()}a`);
        const deletion = (wanted: string) => deleteIf(driver, at, (object) => decodeText(object.bytes) === wanted);
        assert.equal(await deletion('x'), 'absent');
        await putText(at, 'x');
        assert.equal(await deletion('y'), 'unwanted');
        assert.equal(await textAt(at), 'x');
        assert.equal(await deletion('x'), 'deleted');
        assert.equal(await driver.head(at), undefined);
      });

      test('deleteIf deletes nothing that was written since it was read', async () => {
        const at = key(`${freshFolder()}a`);
        for (let round = 0; round < 20; round++) {
          await putText(at, 'old');
          const putting = putText(at, 'new');
          const outcome = await deleteIf(driver, at, ({ bytes }) => decodeText(bytes) === 'old');
          await putting;
          assert.equal(await textAt(at), 'new', outcome);
        }
      });

      test('deleteMany deletes the named objects and no other, also if some do not exist', async () => {
        const folder = freshFolder();
        const names = ['a', 'b c', 'd+%2F', 'kept'];
        for (const name of names) await putText(key(folder + name), name);
        await deleteMany(
          driver,
          ['a', 'b c', 'd+%2F', 'missing'].map((name) => key(folder + name)),
        );
        const left = await Array.fromAsync(driver.list(prefix(folder)), (object) => object.key);
        assert.deepEqual(left, [`${folder}kept`]);
      });

      test('with ifMatch only the object with this ETag is deleted', async () => {
        const at = key(`${freshFolder()}a`);
        const first = await putText(at, 'first');
        const second = await putText(at, 'second');
        assert.equal(await driver.delete(at, { ifMatch: first }), false);
        assert.equal(await textAt(at), 'second');
        assert.equal(await driver.delete(at, { ifMatch: second }), true);
        assert.equal(await driver.head(at), undefined);
        assert.equal(await driver.delete(at, { ifMatch: second }), true, 'what is not there counts as deleted');
      });
    });

    describe('copies', () => {
      for (const mayKeepTime of [false, true]) {
        const title = mayKeepTime ? 'a copy that may keep the time' : 'a copy';
        test(`${title} has the same bytes, and stays when the original is replaced or deleted`, async () => {
          const folder = freshFolder();
          const [from, to] = [key(`${folder}from`), key(`${folder}deep/to`)];
          await putText(from, 'first');
          assert.equal(await driver.copyIfAbsent(from, to, { mayKeepTime }), true);
          await putText(from, 'second');
          assert.equal(await textAt(to), 'first');
          await driver.delete(from);
          assert.equal(await textAt(to), 'first');
          assert.deepEqual(await storage.leftovers(), []);
        });
      }

      test('a copy is as new as what is written at its time, and the original keeps its time and ETag', async () => {
        const folder = freshFolder();
        const [from, to, before] = [key(`${folder}from`), key(`${folder}to`), key(`${folder}before`)];
        await putText(from, 'bytes');
        const original = await driver.head(from);
        await sleep(1100); // S3 tells times to the second
        await putText(before, 'x');
        assert.equal(await driver.copyIfAbsent(from, to), true);
        const [copy, written] = [await driver.head(to), await driver.head(before)];
        assert.ok(original && copy && written);
        assert.ok(copy.lastModified >= written.lastModified, `${copy.lastModified} < ${written.lastModified}`);
        assert.ok(copy.lastModified > original.lastModified);
        assert.deepEqual(await driver.head(from), original);
      });

      test('a copy does not replace an object, and needs an original', async () => {
        const folder = freshFolder();
        const [from, to, missing] = [key(`${folder}from`), key(`${folder}to`), key(`${folder}missing`)];
        await putText(from, 'from');
        await putText(to, 'to');
        assert.equal(await driver.copyIfAbsent(from, to), false);
        assert.equal(await driver.copyIfAbsent(missing, key(`${folder}new`)), false);
        assert.equal(await textAt(to), 'to');
        assert.deepEqual(await keysOf(folder), [from, to]);
      });

      test('objects whose keys are escaped in URLs are copied too', async () => {
        const folder = freshFolder();
        for (const name of ['b%2Fc', 'a+b', 'a b', 'ä?#&']) {
          await putText(key(folder + name), name);
          assert.equal(await driver.copyIfAbsent(key(folder + name), key(`${folder}copy of ${name}`)), true);
          assert.equal(await textAt(key(`${folder}copy of ${name}`)), name);
        }
      });
    });

    describe('streams', () => {
      for (const { title, sizeBytes, chunkBytes } of [
        { title: 'a few bytes', sizeBytes: 10, chunkBytes: 3 },
        { title: 'many small chunks', sizeBytes: LARGE_BYTES + 1, chunkBytes: 64 * 1024 - 1 },
        { title: 'one chunk of 30 MiB', sizeBytes: LARGE_BYTES, chunkBytes: LARGE_BYTES },
        { title: 'exactly 12 MiB', sizeBytes: 12 * MiB, chunkBytes: MiB },
        { title: 'exactly 24 MiB', sizeBytes: 24 * MiB, chunkBytes: MiB },
      ]) {
        test(`${title} arrive unchanged`, async () => {
          const at = key(`${freshFolder()}a`);
          const content = randomBytes(sizeBytes);
          const etag = await driver.putStream(at, chunksOf(content, chunkBytes), { contentType: 'text/plain' });
          const object = await driver.get(at);
          assert.ok(object);
          assert.equal(object.info.sizeBytes, sizeBytes);
          assert.equal(object.info.etag, etag);
          assert.equal(Buffer.compare(await readAll(object.body), content), 0);
          assert.deepEqual(await storage.leftovers(), []);
        });
      }

      test('chunks larger than a part stay as they are in the memory of the caller', async () => {
        const chunks = [1, 2, 3].map((fill) => new Uint8Array(13 * MiB).fill(fill));
        await driver.putStream(
          key(`${freshFolder()}a`),
          (async function* () {
            yield* chunks;
          })(),
        );
        assert.deepEqual(
          chunks.map((chunk) => [chunk.length, chunk[0], chunk.at(-1)]),
          [1, 2, 3].map((fill) => [13 * MiB, fill, fill]),
        );
      });

      for (const { title, sizeBytes } of [
        { title: 'a small stream', sizeBytes: 10 },
        { title: 'a large stream', sizeBytes: LARGE_BYTES },
      ]) {
        const stream = () => chunksOf(randomBytes(sizeBytes), MiB);

        test(`${title} with ifAbsent does not replace an object`, async () => {
          const at = key(`${freshFolder()}a`);
          await putText(at, 'first');
          assert.equal(await driver.putStream(at, stream(), { ifAbsent: true }), undefined);
          assert.equal(await textAt(at), 'first');
          assert.ok(await driver.putStream(key(`${at}x`), stream(), { ifAbsent: true }));
          assert.deepEqual(await storage.leftovers(), []);
        });

        test(`${title} with ifMatch replaces only the object with this ETag`, async () => {
          const at = key(`${freshFolder()}a`);
          const first = await putText(at, 'first');
          const second = await putText(at, 'second');
          assert.equal(await driver.putStream(at, stream(), { ifMatch: first }), undefined);
          assert.equal(await textAt(at), 'second');
          assert.ok(await driver.putStream(at, stream(), { ifMatch: second }));
          assert.equal((await driver.head(at))?.sizeBytes, sizeBytes);
          assert.deepEqual(await storage.leftovers(), []);
        });
      }

      test('of five concurrent streams with ifAbsent exactly one becomes the object', async () => {
        const at = key(`${freshFolder()}a`);
        const contents = Array.from({ length: 5 }, () => randomBytes(13 * MiB));
        const etags = await Promise.all(
          contents.map((content) => driver.putStream(at, chunksOf(content, MiB), { ifAbsent: true })),
        );
        const winner = etags.findIndex((etag) => etag !== undefined);
        const object = await driver.get(at);
        assert.ok(object);
        assert.equal(etags.filter((etag) => etag !== undefined).length, 1);
        assert.equal(Buffer.compare(await readAll(object.body), contents[winner] ?? Buffer.alloc(0)), 0);
        assert.deepEqual(await storage.leftovers(), []);
      });

      for (const { title, sizeBytes } of [
        { title: 'at once', sizeBytes: 0 },
        { title: 'after a few bytes', sizeBytes: 10 },
        { title: 'in the second part', sizeBytes: 13 * MiB },
        { title: 'after 50 MiB', sizeBytes: 50 * MiB },
      ]) {
        test(`a body that throws ${title} leaves the old object and nothing else`, async () => {
          const at = key(`${freshFolder()}a`);
          await putText(at, 'old');
          const reason = new Error('the client went away');
          await assert.rejects(driver.putStream(at, failingAfter(sizeBytes, reason)), (error) => error === reason);
          assert.equal(await textAt(at), 'old');
          assert.deepEqual(await storage.leftovers(), []);
        });

        test(`an abort ${title}, while the body stalls, leaves the old object and nothing else`, async () => {
          const at = key(`${freshFolder()}a`);
          await putText(at, 'old');
          const stop = new AbortController();
          const reason = new Error('the server shuts down');
          const body = stallingAfter(sizeBytes, () => stop.abort(reason));
          await assert.rejects(driver.putStream(at, body, { signal: stop.signal }), (error) => error === reason);
          assert.equal(await textAt(at), 'old');
          assert.deepEqual(await storage.leftovers(), []);
        });
      }

      test('an abort before the start leaves nothing', async () => {
        const at = key(`${freshFolder()}a`);
        const signal = AbortSignal.abort();
        await assert.rejects(driver.putStream(at, chunksOf(bytes('x'), 1), { signal }), { name: 'AbortError' });
        assert.equal(await driver.head(at), undefined);
        assert.deepEqual(await storage.leftovers(), []);
      });

      test('an abort cancels the body', async () => {
        const stop = new AbortController();
        const { promise: stopped, resolve } = Promise.withResolvers<void>();
        const body = new ReadableStream<Uint8Array>({
          pull(controller) {
            controller.enqueue(new Uint8Array(MiB));
          },
          cancel: () => resolve(),
        });
        const put = driver.putStream(key(`${freshFolder()}a`), body, { signal: stop.signal });
        setTimeout(() => stop.abort(), 50);
        await assert.rejects(put, { name: 'AbortError' });
        await stopped;
        assert.deepEqual(await storage.leftovers(), []);
      });
    });

    describe('reading', () => {
      const at = key('t/reading/large');
      const content = randomBytes(64 * MiB);
      before(async () => {
        await driver.putStream(at, chunksOf(content, MiB));
      });

      test('the driver does not read ahead of a slow reader', async () => {
        const object = await driver.get(at);
        assert.ok(object);
        const reader = object.body.getReader();
        await reader.read();
        const before = memoryOfBuffers();
        await sleep(500);
        assert.ok(memoryOfBuffers() - before < 16 * MiB, 'the driver holds more than the reader has requested');
        await reader.cancel();
      });

      test('a range of a large object arrives unchanged', async () => {
        const range = { start: 5 * MiB + 1, end: 40 * MiB };
        const object = await driver.get(at, { range });
        assert.ok(object);
        assert.equal(object.info.sizeBytes, 64 * MiB);
        assert.equal(Buffer.compare(await readAll(object.body), content.subarray(range.start, range.end + 1)), 0);
      });

      test('a reader may cancel at any time', async () => {
        for (let round = 0; round < 20; round++) {
          const object = await driver.get(at);
          assert.ok(object);
          if (round % 2 === 0) await object.body.cancel();
          else for await (const chunk of object.body) if (chunk.byteLength > 0) break;
        }
      });

      test('an abort ends a running read', async () => {
        const stop = new AbortController();
        const reason = new Error('the client went away');
        const object = await driver.get(at, { signal: stop.signal });
        assert.ok(object);
        const reader = object.body.getReader();
        await reader.read();
        stop.abort(reason);
        await assert.rejects(
          async () => {
            while (!(await reader.read()).done);
          },
          (error) => error === reason,
        );
      });

      test('an abort before the start reads nothing', async () => {
        await assert.rejects(driver.get(at, { signal: AbortSignal.abort() }), { name: 'AbortError' });
      });
    });

    describe('listings', () => {
      const nasty = [
        'a',
        'a!',
        'a-b',
        'a.b',
        'a0',
        'A',
        'B/x',
        'b%2Fc',
        'b-c',
        'b/c',
        'b/c-d',
        'b.c/d',
        'b/c!',
        'ba',
        'é',
        '\u{ffee}',
        '\u{1f600}',
        'z/y/x',
      ];
      // A file system cannot hold `b/c` and `b/c/d`; in S3 both are keys.
      const byBytes = (folder: string) =>
        nasty.map((name) => folder + name).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      const folder = 't/nasty/';
      before(async () => {
        for (const name of nasty) await putText(key(folder + name), name);
        // Keys outside the folder, which must not be listed.
        for (const name of ['t/nasty', 't/nasty-', 't/nasty0', 't/nast/y']) {
          if (name !== 't/nasty') await putText(key(name), name);
        }
      });

      test('keys are listed in byte order', async () => {
        assert.deepEqual(await keysOf(folder), byBytes(folder));
      });

      test('a listing begins after any given key, whether it exists or not', async () => {
        const all = byBytes(folder);
        const starts = [
          ...all,
          `${folder}b/`,
          `${folder}b`,
          `${folder}b0`,
          `${folder}a-`,
          folder,
          't/a',
          't/z',
          `${folder}b/c/d`,
        ];
        for (const start of starts) {
          const expected = all.filter((at) => compareByteOrder(at, start) > 0);
          assert.deepEqual(await keysOf(folder, start), expected, `after ${start}`);
        }
      });

      test('a prefix may end within a name', async () => {
        for (const start of ['b', 'b/', 'b/c', 'b%', 'a', 'z/y', 'nothing', 'nothing/']) {
          const expected = byBytes(folder).filter((at) => at.startsWith(folder + start));
          assert.deepEqual(await keysOf(folder + start), expected, `prefix ${start}`);
        }
      });

      test('folders are listed in byte order, without objects', async () => {
        const folders = ['B/', 'b.c/', 'b/', 'z/'].map((name) => folder + name);
        assert.deepEqual(await foldersOf(folder), folders);
        assert.deepEqual(await foldersOf(`${folder}z/`), [`${folder}z/y/`]);
        assert.deepEqual(await foldersOf(`${folder}b/`), []);
        assert.deepEqual(await foldersOf(`${folder}nothing/`), []);
        for (const [index, start] of folders.entries()) {
          assert.deepEqual(await foldersOf(folder, start), folders.slice(index + 1), `after ${start}`);
        }
        assert.deepEqual(await foldersOf(folder, `${folder}b`), folders.slice(1), 'after a name without slash');
      });

      test('an empty prefix lists all objects', async () => {
        assert.ok((await foldersOf('')).includes('t/'));
        assert.ok((await keysOf('')).includes(`${folder}a`));
      });

      test('a folder is listed only while it contains an object', async () => {
        const fresh = freshFolder();
        await putText(key(`${fresh}deep/er/a`), 'a');
        await putText(key(`${fresh}b`), 'b');
        assert.deepEqual(await foldersOf(fresh), [`${fresh}deep/`]);
        await driver.delete(key(`${fresh}deep/er/a`));
        assert.deepEqual(await foldersOf(fresh), []);
        assert.ok(await driver.put(key(`${fresh}deep`), bytes('now an object')));
        assert.deepEqual(await keysOf(fresh), [`${fresh}b`, `${fresh}deep`]);
      });

      test('more than 1,000 keys and more than 1,000 folders are listed completely, also from the middle', async () => {
        const fresh = freshFolder();
        const names = Array.from({ length: 2100 }, (_, index) => `${fresh}${String(index).padStart(4, '0')}/x`);
        await inParallel(names, (name) => putText(key(name), ''));
        const folders = names.map((name) => name.slice(0, -1));

        assert.deepEqual(await keysOf(fresh), names);
        assert.deepEqual(await keysOf(fresh, names[1049]), names.slice(1050));
        assert.deepEqual(await keysOf(fresh, folders[1050]), names.slice(1050));
        assert.deepEqual(await foldersOf(fresh), folders);
        assert.deepEqual(await foldersOf(fresh, folders[1049]), folders.slice(1050));
        for await (const info of driver.list(prefix(fresh))) {
          assert.equal(info.key, names[0]);
          break; // a listing need not be read to its end
        }
      });

      test('concurrent puts and deletes in one folder all succeed', async () => {
        const fresh = freshFolder();
        const come = async (writer: number) => {
          for (let round = 0; round < 10; round++) {
            const at = key(`${fresh}deep/er/${writer}`);
            assert.ok(await driver.put(at, bytes('x'), { ifAbsent: round % 2 === 0 }));
            assert.equal(await driver.delete(at), true);
          }
        };
        await Promise.all(Array.from({ length: 10 }, (_, writer) => come(writer)));
        assert.deepEqual(await keysOf(fresh), []);
      });
    });

    describe('multipart uploads', () => {
      const part = (fill: number, sizeBytes = MIN_PART_BYTES) => new Uint8Array(sizeBytes).fill(fill);

      test('parts in any order become one object in the order of their numbers', async () => {
        const at = key(`${freshFolder()}a`);
        const upload = await driver.createMultipart(at);
        const third = await driver.uploadPart(upload, 3, part(3, 7));
        const first = await driver.uploadPart(upload, 1, part(1));
        const second = await driver.uploadPart(upload, 2, part(2, MIN_PART_BYTES + 1));
        assert.ok(first && second && third);
        assert.deepEqual(await driver.listParts(upload), [first, second, third]);
        assert.equal(await driver.head(at), undefined, 'nothing is there before the end');

        assert.equal(await driver.completeMultipart(upload, [first, second, third]), true);
        const object = await driver.get(at);
        assert.ok(object);
        const expected = Buffer.concat([part(1), part(2, MIN_PART_BYTES + 1), part(3, 7)]);
        assert.equal(Buffer.compare(await readAll(object.body), expected), 0);
        assert.equal((await driver.head(at))?.etag, object.info.etag);
        assert.deepEqual(await storage.leftovers(), []);
      });

      test('an upload is completed only from the given parts, with the given ETags', async () => {
        const at = key(`${freshFolder()}a`);
        const upload = await driver.createMultipart(at);
        const old = await driver.uploadPart(upload, 1, part(1));
        const last = await driver.uploadPart(upload, 2, part(2, 1));
        const again = await driver.uploadPart(upload, 1, part(9));
        assert.ok(old && last && again);
        assert.deepEqual(await driver.listParts(upload), [again, last]);
        assert.equal(await driver.completeMultipart(upload, [old, last]), false);
        assert.equal(await driver.head(at), undefined);
        assert.equal(await driver.completeMultipart(upload, [again]), true, 'a part may be left out');
        assert.equal((await driver.head(at))?.sizeBytes, MIN_PART_BYTES);
        assert.deepEqual(await storage.leftovers(), []);
      });

      test('a part that was replaced by another with the same MD5 is not accepted', async () => {
        const at = key(`${freshFolder()}a`);
        const upload = await driver.createMultipart(at);
        const [seen, other] = withOneMd5(MIN_PART_BYTES);
        const old = await driver.uploadPart(upload, 1, seen);
        const again = await driver.uploadPart(upload, 1, other);
        assert.ok(old && again);
        assert.notDeepEqual(again, old);
        assert.deepEqual(await driver.listParts(upload), [again]);
        assert.equal(await driver.completeMultipart(upload, [old]), false);
        assert.equal(await driver.head(at), undefined);
        assert.equal(await driver.completeMultipart(upload, [again]), true);
        assert.ok(other.equals((await driver.read(at))?.bytes ?? new Uint8Array()));
      });

      test('an upload that is completed, aborted or was never started is unknown', async () => {
        const folder = freshFolder();
        const complete = await driver.createMultipart(key(`${folder}complete`));
        const aborted = await driver.createMultipart(key(`${folder}aborted`));
        const parts = [await driver.uploadPart(complete, 1, part(1, 3))].filter((one) => one !== undefined);
        await driver.uploadPart(aborted, 1, part(1, 3));
        assert.equal(await driver.completeMultipart(complete, parts), true);
        await driver.abortMultipart(aborted);

        const never = { key: key(`${folder}never`), uploadId: randomUUID() };
        for (const upload of [complete, aborted, never]) {
          assert.equal(await driver.uploadPart(upload, 1, part(1, 3)), undefined);
          assert.equal(await driver.listParts(upload), undefined);
          assert.equal(await driver.completeMultipart(upload, parts), false);
          await driver.abortMultipart(upload);
        }
        assert.deepEqual(await keysOf(folder), [`${folder}complete`]);
        assert.deepEqual(await storage.leftovers(), []);
      });

      test('an upload is unknown under another key', async () => {
        const folder = freshFolder();
        const upload = await driver.createMultipart(key(`${folder}a`));
        const other = { ...upload, key: key(`${folder}b`) };
        assert.equal(await driver.uploadPart(other, 1, part(1, 3)), undefined);
        assert.equal(await driver.listParts(other), undefined);
        await driver.abortMultipart(other);
        assert.deepEqual(await driver.listParts(upload), [], 'and is still there');
        await driver.abortMultipart(upload);
      });

      test('parts that are too small, out of order or none at all are refused', async () => {
        const at = key(`${freshFolder()}a`);
        const upload = await driver.createMultipart(at);
        const small = await driver.uploadPart(upload, 1, part(1, 3));
        const last = await driver.uploadPart(upload, 2, part(2, 3));
        assert.ok(small && last);
        await assert.rejects(driver.completeMultipart(upload, [small, last]));
        await assert.rejects(driver.completeMultipart(upload, [last, small]));
        await assert.rejects(driver.completeMultipart(upload, []));
        assert.equal(await driver.head(at), undefined);
        await driver.abortMultipart(upload);
        assert.deepEqual(await storage.leftovers(), []);
      });
    });
  });
}

async function* chunksOf(content: Uint8Array, chunkBytes: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < content.byteLength; start += chunkBytes)
    yield content.subarray(start, start + chunkBytes);
}

async function* zeros(sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let left = sizeBytes; left > 0; left -= MiB) yield new Uint8Array(Math.min(MiB, left));
}

async function* failingAfter(sizeBytes: number, reason: Error): AsyncGenerator<Uint8Array> {
  yield* zeros(sizeBytes);
  throw reason;
}

async function* stallingAfter(sizeBytes: number, onStall: () => void): AsyncGenerator<Uint8Array> {
  yield* zeros(sizeBytes);
  setTimeout(onStall, 10);
  await new Promise(() => {}); // for ever
}

async function inParallel<T>(items: readonly T[], run: (item: T) => Promise<unknown>): Promise<void> {
  const queue = items.values();
  const work = async () => {
    for (const item of queue) await run(item);
  };
  await Promise.all(Array.from({ length: 32 }, work));
}

function memoryOfBuffers(): number {
  const { external, arrayBuffers } = process.memoryUsage();
  return external + arrayBuffers;
}
