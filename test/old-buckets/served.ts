import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import type { OpenedStorage } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { type Answer, send } from '../v1/send.ts';
import type { OldBucket } from './generator.ts';
import { storeBucket } from './in-storage.ts';

export type OpenStorage = () => Promise<OpenedStorage>;

export type Getter = { get(path: string): Promise<Answer> };

/** A registry that serves an old bucket. */
export type Served = Getter & {
  readonly driver: StorageDriver;
  head(path: string): Promise<Answer>;
  getWith(path: string, headers: Record<string, string>): Promise<Answer>;
  /** Resolves when no background work is left. */
  idle(): Promise<void>;
};

/** Runs a registry over a bucket for the tests of a `describe`. */
export function useRegistryOver(bucket: OldBucket, open: OpenStorage): Served {
  let storage: OpenedStorage | undefined;
  let server: RegistryServer | undefined;
  before(async () => {
    storage = await open();
    await storeBucket(storage.driver, bucket);
    server = await startRegistry(storage.driver, { hasSearch: true });
  });
  after(async () => {
    await server?.stop();
    await storage?.close();
  });
  const url = () => (server ?? assert.fail('the registry does not run yet')).url;
  return {
    get driver() {
      return (storage ?? assert.fail('the storage is not open yet')).driver;
    },
    get: (path) => send(url(), 'GET', path),
    head: (path) => send(url(), 'HEAD', path),
    getWith: (path, headers) => send(url(), 'GET', path, { headers }),
    idle: async () => await server?.idle(),
  };
}

/** A GET that must answer 200. */
export async function ok(served: Getter, path: string): Promise<Answer> {
  const answer = await served.get(path);
  assert.equal(answer.status, 200, `${answer.status} of GET ${path}: ${answer.text}`);
  return answer;
}
