import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { HeadObjectCommand, type HeadObjectCommandOutput, S3Client } from '@aws-sdk/client-s3';
import type { Key, KeyPrefix } from '../../lib/model/layout.ts';
import { StorageFullError, StorageUnavailableError } from '../../lib/storage/driver.ts';
import { HttpExchanges } from '../../lib/storage/http-exchanges.ts';
import { PART_BYTES } from '../../lib/storage/multipart-limits.ts';
import { S3Access } from '../../lib/storage/s3-access.ts';
import type { S3DriverOptions } from '../../lib/storage/s3-client.ts';
import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { PlainReads } from '../../lib/storage/s3-plain-reads.ts';
import { PARTS_AT_ONCE } from '../../lib/storage/s3-upload.ts';
import { READS_AT_ONCE } from '../../lib/storage/shared-reads.ts';
import { decodeText, KiB, MiB, readAll } from '../../lib/streams/bytes.ts';
import { withOneMd5 } from '../support/md5-collision.ts';
import { type Minio, startMinio, unfinishedUploads } from '../support/minio.ts';
import { storageContract } from './contract.ts';
import { type FaultyProxy, type SeenRequest, startFaultyProxy } from './faulty-proxy.ts';

const key = (text: string) => text as Key;
const bytes = (text: string) => new TextEncoder().encode(text);

storageContract('the S3 driver', async () => {
  const minio = await startMinio();
  const driver = new S3Driver({ ...minio.driverOptions, keyPrefix: 'registry/v 1/' });
  return {
    driver,
    leftovers: () => unfinishedUploads(minio),
    async close() {
      await driver.close();
      await minio.stop();
    },
  };
});

