import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { ListMultipartUploadsCommand, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { FilesDriver } from '../../lib/storage/files.ts';
import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { type Minio, startMinio } from '../support/minio.ts';

/** Where a server under test keeps its objects, looked at from behind. */
export interface Backend {
  /** What tells a server to use it. */
  readonly env: Readonly<Record<string, string>>;
  /** The objects below the storage path, past the server. */
  openDriver(): Promise<StorageDriver>;
  /** Of every object below the storage path, with what an unfinished write has left. */
  keys(): Promise<string[]>;
  /** Keys of multipart uploads that are neither completed nor aborted. */
  openUploads(): Promise<string[]>;
  close(): Promise<void>;
}

async function openLocalBackend(): Promise<Backend> {
  const root = await mkdtemp(join(tmpdir(), 'storage-'));
  return {
    env: { STORAGE_PATH: root },
    openDriver: () => FilesDriver.open(root),
    async keys() {
      const entries = await readdir(root, { recursive: true, withFileTypes: true });
      return entries
        .filter((entry) => entry.isFile())
        .map((entry) => relative(root, join(entry.parentPath, entry.name)))
        .toSorted();
    },
    openUploads: async () => [],
    close: () => rm(root, { recursive: true, force: true }),
  };
}

type Front = { endpoint: string; close(): Promise<void> };

/** @param front starts what stands between the server and MinIO */
export async function openS3Backend({
  redirect = false,
  front,
}: {
  redirect?: boolean;
  front?: (minio: Minio) => Promise<Front>;
} = {}): Promise<Backend> {
  const minio = await startMinio();
  const { endpoint, bucket: Bucket, credentials } = minio;
  const storagePath = 'registry';
  const inFront = await front?.(minio);
  const { hostname, port } = new URL(inFront?.endpoint ?? endpoint);
  const s3 = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
  return {
    env: {
      SETTINGS_FLAVOR: 's3',
      STORAGE_PATH: `/${storagePath}`,
      AWS_BUCKET: Bucket,
      AWS_KEY: credentials.accessKeyId,
      AWS_SECRET: credentials.secretAccessKey,
      AWS_HOST: hostname,
      AWS_PORT: port,
      AWS_SECURE: 'false',
      AWS_ENCRYPT: 'false',
      AWS_CALLING_FORMAT: 'boto.s3.connection.OrdinaryCallingFormat',
      STORAGE_REDIRECT: String(redirect),
    },
    openDriver: async () => new S3Driver({ ...minio.driverOptions, keyPrefix: `${storagePath}/` }),
    async keys() {
      const keys: string[] = [];
      for await (const { Contents = [] } of paginateListObjectsV2({ client: s3 }, { Bucket })) {
        keys.push(...Contents.flatMap(({ Key }) => Key ?? []));
      }
      return keys.map((key) => relative(storagePath, key));
    },
    async openUploads() {
      const { Uploads = [] } = await s3.send(new ListMultipartUploadsCommand({ Bucket }));
      return Uploads.flatMap(({ Key }) => Key ?? []);
    },
    async close() {
      s3.destroy();
      await inFront?.close();
      await minio.stop();
    },
  };
}

export interface BackendKind {
  name: string;
  /** Whether clients are sent to the bucket for bytes. */
  redirects: boolean;
  open: () => Promise<Backend>;
}

const local: BackendKind = { name: 'local', redirects: false, open: openLocalBackend };
const s3: BackendKind = { name: 's3', redirects: false, open: openS3Backend };
const s3WithRedirects: BackendKind = {
  name: 's3 with redirects',
  redirects: true,
  open: () => openS3Backend({ redirect: true }),
};

/** What every suite runs on. */
export const backends: readonly BackendKind[] = [local, s3];

/** For suites that pull. */
export const backendsWithRedirects: readonly BackendKind[] = [...backends, s3WithRedirects];

/** The two that differ most, for suites with many clients. */
export const nearAndFar: readonly BackendKind[] = [local, s3WithRedirects];
