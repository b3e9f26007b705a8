import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { type Key, layout } from '../../lib/model/layout.ts';
import { parseDigest, parseRepositoryName } from '../../lib/model/names.ts';
import { decodeBlobLink } from '../../lib/registry/blobs/link.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import type { OpenedStorage } from '../storage/open.ts';
import { type RegistryServer, startRegistry, type TestSettings } from '../support/registry-server.ts';
import { V2Client } from '../v2/client.ts';
import { Interceptor } from './interceptor.ts';

export type InterceptedRegistry = {
  /** Between the registry and its storage. */
  interceptor: Interceptor;
  /** The same storage without the interceptor, as another process uses it. */
  storage: StorageDriver;
  client: V2Client;
  url: URL;
  /** Keys of the objects that the registry has read. */
  reads: Key[];
  readBlob(repository: string, digest: string): Promise<Buffer>;
  /** The key of the bytes that a repository's link names. */
  keyOfLink(repository: string, digest: string): Promise<Key>;
};

export const linkOf = (repository: string, digest: string) =>
  layout.blobLink(parseRepositoryName(repository), parseDigest(digest));

/** Runs a registry for the tests of a `describe`. @returns a function that gives it, once the tests run */
export function useInterceptedRegistry(
  open: () => Promise<OpenedStorage>,
  settings: TestSettings = {},
): () => InterceptedRegistry {
  let storage: OpenedStorage;
  let server: RegistryServer;
  let registry: InterceptedRegistry;
  before(async () => {
    storage = await open();
    const interceptor = new Interceptor(storage.driver);
    server = await startRegistry(interceptor.driver, { runsBackgroundWork: false, ...settings });
    const client = new V2Client(server.url);
    const readBlob = async (repository: string, digest: string) => {
      const response = await client.send('GET', `/v2/${repository}/blobs/${digest}`);
      assert.equal(response.status, 200, `GET of ${digest} in ${repository}`);
      return Buffer.from(await response.bytes());
    };
    const keyOfLink = async (repository: string, digest: string) => {
      const key = linkOf(repository, digest);
      const object = await storage.driver.read(key);
      assert.ok(object, `${repository} has no link to ${digest}`);
      return decodeBlobLink(object.bytes, key).key;
    };
    registry = {
      interceptor,
      storage: storage.driver,
      client,
      url: server.url,
      reads: interceptor.reads,
      readBlob,
      keyOfLink,
    };
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });
  return () => registry;
}
