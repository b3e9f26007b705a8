import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { DeleteObjectsCommand, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import type { Minio } from '../test/support/minio.ts';

/** Deletes all objects below a prefix, and waits until the disk has written its buffers. */
export async function emptyFolder({ endpoint, credentials, bucket: Bucket }: Minio, folder: string): Promise<void> {
  const client = new S3Client({ endpoint, region: 'us-east-1', credentials, forcePathStyle: true });
  for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket, Prefix: `${folder}/` })) {
    const Objects = Contents.map(({ Key }) => ({ Key }));
    if (Objects.length > 0) await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
  }
  client.destroy();
  await promisify(execFile)('sync');
}
