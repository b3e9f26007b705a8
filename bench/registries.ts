import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { answers, ServerProcess } from '../test/e2e/server-process.ts';
import { freePort } from '../test/support/free-port.ts';
import { DISTRIBUTION, distribution } from './distribution.ts';
import { type BenchStorage, folderOf, REGION, type RegistryName } from './storage.ts';
import { ZOT, zot } from './zot.ts';

/** `pid`: the root of its processes. */
export type Registry = { name: RegistryName; url: string; pid: number; stop(): Promise<void> };

export type Workers = number | 'auto';

export type StartOptions = {
  storage: BenchStorage;
  /** Directory for configuration and logs. */
  directory: string;
  /** How many processes of Stowage serve. The peers use all cores. */
  workers: Workers;
};

export const peers = {
  distribution: { ...DISTRIBUTION, isInstalled: existsSync(DISTRIBUTION.path) },
  zot: { ...ZOT, isInstalled: existsSync(ZOT.path) },
};

const CLI = fileURLToPath(new URL('../bin/stowage.js', import.meta.url));
const CONFIG = fileURLToPath(new URL('../config.yml', import.meta.url));

/** Starts a registry in its default configuration, access log included. */
export async function startRegistry(name: RegistryName, options: StartOptions): Promise<Registry> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const log = join(options.directory, `${name}.log`);
  const isReady = () => answers(`${url}/v2/`);
  const server = await ServerProcess.start({ ...(await programOf(name, port, options)), log, isReady });
  return { name, url, pid: server.pid, stop: () => server.stop() };
}

async function programOf(name: RegistryName, port: number, options: StartOptions) {
  switch (name) {
    case 'Stowage':
      return stowage(port, options);
    case 'zot':
      return await zot(port, options);
    default:
      return await distribution(name, port, options);
  }
}

/** Runs Stowage as `npm start` does. */
function stowage(port: number, { storage, workers }: StartOptions) {
  const listening = ['--host', '127.0.0.1', '--port', String(port), '--workers', String(workers)];
  return {
    command: process.execPath,
    args: ['--max-semi-space-size=2', CLI, 'serve', '--config', CONFIG, ...listening],
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