describe('the S3 driver', { timeout: 300_000 }, () => {
  let minio: Minio;
  let proxy: FaultyProxy;
  /** Connects to MinIO directly. */
  let driver: S3Driver;
  /** Connects by way of the proxy. */
  let shaky: S3Driver;
  before(async () => {
    minio = await startMinio();
    proxy = await startFaultyProxy(minio.endpoint);
    driver = new S3Driver(minio.driverOptions);
    shaky = new S3Driver({ ...minio.driverOptions, endpoint: proxy.endpoint });
  });
  after(async () => {
    await driver.close();
    await shaky.close();
    await proxy.close();
    await minio.stop();
  });

  const freshKey = () => key(`t/${randomUUID()}`);
  const textAt = async (at: Key) => {
    const object = await driver.get(at);
    return object && new TextDecoder().decode(await readAll(object.body));
  };

  test('the server says that an object has not changed since its ETag was read, and sends one that has', async () => {
    const at = freshKey();
    const etag = await driver.put(at, bytes('first'));
    const exchanges = new HttpExchanges();
    const load = () => assert.fail('the SDK is not needed');
    const access = new S3Access(minio.driverOptions, { load, loaded: () => undefined });
    const reads = new PlainReads(access, exchanges);
    const unchanged = await reads.object('GET', at, etag);
    assert.ok(unchanged && unchanged !== 'absent' && unchanged.isUnchanged);
    assert.equal(unchanged.headers.etag, etag);
    assert.ok(unchanged.headers['last-modified']);
    await driver.put(at, bytes('second'));
    const changed = await reads.object('GET', at, etag);
    assert.ok(changed && changed !== 'absent' && !changed.isUnchanged);
    assert.equal(decodeText(changed.bytes), 'second');
    exchanges.close();
  });

  test('2,500 objects are deleted by three requests, and one by one where the server has no such request', async () => {
    const folder = `t/${randomUUID()}/`;
    const few = ['a', 'b', 'c'].map((name) => key(folder + name));
    const many = Array.from({ length: 2500 }, (_, index) => key(`${folder}${index}`));
    proxy.heal();
    proxy.requests.length = 0;
    await shaky.deleteMany(many);
    assert.deepEqual(
      proxy.requests.map(({ method }) => method),
      ['POST', 'POST', 'POST'],
    );
    const another = new S3Driver({ ...minio.driverOptions, endpoint: proxy.endpoint });
    proxy.fail(({ method }) => method === 'POST', { kind: 'refuse', status: 501, code: 'NotImplemented' }, 100);
    for (const round of [1, 2]) {
      for (const at of few) await driver.put(at, bytes('x'));
      await another.deleteMany(few);
      for (const at of few) assert.equal(await driver.head(at), undefined, `round ${round}`);
    }
    assert.equal(proxy.requests.filter(({ method }) => method === 'POST').length, 1, 'it is asked once');
    proxy.heal();
    await another.close();
  });

  describe('presigned URLs', () => {
    test('let a client without credentials read the object, with the requested content type', async () => {
      const at = key('presigned/b%2Fc d+e~');
      await driver.put(at, bytes('hello'));
      const url = await driver.presign('GET', at, { expiresSeconds: 60, contentType: 'application/x-layer' });
      const response = await fetch(url);
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('content-type'), 'application/x-layer');
      assert.equal(await response.text(), 'hello');
      const part = await fetch(url, { headers: { range: 'bytes=1-2' } });
      assert.equal(part.status, 206);
      assert.equal(await part.text(), 'el');
    });

    test('for HEAD give the size, and are not valid for GET', async () => {
      const at = key('presigned/head');
      await driver.put(at, bytes('hello'));
      const url = await driver.presign('HEAD', at, { expiresSeconds: 60, contentType: 'application/x-layer' });
      const response = await fetch(url, { method: 'HEAD' });
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('content-length'), '5');
      assert.equal((await fetch(url)).status, 403);
    });

    test('expire', async () => {
      const url = await driver.presign('GET', freshKey(), { expiresSeconds: 1 });
      assert.equal(url.searchParams.get('X-Amz-Expires'), '1');
      await sleep(2100);
      assert.equal((await fetch(url)).status, 403);
    });
  });

  test('with `encrypt` every write requests encryption, without it none does', async () => {
    const encrypting = new S3Driver({ ...minio.driverOptions, encrypt: true });
    const writes: Record<string, (to: S3Driver, at: Key) => Promise<unknown>> = {
      put: (to, at) => to.put(at, bytes('x')),
      'small stream': (to, at) => to.putStream(at, zeros(1)),
      'large stream': (to, at) => to.putStream(at, zeros(13 * MiB)),
      multipart: async (to, at) => {
        const upload = await to.createMultipart(at);
        const part = await to.uploadPart(upload, 1, bytes('x'));
        assert.ok(part && (await to.completeMultipart(upload, [part])));
      },
    };
    for (const [name, write] of Object.entries(writes)) {
      for (const [to, expected] of [
        [encrypting, 'AES256'],
        [driver, undefined],
      ] as const) {
        const at = freshKey();
        await write(to, at);
        assert.equal((await headOf(minio, at)).ServerSideEncryption, expected, name);
      }
    }
    await encrypting.close();
  });

  test('keys are below the key prefix, and other objects are not seen', async () => {
    const below = new S3Driver({ ...minio.driverOptions, keyPrefix: 'below/' });
    await below.put(key('a/b'), bytes('x'));
    assert.ok(await driver.head(key('below/a/b')));
    await driver.put(key('below-not/a/c'), bytes('x'));
    await driver.put(key('a/d'), bytes('x'));
    const infos = await Array.fromAsync(below.list('' as KeyPrefix));
    assert.deepEqual(
      infos.map((info) => info.key),
      ['a/b'],
    );
    assert.deepEqual(await Array.fromAsync(below.listFolders('' as KeyPrefix)), ['a/']);
    assert.equal((await fetch(await below.presign('GET', key('a/b'), { expiresSeconds: 60 }))).status, 200);
    await below.close();
  });

  test('a key prefix that is not empty has to end in a slash', () => {
    assert.throws(() => new S3Driver({ ...minio.driverOptions, keyPrefix: 'registry' }), /"registry" must be empty or/);
  });

  test('more than 1,000 parts are all listed', async () => {
    const upload = await driver.createMultipart(freshKey());
    const numbers = Array.from({ length: 1003 }, (_, index) => index + 1);
    for (let start = 0; start < numbers.length; start += 50) {
      await Promise.all(
        numbers.slice(start, start + 50).map((number) => driver.uploadPart(upload, number, bytes('x'))),
      );
    }
    const parts = await driver.listParts(upload);
    assert.deepEqual(
      parts?.map((part) => part.partNumber),
      numbers,
    );
    await driver.abortMultipart(upload);
  });

  test('read and head take one request, also for a missing object', async () => {
    const at = freshKey();
    await driver.put(at, bytes('x'));
    for (const ask of [(k: Key) => shaky.read(k), (k: Key) => shaky.head(k)]) {
      for (const asked of [at, freshKey()]) {
        proxy.fail(() => false, { kind: 'drop' });
        await ask(asked);
        assert.equal(proxy.requests.length, 1);
      }
    }
  });

  test('concurrent reads of an object see every earlier write, and most share a request', async () => {
    const at = freshKey();
    proxy.fail(() => false, { kind: 'drop' });
    let written = 0;
    let isOver = false;
    const readers = Array.from({ length: 64 }, async () => {
      while (!isOver) {
        const least = written;
        const object = await shaky.read(at);
        if (least > 0) assert.ok(object && Number(decodeText(object.bytes)) >= least);
        else await sleep(1);
      }
    });
    for (let value = 1; value <= 50; value++) {
      await driver.put(at, bytes(String(value)));
      written = value;
    }
    await sleep(50);
    isOver = true;
    await Promise.all(readers);
    const before = proxy.requests.length;
    await Promise.all(Array.from({ length: 64 }, () => shaky.read(at)));
    assert.equal(proxy.requests.length - before, READS_AT_ONCE + 1); // one for all that began later
  });

  test('100 MiB take nine parts and eleven requests', async () => {
    proxy.fail(() => false, { kind: 'drop' });
    await shaky.putStream(freshKey(), zeros(100 * MiB), { ifAbsent: true });
    assert.equal(proxy.requests.filter(isPartUpload).length, 9);
    assert.equal(proxy.requests.length, 11);
  });

  describe('verifyBucket', () => {
    const verify = async (options: Partial<S3DriverOptions>) => {
      const wrong = new S3Driver({ ...minio.driverOptions, ...options });
      try {
        await wrong.verifyBucket();
      } finally {
        await wrong.close();
      }
    };

    test('accepts a bucket that exists', async () => {
      await verify({});
    });

    test('reports a missing bucket, with the server', async () => {
      await assert.rejects(verify({ bucket: 'no-such-bucket' }), {
        message: `there is no bucket no-such-bucket at ${minio.endpoint}: create it, or correct its name`,
      });
    });

    test('reports denied access', async () => {
      const credentials = { ...minio.credentials, secretAccessKey: 'not the right one' };
      await assert.rejects(
        verify({ credentials }),
        /access to the bucket stowage-\S+ at \S+ is denied: check the access/,
      );
    });

    test('reports a wrong region', async () => {
      await assert.rejects(verify({ region: 'eu-west-3' }), /probably in another region than eu-west-3/);
    });

    test('reports a server that does not respond', async () => {
      const endpoint = 'http://127.0.0.1:9';
      await assert.rejects(verify({ endpoint }), (error) => {
        assert.ok(error instanceof StorageUnavailableError);
        assert.match(error.message, /looking for the bucket stowage-\S+ at http:\/\/127.0.0.1:9/);
        assert.ok(error.cause instanceof Error);
        return true;
      });
    });

    test('finds out the region of the bucket if none is configured, so that presigned URLs are valid', async () => {
      const elsewhere = await startMinio({ region: 'eu-central-1' });
      const { region: _, ...options } = elsewhere.driverOptions;
      const unaware = new S3Driver(options);
      await unaware.verifyBucket();
      const at = key('a');
      await unaware.put(at, bytes('hello'));
      const url = await unaware.presign('GET', at, { expiresSeconds: 60 });
      assert.match(url.searchParams.get('X-Amz-Credential') ?? '', /eu-central-1/);
      assert.equal(await (await fetch(url)).text(), 'hello');
      await unaware.close();
      await elsewhere.stop();
    });
  });

  test('a missing bucket is an error, not a missing object', async () => {
    const wrong = new S3Driver({ ...minio.driverOptions, bucket: 'no-such-bucket' });
    await assert.rejects(wrong.get(key('a')), /NoSuchBucket/);
    await assert.rejects(wrong.read(key('a')), /NoSuchBucket/);
    await assert.rejects(Array.fromAsync(wrong.list('' as KeyPrefix)), /NoSuchBucket/);
    await wrong.close();
  });

  test('requests to AWS use TLS unless that is turned off', async () => {
    const { endpoint: _, forcePathStyle: __, ...aws } = minio.driverOptions;
    for (const [useTls, protocol] of [
      [true, 'https:'],
      [false, 'http:'],
    ] as const) {
      const far = new S3Driver({ ...aws, bucket: 'some-bucket', region: 'eu-west-1', useTls });
      const url = await far.presign('GET', key('a/b'), { expiresSeconds: 60 });
      assert.equal(
        `${url.protocol}//${url.host}${url.pathname}`,
        `${protocol}//some-bucket.s3.eu-west-1.amazonaws.com/a/b`,
      );
      await far.close();
    }
  });

  describe('with faults of the network or the server', () => {
    /** So long after the next request has been signed and sent. */
    const afterSent = async (ms: number) => {
      await sleep(1); // by then `fail` has forgotten earlier requests
      await until(() => proxy.requests.length > 0);
      await sleep(ms);
    };

    test('a throttled request is sent again', async () => {
      const at = freshKey();
      proxy.fail(isPut, { kind: 'refuse', status: 503, code: 'SlowDown' }, 1);
      assert.ok(await shaky.put(at, bytes('x')));
      assert.equal(proxy.requests.length, 2);
    });

    test('a request that is throttled every time throws StorageUnavailableError with its cause', async () => {
      proxy.fail(isPut, { kind: 'refuse', status: 429, code: 'TooManyRequests' }, Number.POSITIVE_INFINITY);
      await assert.rejects(shaky.put(freshKey(), bytes('x')), (error) => {
        assert.ok(error instanceof StorageUnavailableError);
        assert.ok(error.cause instanceof Error);
        return true;
      });
      assert.ok(proxy.requests.length > 1);
    });

    test('a denied request is sent once, and throws with its cause', async () => {
      proxy.fail(isPut, { kind: 'refuse', status: 400, code: 'InvalidRequest' }, Number.POSITIVE_INFINITY);
      await assert.rejects(shaky.put(freshKey(), bytes('x')), (error) => {
        assert.ok(error instanceof Error && !(error instanceof StorageUnavailableError));
        assert.match(error.message, /^PUT t\/\S+ failed \(InvalidRequest/);
        return error.cause instanceof Error;
      });
      assert.equal(proxy.requests.length, 1);
    });

    test('a request whose connection breaks is sent again', async () => {
      const at = freshKey();
      await driver.put(at, bytes('x'));
      proxy.fail(() => true, { kind: 'drop' }, 2);
      assert.ok(await shaky.head(at));
    });

    for (const [title, fault] of [
      ['is refused', { kind: 'refuse', status: 503, code: 'SlowDown' }],
      ['gets no answer', { kind: 'drop' }],
      ['breaks off', { kind: 'cut', afterBytes: 1000 }],
    ] as const) {
      test(`a read that ${title} is sent again`, async () => {
        const at = freshKey();
        await driver.put(at, new Uint8Array(5000).fill(7));
        proxy.fail(() => true, fault);
        assert.deepEqual((await shaky.read(at))?.bytes, Buffer.alloc(5000, 7));
        assert.ok(proxy.requests.length > 1);
      });
    }

    test('a read that fails every time throws StorageUnavailableError', async () => {
      proxy.fail(() => true, { kind: 'refuse', status: 503, code: 'SlowDown' }, Number.POSITIVE_INFINITY);
      await assert.rejects(shaky.read(freshKey()), StorageUnavailableError);
      await assert.rejects(shaky.head(freshKey()), StorageUnavailableError);
    });

    test('a put with ifAbsent whose response is lost recognizes its own object', async () => {
      const at = freshKey();
      proxy.fail(isPut, { kind: 'lose-answer' });
      const etag = await shaky.put(at, bytes('mine'), { ifAbsent: true });
      assert.equal(etag, (await driver.head(at))?.etag);
    });

    test('a put with ifAbsent whose response is lost recognizes the object of another writer', async () => {
      const at = freshKey();
      await driver.put(at, bytes('mine?'));
      proxy.fail(isPut, { kind: 'lose-answer' });
      assert.equal(await shaky.put(at, bytes('mine!'), { ifAbsent: true }), undefined);
    });

    test('a completion whose response is lost is successful', async () => {
      const upload = await driver.createMultipart(freshKey());
      const part = await driver.uploadPart(upload, 1, bytes('x'));
      assert.ok(part);
      proxy.fail((request) => request.method === 'POST', { kind: 'lose-answer' });
      assert.equal(await shaky.completeMultipart(upload, [part]), true);
    });

    test('a completion fails if another process has completed the upload from other parts with the same MD5', async () => {
      const upload = await driver.createMultipart(freshKey());
      const [mine, others] = withOneMd5(1000);
      const part = await driver.uploadPart(upload, 1, mine);
      const other = await driver.uploadPart(upload, 1, others);
      assert.ok(part && other);
      assert.equal(await driver.completeMultipart(upload, [other]), true);
      proxy.fail((request) => request.method === 'POST', { kind: 'drop' });
      assert.equal(await shaky.completeMultipart(upload, [part]), false);
    });

    test('a server that refuses checksums gets them once, and then parts without them', async () => {
      const unwilling = new S3Driver({ ...minio.driverOptions, endpoint: proxy.endpoint });
      proxy.fail(isCreation, { kind: 'refuse', status: 501, code: 'NotImplemented' });
      for (const expected of [5, 4]) {
        const upload = await unwilling.createMultipart(freshKey());
        const part = await driver.uploadPart(upload, 1, bytes('x')); // by a process that has not been refused yet
        assert.ok(part);
        await unwilling.uploadPart(upload, 1, bytes('x'));
        assert.deepEqual(await unwilling.listParts(upload), [part]);
        assert.equal(part.sha256, undefined);
        assert.equal(await unwilling.completeMultipart(upload, [part]), true);
        assert.equal(proxy.requests.length, expected);
        proxy.requests.length = 0;
      }
      await unwilling.close();
    });

    test('a large stream whose upload has vanished throws StorageUnavailableError', async () => {
      proxy.fail(isCompletion, { kind: 'refuse', status: 404, code: 'NoSuchUpload' });
      await assert.rejects(shaky.putStream(freshKey(), zeros(13 * MiB)), StorageUnavailableError);
      assert.deepEqual(await unfinishedUploads(minio), []);
    });

    for (const [title, sizeBytes] of [
      ['a small stream', 1000],
      ['a large stream', 30 * MiB],
    ] as const) {
      for (const isThere of [false, true]) {
        test(`${title} whose response is lost recognizes ${isThere ? 'another object of the same size' : 'its own object'}`, async () => {
          const at = freshKey();
          const isLast = (request: SeenRequest) => request.conditional;
          let other: string | undefined;
          if (isThere)
            other = await driver.putStream(
              at,
              zeros(sizeBytes, () => undefined, 1),
            );
          proxy.fail(isLast, { kind: 'lose-answer' });
          const etag = await shaky.putStream(at, zeros(sizeBytes), { ifAbsent: true });
          assert.equal((await driver.head(at))?.etag, other ?? etag);
          assert.equal(etag === undefined, isThere);
          assert.deepEqual(await unfinishedUploads(minio), []);
        });
      }
    }

    test('a put that conflicts with another write is sent again', async () => {
      const at = freshKey();
      proxy.fail(isPut, { kind: 'refuse', status: 409, code: 'ConditionalRequestConflict' }, 2);
      assert.ok(await shaky.put(at, bytes('x'), { ifAbsent: true }));
      assert.equal(proxy.requests.length, 3);
    });

    for (const { title, isThere } of [
      { title: 'is undefined if the other write has succeeded', isThere: true },
      { title: 'throws StorageUnavailableError if it has not', isThere: false },
    ]) {
      test(`a large stream that conflicts with another write ${title}`, async () => {
        const at = freshKey();
        if (isThere) await driver.put(at, bytes('other'));
        proxy.fail(isCompletion, { kind: 'refuse', status: 409, code: 'ConditionalRequestConflict' }, 10);
        const put = shaky.putStream(at, zeros(13 * MiB), { ifAbsent: true });
        if (isThere) assert.equal(await put, undefined);
        else await assert.rejects(put, StorageUnavailableError);
        assert.deepEqual(await unfinishedUploads(minio), []);
      });
    }

    test('with a server without conditional deletes only the object with the given ETag is deleted', async () => {
      const at = freshKey();
      const [first, second] = [await driver.put(at, bytes('first')), await driver.put(at, bytes('second'))];
      assert.ok(first && second);
      const refuse = { kind: 'refuse', status: 501, code: 'NotImplemented' } as const;
      const isConditionalDelete = (request: SeenRequest) => request.method === 'DELETE' && request.conditional;
      proxy.fail(isConditionalDelete, refuse, 10);
      assert.equal(await shaky.delete(at, { ifMatch: first }), false);
      assert.equal(await textAt(at), 'second');
      assert.equal(await shaky.delete(at, { ifMatch: second }), true);
      assert.equal(await textAt(at), undefined);
    });

    for (const { title, sizeBytes } of [
      { title: 'a small object', sizeBytes: 1 },
      { title: 'an object for the connections of uploads', sizeBytes: 100 * KiB },
    ]) {
      test(`the server refuses a put of ${title} that arrives after its look has expired`, async () => {
        const at = freshKey();
        const look = { remainingMs: 1000 }; // when it is signed
        proxy.fail(isPut, { kind: 'hold', until: afterSent(2500) });
        await assert.rejects(shaky.put(at, new Uint8Array(sizeBytes), { look }), /RequestTimeTooSkewed/);
        assert.equal(proxy.requests.length, 1, 'it is not sent again');
        assert.equal(await driver.head(at), undefined);
      });
    }

    test('a put that is sent again is not valid for longer, and other requests of the client are', async () => {
      const at = freshKey();
      const expiresAt = Date.now() + 3000;
      const look = {
        get remainingMs() {
          return expiresAt - Date.now();
        },
      };
      proxy.fail(isPut, { kind: 'drop' }, 4);
      const putting = shaky.put(at, bytes('x'), { look });
      await until(() => proxy.requests.length > 1);
      proxy.fail(isPut, { kind: 'hold', until: sleep(4500) }, 4);
      await assert.rejects(putting, StorageUnavailableError);
      assert.equal(await driver.head(at), undefined);
      proxy.heal();
      assert.ok(await shaky.put(at, bytes('y')));
      assert.ok(await shaky.put(at, bytes('z'), { look: { remainingMs: 2000 } }));
    });

    for (const { fault, isLeft } of [
      { fault: { kind: 'lose-answer' }, isLeft: false },
      { fault: { kind: 'drop' }, isLeft: true },
      { fault: { kind: 'refuse', status: 503, code: 'SlowDown' }, isLeft: true },
    ] as const) {
      test(`a delete that must be sent once is not sent again: ${fault.kind}`, async () => {
        const at = freshKey();
        await driver.put(at, bytes('x'));
        proxy.fail(({ method }) => method === 'DELETE', fault, 1);
        const deleting = shaky.delete(at, { onceWithin: { remainingMs: 60_000 } });
        await assert.rejects(deleting, StorageUnavailableError);
        assert.equal(proxy.requests.length, 1);
        assert.equal(await textAt(at), isLeft ? 'x' : undefined);
      });
    }

    test('the server refuses a delete that arrives after its look has expired', async () => {
      const at = freshKey();
      await driver.put(at, bytes('x'));
      const look = { remainingMs: 1000 }; // when it is signed
      proxy.fail(({ method }) => method === 'DELETE', { kind: 'hold', until: afterSent(2500) });
      await assert.rejects(shaky.delete(at, { onceWithin: look }), /RequestTimeTooSkewed/);
      assert.equal(await textAt(at), 'x');
    });

    for (const { status, code } of [
      { status: 507, code: 'XMinioStorageFull' },
      { status: 403, code: 'QuotaExceeded' },
    ]) {
      test(`checkRoom fails after a write was refused with ${code}, until the server has room`, async () => {
        const own = new S3Driver({ ...minio.driverOptions, endpoint: proxy.endpoint });
        const isWrite = ({ method }: SeenRequest) => method === 'PUT' || method === 'POST';
        await own.checkRoom();
        proxy.fail(isWrite, { kind: 'refuse', status, code }, 100);
        await assert.rejects(own.put(freshKey(), bytes('x')), StorageFullError);
        await assert.rejects(own.putStream(freshKey(), zeros(13 * MiB)), StorageFullError);
        assert.ok(proxy.requests.length <= 3, `${proxy.requests.length} requests`);
        await assert.rejects(own.checkRoom(), StorageFullError);
        proxy.heal();
        await own.checkRoom();
        const before = proxy.requests.length;
        await own.checkRoom();
        assert.equal(proxy.requests.length, before, 'nothing is asked while all is well');
        assert.deepEqual(await Array.fromAsync(driver.list('oci/uploads/' as KeyPrefix)), []);
        await own.close();
      });
    }

    test('a download that breaks off is an error, not a normal end', async () => {
      const at = freshKey();
      await driver.putStream(at, zeros(8 * MiB));
      proxy.fail(() => true, { kind: 'cut', afterBytes: MiB });
      const object = await shaky.get(at);
      assert.ok(object);
      await assert.rejects(readAll(object.body), StorageUnavailableError);
    });

    test('a download that is cancelled ends its connection', async () => {
      const at = freshKey();
      await driver.putStream(at, zeros(64 * MiB));
      proxy.fail(() => false, { kind: 'drop' });
      const object = await shaky.get(at);
      assert.ok(object);
      await object.body.cancel();
      await until(() => proxy.brokenOff() === 1);
    });

    test('of the body no more is read than the parts in flight and the next one, if storage is slow', async () => {
      const release = Promise.withResolvers<void>();
      proxy.fail(isPartUpload, { kind: 'hold', until: release.promise }, 3);
      let readBytes = 0;
      const put = shaky.putStream(
        freshKey(),
        zeros(120 * MiB, (sizeBytes) => (readBytes += sizeBytes)),
      );
      await until(() => proxy.requests.filter(isPartUpload).length === PARTS_AT_ONCE);
      await sleep(300);
      assert.ok(readBytes <= (PARTS_AT_ONCE + 1) * PART_BYTES, `${readBytes} bytes were read`);
      release.resolve();
      await put;
      assert.equal(readBytes, 120 * MiB);
    });

    for (const { title, held } of [
      { title: 'the upload is being created', held: isCreation },
      { title: 'parts are in flight', held: isPartUpload },
    ]) {
      test(`an abort while ${title} leaves nothing behind`, async () => {
        const at = freshKey();
        const release = Promise.withResolvers<void>();
        const stop = new AbortController();
        const reason = new Error('the client went away');
        proxy.fail(held, { kind: 'hold', until: release.promise }, 3);
        // The body has ended by then, so the upload could be completed.
        const put = shaky.putStream(at, zeros(30 * MiB), { signal: stop.signal });
        await until(() => proxy.requests.some(held));
        await sleep(100);
        stop.abort(reason);
        setTimeout(() => release.resolve(), 50);
        await assert.rejects(put, (error) => error === reason);
        assert.equal(await driver.head(at), undefined);
        assert.deepEqual(await unfinishedUploads(minio), []);
      });
    }

    for (const { title, failing } of [
      { title: 'creation', failing: isCreation },
      { title: 'part', failing: isPartUpload },
      { title: 'completion', failing: isCompletion },
    ]) {
      test(`a ${title} that fails leaves nothing behind`, async () => {
        const at = freshKey();
        proxy.fail(failing, { kind: 'refuse', status: 400, code: 'InvalidRequest' });
        await assert.rejects(
          shaky.putStream(at, zeros(60 * MiB)),
          /storing a stream as t\/\S+ failed \(InvalidRequest/,
        );
        assert.equal(await driver.head(at), undefined);
        assert.deepEqual(await unfinishedUploads(minio), []);
      });
    }
  });
});

