import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import { MiB } from '../../lib/streams/bytes.ts';
import { hashByThread } from '../../lib/streams/hash-thread.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { chunked, codesOf, digestOf, locationOf, V2Client, withDigest } from '../v2/client.ts';

const REPOSITORY = 'team/app';

describe('a registry that hashes in a thread of its own', { timeout: 60_000 }, () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  let client: V2Client;
  let algorithms: string[] = [];

  before(async () => {
    storage = await openFiles();
    const { hashBlocks } = hashByThread(2);
    assert.ok(hashBlocks);
    server = await startRegistry(storage.driver, {
      hashBlocks(algorithm, blocks) {
        algorithms.push(algorithm);
        return hashBlocks(algorithm, blocks);
      },
    });
    client = new V2Client(server.url);
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });
  beforeEach(() => {
    algorithms = [];
  });

  const pull = async (digest: string) =>
    Buffer.from(await (await client.send('GET', `/v2/${REPOSITORY}/blobs/${digest}`)).arrayBuffer());

  const patch = async (bytes: Uint8Array) =>
    await client.send('PATCH', await client.start(REPOSITORY), { body: chunked(bytes) });

  it('stores a layer that comes in a PUT', async () => {
    const layer = randomBytes(9 * MiB + 3);
    const { digest, response } = await client.pushBlob(REPOSITORY, layer);
    assert.equal(response.status, 201);
    assert.deepEqual(algorithms, ['sha256']);
    assert.ok((await pull(digest)).equals(layer));
  });

  it('stores a layer that comes in a PATCH, and hashes it once', async () => {
    const layer = randomBytes(9 * MiB + 3);
    const patched = await patch(layer);
    assert.equal(patched.status, 202);
    const committed = await client.send('PUT', withDigest(locationOf(patched), digestOf(layer)));
    assert.equal(committed.status, 201);
    assert.deepEqual(algorithms, ['sha256']);
    assert.ok((await pull(digestOf(layer))).equals(layer));
  });

  it('refuses a layer of another digest', async () => {
    const layer = randomBytes(9 * MiB);
    const put = await client.send('PUT', withDigest(await client.start(REPOSITORY), digestOf('another')), {
      body: new Uint8Array(layer),
    });
    assert.equal(put.status, 400);
    assert.deepEqual(await codesOf(put), ['DIGEST_INVALID']);
  });

  it('hashes a small blob in the main thread, which has all of it at once', async () => {
    const { response } = await client.pushBlob(REPOSITORY, randomBytes(MiB));
    assert.equal(response.status, 201);
    assert.deepEqual(algorithms, []);
  });
});
