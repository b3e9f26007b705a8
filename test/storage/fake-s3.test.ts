// The S3 driver against a server that honors conditions of deletes, without another program.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import type { Key } from '../../lib/model/layout.ts';
import { PART_BYTES } from '../../lib/storage/multipart-limits.ts';
import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { MiB, readAll } from '../../lib/streams/bytes.ts';
import { storageContract } from './contract.ts';
import { startFakeS3 } from './fake-s3.ts';

storageContract('the S3 driver, on a server that honors conditions of deletes,', async () => {
  const server = await startFakeS3();
  const driver = new S3Driver(server.driverOptions);
  return {
    driver,
    leftovers: async () => server.unfinishedUploads(),
    close: async () => {
      await driver.close();
      await server.close();
    },
  };
});

it('the S3 driver finds out that a server honors conditions of deletes', async () => {
  const server = await startFakeS3();
  const driver = new S3Driver(server.driverOptions);
  assert.deepEqual(await driver.findLimitations(), []);
  await driver.close();
  await server.close();
});

describe('a body in lent blocks is stored', () => {
  const key = 'data' as Key;
  const body = randomBytes(PART_BYTES + 3 * MiB);
  async function* blocksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
    for (let start = 0; start < bytes.length; start += MiB) yield bytes.slice(start, start + MiB);
  }
  const isUnsigned = (headers: Headers) => headers.get('x-amz-content-sha256') === 'UNSIGNED-PAYLOAD';

  for (const [title, refuse] of [
    ['by a server of AWS', () => undefined],
    [
      'where a policy forbids unsigned bodies',
      ({ headers }) => (isUnsigned(headers) ? [403, 'AccessDenied'] : undefined),
    ],
    [
      'where unsigned bodies are not known',
      ({ headers }) => (isUnsigned(headers) ? [501, 'NotImplemented'] : undefined),
    ],
    [
      'where checksums are not known',
      ({ headers }) => (headers.has('x-amz-checksum-algorithm') ? [501, 'NotImplemented'] : undefined),
    ],
  ] satisfies [string, Parameters<typeof startFakeS3>[0]][]) {
    it(title, async () => {
      const server = await startFakeS3(refuse);
      const driver = new S3Driver(server.driverOptions);
      const returned: number[] = [];
      const giveBack = (block: Uint8Array) => returned.push(block.length);
      for (const bytes of [body, body.subarray(0, 2 * MiB)]) {
        assert.ok(await driver.putStream(key, blocksOf(bytes), { giveBack }));
        const stored = await driver.get(key);
        assert.ok(stored && Buffer.compare(await readAll(stored.body), bytes) === 0);
      }
      assert.ok(returned.length > 0);
      assert.equal(await driver.putStream(key, blocksOf(body), { giveBack, ifAbsent: true }), undefined);
      assert.deepEqual(server.unfinishedUploads(), []);
      await driver.close();
      await server.close();
    });
  }

  it('not at all where the server is full, or denies it', async () => {
    for (const [status, code, name] of [
      [507, 'XMinioStorageFull', 'StorageFullError'],
      [403, 'AccessDenied', 'StorageDeniedError'],
      [503, 'SlowDown', 'StorageUnavailableError'],
    ] as const) {
      const server = await startFakeS3(({ method, key: at }) =>
        method === 'PUT' && at === key ? [status, code] : undefined,
      );
      const driver = new S3Driver(server.driverOptions);
      await assert.rejects(driver.putStream(key, blocksOf(body), { giveBack: () => undefined }), { name });
      assert.deepEqual(server.unfinishedUploads(), []);
      if (status === 507) await driver.checkRoom();
      await driver.close();
      await server.close();
    }
  });
});