function isPut({ method }: SeenRequest): boolean {
  return method === 'PUT';
}

function isPartUpload({ method, url }: SeenRequest): boolean {
  return method === 'PUT' && url.includes('partNumber=');
}

function isCreation({ method, url }: SeenRequest): boolean {
  return method === 'POST' && url.includes('uploads');
}

function isCompletion({ method, url }: SeenRequest): boolean {
  return method === 'POST' && url.includes('uploadId=');
}

async function* zeros(
  sizeBytes: number,
  onRead: (sizeBytes: number) => void = () => {},
  fill = 0,
): AsyncGenerator<Uint8Array> {
  for (let left = sizeBytes; left > 0; left -= MiB) {
    const chunk = new Uint8Array(Math.min(MiB, left)).fill(fill);
    onRead(chunk.byteLength);
    yield chunk;
  }
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let round = 0; round < 6000; round++) {
    if (isTrue()) return;
    await sleep(10);
  }
  assert.fail(`waited a minute for ${isTrue}`);
}

async function headOf(minio: Minio, at: Key): Promise<HeadObjectCommandOutput> {
  const client = clientOf(minio);
  const output = await client.send(new HeadObjectCommand({ Bucket: minio.bucket, Key: at }));
  client.destroy();
  return output;
}

function clientOf({ endpoint, credentials }: Minio): S3Client {
  return new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true });
}
