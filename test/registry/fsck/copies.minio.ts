// A registry outgrows the directory that it began in, or leaves its bucket: a plain copy of all objects, by a program that knows
// nothing of Stowage, while no server runs.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { FilesDriver } from '../../../lib/storage/files.ts';
import { S3Driver } from '../../../lib/storage/s3-driver.ts';
import type { OpenedStorage } from '../../storage/open.ts';
import { type Minio, startMinio } from '../../support/minio.ts';
import { fillRegistry } from './full-registry.ts';
import { fsckOf, pullEverything } from './layouts.ts';

const clientOf = ({ endpoint, credentials }: Minio) =>
  new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true });

async function copyToBucket(directory: string, minio: Minio): Promise<number> {
  const client = clientOf(minio);
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const file of files) {
    const Key = file.slice(directory.length + 1);
    await client.send(new PutObjectCommand({ Bucket: minio.bucket, Key, Body: await readFile(file) }));
  }
  client.destroy();
  return files.length;
}

async function copyToDirectory(minio: Minio, directory: string): Promise<void> {
  const client = clientOf(minio);
  let ContinuationToken: string | undefined;
  do {
    const page = await client.send(new ListObjectsV2Command({ Bucket: minio.bucket, ContinuationToken }));
    for (const { Key } of page.Contents ?? []) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: minio.bucket, Key }));
      const path = join(directory, String(Key));
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, (await Body?.transformToByteArray()) ?? '');
    }
    ContinuationToken = page.NextContinuationToken;
  } while (ContinuationToken !== undefined);
  client.destroy();
}

const filesAt = async (directory: string): Promise<OpenedStorage> => ({
  driver: await FilesDriver.open(directory),
  leftovers: async () => [],
  close: async () => {},
});

const bucketOf = (minio: Minio): OpenedStorage => {
  const driver = new S3Driver(minio.driverOptions);
  return { driver, leftovers: async () => [], close: () => driver.close() };
};

const assertNoErrors = async (storage: OpenedStorage) => {
  const { found } = await fsckOf(storage, { level: 'bytes' });
  assert.deepEqual(
    found.filter(({ severity }) => severity === 'error'),
    [],
  );
};

describe('a plain copy of all objects, made while no server runs', () => {
  it('serves the same digests from a bucket as from the directory, and back, and has no errors', async () => {
    const minio = await startMinio();
    const [from, back] = await Promise.all([1, 2].map(() => mkdtemp(join(tmpdir(), 'stowage-copy-'))));
    assert.ok(from !== undefined && back !== undefined);
    try {
      const directory = await filesAt(from);
      await fillRegistry(directory, { old: true });
      const digests = await pullEverything(directory);
      assert.ok(Object.keys(digests).length > 10);

      assert.ok((await copyToBucket(from, minio)) > 100);
      const bucket = bucketOf(minio);
      await assertNoErrors(bucket);
      assert.deepEqual(await pullEverything(bucket), digests);
      await assertNoErrors(bucket);

      await copyToDirectory(minio, back);
      const again = await filesAt(back);
      await assertNoErrors(again);
      assert.deepEqual(await pullEverything(again), digests);
      await bucket.close();
    } finally {
      await minio.stop();
      for (const path of [from, back]) await rm(path, { recursive: true, force: true });
    }
  });
});
