import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { access, constants, mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import type { S3DriverOptions } from '../../lib/storage/s3-client.ts';
import { freePort } from './free-port.ts';

export type Minio = {
  endpoint: string;
  bucket: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  /** What a driver needs to use the bucket. */
  driverOptions: S3DriverOptions;
  stop(): Promise<void>;
};

export type MinioOptions = {
  region?: string;
  /** Further settings, such as where it sends events. */
  env?: Record<string, string>;
};

const START_TIMEOUT_MILLISECONDS = 30_000;

/** Starts a MinIO of its own, empty but for one bucket, on a free port; it ends with `stop` or with this process. */
/** The name of the one key that it encrypts with. */
export const KMS_KEY = 'stowage';

export async function startMinio({ region = 'us-east-1', env = {} }: MinioOptions = {}): Promise<Minio> {
  const binary = await findMinio();
  const directory = await mkdtemp(join(tmpdir(), 'stowage-minio-'));
  const credentials = {
    accessKeyId: `user${randomBytes(8).toString('hex')}`,
    secretAccessKey: randomBytes(16).toString('hex'),
  };
  const address = `127.0.0.1:${await freePort()}`;
  const endpoint = `http://${address}`;

  const server = spawn(binary, ['server', '--quiet', '--address', address, directory], {
    env: {
      ...env,
      HOME: directory,
      MINIO_ROOT_USER: credentials.accessKeyId,
      MINIO_ROOT_PASSWORD: credentials.secretAccessKey,
      MINIO_SITE_REGION: region,
      MINIO_BROWSER: 'off',
      MINIO_KMS_SECRET_KEY: `${KMS_KEY}:${randomBytes(32).toString('base64')}`, // else it refuses to encrypt
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const output of [server.stdout, server.stderr]) output.on('data', (chunk) => (log += String(chunk)));
  const exited = once(server, 'exit');
  const killAtExit = () => server.kill('SIGKILL');
  process.once('exit', killAtExit);

  const stop = async () => {
    process.off('exit', killAtExit);
    server.kill('SIGTERM');
    await exited;
    await rm(directory, { recursive: true, force: true });
  };

  try {
    await isReady(endpoint, () => server.exitCode !== null);
    const bucket = `stowage-${randomBytes(4).toString('hex')}`;
    const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    client.destroy();
    const driverOptions = { bucket, keyPrefix: '', region, endpoint, forcePathStyle: true, credentials };
    return { endpoint, bucket, credentials, driverOptions, stop };
  } catch (cause) {
    await stop();
    throw new Error(`MinIO (${binary}) did not start; it said:\n${log}`, { cause });
  }
}

/** Multipart uploads that are neither completed nor aborted. */
export async function unfinishedUploads({ endpoint, credentials, bucket }: Minio): Promise<string[]> {
  const client = new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true });
  const { Uploads } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
  client.destroy();
  return (Uploads ?? []).map((upload) => `${upload.Key} ${upload.UploadId}`);
}

async function findMinio(): Promise<string> {
  const toolFolders = [process.env.STOWAGE_TOOLS, join(homedir(), '.cache', 'stowage-tools')];
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    ...toolFolders.flatMap((folder) => (folder ? [join(folder, 'bin')] : [])),
  ];
  for (const folder of folders) {
    const path = join(folder, 'minio');
    if (await isExecutable(path)) return path;
  }
  throw new Error(
    'this suite needs a MinIO server and there is none on PATH, in $STOWAGE_TOOLS/bin or in ~/.cache/stowage-tools/bin; ' +
      'get it with ".ci/install-tools minio", or with "go install github.com/minio/minio@latest" (about 3 minutes)',
  );
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function isReady(endpoint: string, hasExited: () => boolean): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MILLISECONDS;
  while (Date.now() < deadline && !hasExited()) {
    const response = await fetch(`${endpoint}/minio/health/cluster`).catch(() => undefined);
    if (response?.ok) return;
    await sleep(50);
  }
  throw new Error(hasExited() ? 'it ended' : `it was not ready within ${START_TIMEOUT_MILLISECONDS} ms`);
}
