import { fileURLToPath } from 'node:url';
import { loadConfig } from '../../lib/config/load.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { openStorage } from '../../lib/storage/open.ts';
import type { Backend } from '../e2e/backends.ts';

const CONFIG = fileURLToPath(new URL('../../config.yml', import.meta.url));

/** The backend with what every server of these suites is told: uploads go on after a restart, only errors are logged. */
export function withFaultSettings(backend: Backend, env: Record<string, string> = {}): Backend {
  return { ...backend, env: { ...backend.env, SECRET_KEY: 'a secret of the tests', LOGLEVEL: 'error', ...env } };
}

/** The objects of a backend, past every server and every fault. */
export async function openBehind({ env }: Backend): Promise<StorageDriver> {
  return await openStorage(loadConfig({ env, file: CONFIG }).config.storage);
}
