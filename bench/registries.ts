import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toolsDirectory } from '../test/e2e/programs.ts';
import { answers, ServerProcess } from '../test/e2e/server-process.ts';
import { freePort } from '../test/support/free-port.ts';
import { type BenchStorage, folderOf, type RegistryName } from './storage.ts';

export const PEER_VERSION = 'v3.1.1';
export const PEER_PATH = join(toolsDirectory, 'bin/registry');
export const isPeerInstalled = existsSync(PEER_PATH);

export type Registry = { name: RegistryName; url: string; pid: number; stop(): Promise<void> };

type StartOptions = {
  storage: BenchStorage;
  /** Directory for configuration and logs. */
  directory: string;
};

const CLI = fileURLToPath(new URL('../bin/stowage.js', import.meta.url));
const CONFIG = fileURLToPath(new URL('../config.yml', import.meta.url));
const REGION = 'us-east-1';

/** One process of a registry in its default configuration, access log included. */
export async function startRegistry(name: RegistryName, options: StartOptions): Promise<Registry> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const log = join(options.directory, `${name}.log`);
  const start = name === 'Stowage' ? stowage(port, options) : await distribution(name, port, options);
  const isReady = () => answers(`${url}/v2/`);
  const server = await ServerProcess.start({ ...start, log, isReady });
  return { name, url, pid: server.pid, stop: () => server.stop() };
}

/** Runs Stowage as `npm start` does. */
function stowage(port: number, { storage }: StartOptions) {
  return {
    command: process.execPath,
    args: ['--max-semi-space-size=2', CLI, 'serve', '--config', CONFIG, '--host', '127.0.0.1', '--port', String(port)],
    env: { MALLOC_MMAP_THRESHOLD_: '1048576', ...environmentFor(storage) },
  };
}

function environmentFor(storage: BenchStorage): NodeJS.ProcessEnv {
  if (storage.kind === 'disk') return { STORAGE_PATH: join(storage.directory, folderOf('Stowage')) };
  const { endpoint, bucket, credentials } = storage.bucket;
  const { hostname: s3Host, port: s3Port } = new URL(endpoint);
  return {
    SETTINGS_FLAVOR: 's3',
    STORAGE_PATH: `/${folderOf('Stowage')}`,
    AWS_BUCKET: bucket,
    AWS_KEY: credentials.accessKeyId,
    AWS_SECRET: credentials.secretAccessKey,
    AWS_REGION: REGION,
    AWS_HOST: s3Host,
    AWS_PORT: s3Port,
    AWS_SECURE: 'false',
    AWS_CALLING_FORMAT: 'boto.s3.connection.OrdinaryCallingFormat',
    STORAGE_REDIRECT: String(storage.redirects),
  };
}

/**
 * The configuration of the image `registry:3`, on its file system driver or on S3, without its health check, whose requests would
 * be counted. The part size of S3, 10 MiB, and the in-memory descriptor cache are its defaults.
 * https://github.com/distribution/distribution-library-image/blob/master/config-example.yml
 */
async function distribution(name: RegistryName, port: number, { storage, directory }: StartOptions) {
  const config = {
    version: 0.1,
    log: { fields: { service: 'registry' } },
    storage: {
      ...peerStorage(name, storage),
      ...(name === 'distribution' && { cache: { blobdescriptor: 'inmemory' } }),
      tag: { concurrencylimit: 8 },
      redirect: { disable: storage.kind === 'disk' || !storage.redirects },
    },
    http: { addr: `127.0.0.1:${port}`, headers: { 'X-Content-Type-Options': ['nosniff'] } },
  };
  const file = join(directory, 'distribution.yml');
  await writeFile(file, JSON.stringify(config)); // JSON is YAML
  return { command: PEER_PATH, args: ['serve', file], env: { OTEL_TRACES_EXPORTER: 'none' } };
}

function peerStorage(name: RegistryName, storage: BenchStorage) {
  if (storage.kind === 'disk') return { filesystem: { rootdirectory: join(storage.directory, folderOf(name)) } };
  const { endpoint, bucket, credentials } = storage.bucket;
  return {
    s3: {
      accesskey: credentials.accessKeyId,
      secretkey: credentials.secretAccessKey,
      region: REGION,
      regionendpoint: endpoint,
      forcepathstyle: true,
      secure: false,
      bucket,
      rootdirectory: `/${folderOf(name)}`,
    },
  };
}
