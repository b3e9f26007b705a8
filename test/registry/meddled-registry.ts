import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { type Key, layout } from '../../lib/model/layout.ts';
import { parseDigest, parseRepositoryName } from '../../lib/model/names.ts';
import { decodeBlobLink } from '../../lib/registry/blobs/link.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import type { OpenedStorage } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { V2Client } from '../v2/client.ts';
import { Meddler } from './meddler.ts';

export type Meddled = {
  /** Sees and disturbs what the registry does. */
  meddler: Meddler;
  /** The same storage as another process uses it: neither seen nor disturbed. */
  behind: StorageDriver;
  client: V2Client;
  url: URL;
  /** Keys of all objects that were read. */
  asked: Key[];
  readBlob(repository: string, digest: string): Promise<Buffer>;
  /** Where the bytes lie that a repository's link names. */
  keyBehind(repository: string, digest: string): Promise<Key>;
};

export const linkOf = (repository: string, digest: string) =>
  layout.blobLink(parseRepositoryName(repository), parseDigest(digest));

/** Called in a suite: a registry runs while the suite does. Gives the way to ask for it. */
export function useMeddledRegistry(open: () => Promise<OpenedStorage>): () => Meddled {
  let storage: OpenedStorage;
  let server: RegistryServer;
  let meddled: Meddled;
  before(async () => {
    storage = await open();
    const meddler = new Meddler(storage.driver);
    server = await startRegistry(meddler.driver, { worksBehind: false });
    const client = new V2Client(server.url);
    const readBlob = async (repository: string, digest: string) => {
      const response = await client.send('GET', `/v2/${repository}/blobs/${digest}`);
      assert.equal(response.status, 200, `GET of ${digest} in ${repository}`);
      return Buffer.from(await response.bytes());
    };
    const keyBehind = async (repository: string, digest: string) => {
      const key = linkOf(repository, digest);
      const object = await storage.driver.read(key);
      assert.ok(object, `${repository} has no link to ${digest}`);
      return decodeBlobLink(object.bytes, key).key;
    };
    meddled = { meddler, behind: storage.driver, client, url: server.url, asked: meddler.read, readBlob, keyBehind };
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });
  return () => meddled;
}
