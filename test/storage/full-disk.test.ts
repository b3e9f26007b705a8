// Simulates a full disk. `test/faults/full-disk.faults.ts` fills a real one.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorResponse } from '../../lib/http/error-response.ts';
import { type Key, layout } from '../../lib/model/layout.ts';
import { Readiness } from '../../lib/server/readiness.ts';
import { StorageFullError, StorageUnavailableError } from '../../lib/storage/driver.ts';
import { FilesDriver } from '../../lib/storage/files.ts';
import { decodeText, MiB } from '../../lib/streams/bytes.ts';
import { alterDriver } from './altered-driver.ts';
import { CHANGES, withFailing } from './failing-fs.ts';

const key = (text: string) => text as Key;
const bytes = (text: string) => new TextEncoder().encode(text);

describe('a full disk', { timeout: 60_000 }, () => {
  let root: string;
  let driver: FilesDriver;
  const begin = async () => {
    await rm(root, { recursive: true, force: true });
    driver = await FilesDriver.open(root);
    await driver.put(key('folder/old'), bytes('old'));
  };
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'stowage-full-'));
    await begin();
  });
  afterEach(() => rm(root, { recursive: true }));

  const textAt = async (at: string) => {
    const object = await driver.read(key(at));
    return object && decodeText(object.bytes);
  };

  const writes: { title: string; write: () => Promise<unknown> }[] = [
    { title: 'a put', write: () => driver.put(key('other/new'), bytes('new')) },
    { title: 'a put if absent', write: () => driver.put(key('other/new'), bytes('new'), { ifAbsent: true }) },
    { title: 'a put over an object', write: () => driver.put(key('folder/old'), bytes('new')) },
    {
      title: 'a conditional put',
      write: async () => {
        const info = await driver.head(key('folder/old'));
        await driver.put(key('folder/old'), bytes('new'), { ifMatch: info?.etag ?? assert.fail() });
      },
    },
    { title: 'a stream', write: () => driver.putStream(key('other/new'), ReadableStream.from([bytes('new')])) },
    { title: 'a copy', write: () => driver.copyIfAbsent(key('folder/old'), key('other/new')) },
    {
      title: 'a second name',
      write: () => driver.copyIfAbsent(key('folder/old'), key('other/new'), { mayKeepTime: true }),
    },
    { title: 'the start of an upload', write: () => driver.createMultipart(key('other/new')) },
  ];
  for (const { title, write } of writes) {
    for (const { code, expected } of [
      { code: 'ENOSPC', expected: StorageFullError },
      { code: 'EDQUOT', expected: StorageFullError },
      { code: 'EROFS', expected: StorageUnavailableError },
    ]) {
      test(`${title} that fails with ${code} is a StorageFullError and leaves nothing, at whichever step it fails`, async () => {
        let refused = 0;
        for (const change of CHANGES) {
          await begin();
          let hasFailed = false;
          const count = await withFailing(change, code, async () => {
            await write().catch((error: unknown) => {
              assert.ok(error instanceof expected, `${change}: ${error}`);
              hasFailed = true;
            });
          });
          assert.equal(hasFailed, count > 0, change);
          refused += count;
          if (!hasFailed) continue;
          assert.equal(await textAt('folder/old'), 'old', change);
          assert.equal(await textAt('other/new'), undefined, change);
          assert.deepEqual(await readdir(join(root, '.tmp')), [], change);
        }
        assert.ok(refused > 0);
      });
    }
  }

  test('a part and a completion without room are StorageFullErrors, and the upload can be aborted', async () => {
    for (const change of ['open', 'write', 'sync', 'rename'] as const) {
      const upload = await driver.createMultipart(key('other/new'));
      const parts = [
        await driver.uploadPart(upload, 1, new Uint8Array(5 * MiB)),
        await driver.uploadPart(upload, 2, bytes('x')),
      ];
      const refused = await withFailing(change, 'ENOSPC', async () => {
        await assert.rejects(driver.uploadPart(upload, 3, bytes('y')), StorageFullError);
        const whole = parts.filter((part) => part !== undefined);
        await assert.rejects(driver.completeMultipart(upload, whole), StorageFullError);
      });
      assert.ok(refused >= 2, change);
      await driver.abortMultipart(upload);
      assert.deepEqual(await readdir(join(root, '.tmp')), [], change);
    }
    assert.equal(await driver.head(key('other/new')), undefined);
  });

  for (const change of ['mkdir', 'link', 'open'] as const) {
    test(`objects can be read and deleted, also conditionally, when ${change} has no room`, async () => {
      const info = await driver.head(key('folder/old'));
      const etag = await driver.put(key('folder/next'), bytes('next'));
      assert.ok(info && etag);
      await withFailing(change, 'ENOSPC', async () => {
        assert.equal(await textAt('folder/old'), 'old');
        assert.equal(await driver.delete(key('folder/old'), { ifMatch: etag }), false);
        assert.equal(await driver.delete(key('folder/old'), { ifMatch: info.etag }), true);
        assert.equal(await driver.delete(key('folder/next')), true);
      });
      assert.deepEqual(await readdir(root), ['.tmp']);
      assert.deepEqual(await readdir(join(root, '.tmp')), []);
    });
  }

  test('the driver can be opened', async () => {
    for (const change of CHANGES.filter((name) => name !== 'mkdir')) {
      await withFailing(change, 'ENOSPC', async () => void (await FilesDriver.open(root)));
    }
  });

  test('checkRoom writes a file and leaves none', async () => {
    await driver.checkRoom();
    await withFailing('writeFile', 'ENOSPC', () => assert.rejects(driver.checkRoom(), StorageFullError));
    await withFailing('writeFile', 'EROFS', () => assert.rejects(driver.checkRoom(), StorageUnavailableError));
    await driver.checkRoom();
    assert.deepEqual(await readdir(join(root, '.tmp')), []);
  });

  test('readiness fails, checks at most every two seconds, and recovers by itself', async () => {
    let asked = 0;
    let isFull = true;
    const storage = alterDriver(driver, () => ({
      checkRoom: async () => {
        asked++;
        if (isFull) throw new StorageFullError('full');
      },
    }));
    const readiness = new Readiness(storage);
    const problems = await Promise.all(Array.from({ length: 50 }, () => readiness.roomProblem()));
    assert.deepEqual(new Set(problems), new Set(['no space left in the storage']));
    assert.equal(asked, 1);
    isFull = false;
    await sleep(2100);
    assert.equal(await readiness.roomProblem(), undefined);
    assert.equal(await readiness.answers(), true);
  });

  test('storage that does not respond is not ready, and readiness does not wait for it', async () => {
    const never = new Promise<never>(() => {});
    const storage = alterDriver(driver, () => ({ checkRoom: () => never, head: () => never }));
    const readiness = new Readiness(storage);
    assert.deepEqual(await Promise.all([readiness.roomProblem(), readiness.answers()]), [
      'storage takes no writes now',
      false,
    ]);
  });

  test('clients get a 507 with the error body of their protocol', async () => {
    const full = new StorageFullError(`writing ${layout.layoutVersion()}: no space left on the disk`);
    const [v1, v2] = [errorResponse('v1', full), errorResponse('v2', full)];
    assert.deepEqual([v1.status, v2.status], [507, 507]);
    assert.deepEqual(await v1.json(), { error: 'no space left in the storage' });
    assert.deepEqual(await v2.json(), { errors: [{ code: 'UNAVAILABLE', message: 'no space left in the storage' }] });
  });
});
