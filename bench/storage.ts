// Where the measured registries keep their objects: a bucket, or directories. Each registry has a prefix or directory of its own.
import { execFile } from 'node:child_process';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DeleteObjectsCommand, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import type { Minio } from '../test/support/minio.ts';

/** The last one serves to count requests only: distribution without its cache, an unusual configuration. */
export type RegistryName = 'Stowage' | 'distribution' | 'zot' | 'distribution without cache';

/** Of the bucket. */
export const REGION = 'us-east-1';

export type Bucket = Pick<Minio, 'endpoint' | 'bucket' | 'credentials'>;

export type BenchStorage =
  /** `redirects`: whether clients pull blobs from the bucket, by redirect. */
  { kind: 's3'; bucket: Bucket; redirects: boolean } | { kind: 'disk'; directory: string };

/** A registry's prefix in the bucket, and its directory on disk. */
export function folderOf(name: RegistryName): string {
  return name.toLowerCase().replaceAll(' ', '-');
}

/** Deletes all objects of a registry, and waits until the disk has written its buffers. */
export async function emptyStorage(storage: BenchStorage, name: RegistryName): Promise<void> {
  if (storage.kind === 's3') await emptyFolder(storage.bucket, folderOf(name));
  else await emptyDirectory(join(storage.directory, folderOf(name)));
  await promisify(execFile)('sync');
}

async function emptyFolder({ endpoint, credentials, bucket: Bucket }: Bucket, folder: string): Promise<void> {
  const client = new S3Client({ endpoint, region: REGION, credentials, forcePathStyle: true });
  for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket, Prefix: `${folder}/` })) {
    const Objects = Contents.map(({ Key }) => ({ Key }));
    if (Objects.length > 0) await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
  }
  client.destroy();
}

/** Keeps hidden folders: a running Stowage has one for its temporary files. */
async function emptyDirectory(directory: string): Promise<void> {
  const names = await readdir(directory);
  const visible = names.filter((name) => !name.startsWith('.'));
  await Promise.all(visible.map((name) => rm(join(directory, name), { recursive: true, force: true })));
}
