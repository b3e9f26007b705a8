// A v1 image that exists is pushed again by a client that may not read it. Sending all of its bytes gives the right to it.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Key, KeyPrefix } from '../../lib/model/layout.ts';
import { alterDriver } from '../storage/altered-driver.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { payloadSum, V1Client, type V1Image } from '../support/v1-client.ts';
import { newImage, newImageId } from '../v1/use-registry.ts';
import { basic, openTestAuth } from './test-auth.ts';

const ACCESS = [
  { repositories: 'team/*', users: 'alice', actions: '*' },
  { repositories: 'other/*', users: 'bob', actions: '*' },
];

describe('a v1 image that a client pushes again without the right to read it', () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  let written: string[] = [];
  before(async () => {
    storage = await openFiles();
    const noted = alterDriver(storage.driver, (original) => ({
      put(key, body, options) {
        written.push(key);
        return original.put(key, body, options);
      },
      putStream(key, body, options) {
        written.push(key);
        return original.putStream(key, body, options);
      },
      delete(key, options) {
        written.push(`${key} (deleted)`);
        return original.delete(key, options);
      },
    }));
    const auth = await openTestAuth({ users: ['alice', 'bob'], access: ACCESS, driver: storage.driver });
    server = await startRegistry(noted, { auth });
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  const alice = basic('alice');
  const bob = basic('bob');
  const send = async (
    who: { Authorization: string },
    method: string,
    path: string,
    body?: Uint8Array | string,
    headers: Record<string, string> = {},
  ) => {
    const init = { method, headers: { ...who, ...headers }, ...(body !== undefined && { body: Buffer.from(body) }) };
    const response = await fetch(new URL(path, server.url), init);
    const text = await response.text();
    return { status: response.status, text };
  };
  const statusOf = async (...sent: Parameters<typeof send>) => (await send(...sent)).status;
  const putJson = (who: typeof bob, id: string, json: Uint8Array | string) =>
    statusOf(who, 'PUT', `/v1/images/${id}/json`, json);
  const putLayer = (who: typeof bob, id: string, layer: Uint8Array | string) =>
    statusOf(who, 'PUT', `/v1/images/${id}/layer`, layer);
  const putSum = (who: typeof bob, id: string, sum: string) =>
    statusOf(who, 'PUT', `/v1/images/${id}/checksum`, undefined, { 'X-Docker-Checksum-Payload': sum });
  const getJson = (who: typeof bob, id: string) => statusOf(who, 'GET', `/v1/images/${id}/json`);
  const tag = (who: typeof bob, repository: string, id: string) =>
    statusOf(who, 'PUT', `/v1/repositories/${repository}/tags/x`, JSON.stringify(id));

  let count = 0;
  const secretChain = async (): Promise<[V1Image, V1Image]> => {
    const base = newImage();
    const top = newImage({ parent: base, comment: 'with a secret in its JSON' });
    await new V1Client(server.url, alice.Authorization).push(`team/a${count++}`, [base, top], { latest: top.id });
    return [base, top];
  };
  const assertNothingGained = async (id: string) => {
    assert.equal(await getJson(bob, id), 404);
    assert.equal(await tag(bob, 'other/stolen', id), 404);
    const child = newImageId();
    assert.equal(await putJson(bob, child, JSON.stringify({ id: child, parent: id })), 400);
  };

  it('is accepted with the same bytes, and can then be read, tagged and built upon; nothing is written again', async () => {
    const [base, top] = await secretChain();
    for (const image of [base, top]) {
      assert.equal(await getJson(bob, image.id), 404);
      written = [];
      assert.equal(await putJson(bob, image.id, image.json), 200);
      assert.equal(await getJson(alice, image.id), 200, 'it is not hidden meanwhile');
      assert.equal(await getJson(bob, image.id), 404);
      assert.equal(await putLayer(bob, image.id, image.layer), 200);
      assert.equal(await getJson(bob, image.id), 404);
      assert.equal(await putSum(bob, image.id, payloadSum(image.json, image.layer)), 200);
      assert.equal(await getJson(bob, image.id), 200);
      assert.deepEqual(
        written.filter((key) => key.startsWith('images/')),
        [],
      );
    }
    assert.equal(await tag(bob, 'other/again', top.id), 200);
    assert.equal((await new V1Client(server.url, bob.Authorization).pull('other/again', 'x')).length, 2);
  });

  it('is pushed again by Docker like any other', async () => {
    const [base, top] = await secretChain();
    const child = newImage({ parent: top });
    await new V1Client(server.url, bob.Authorization).push('other/docker', [base, top, child], { latest: child.id });
    assert.equal((await new V1Client(server.url, bob.Authorization).pull('other/docker', 'latest')).length, 3);
  });

  it('is not revealed for its id', async () => {
    const [base] = await secretChain();
    const own = newImage({ id: base.id, comment: 'by bob' });
    assert.equal(await putJson(bob, base.id, own.json), 200);
    assert.equal(await putLayer(bob, base.id, own.layer), 409);
    assert.equal(await putSum(bob, base.id, payloadSum(own.json, own.layer)), 409);
    await assertNothingGained(base.id);
  });

  it('is not revealed for its JSON, for JSON and sum, or for a layer without the JSON', async () => {
    const [base, top] = await secretChain();
    assert.equal(await putLayer(bob, base.id, base.layer), 409, 'without any JSON');
    const other = newImage({ id: base.id, comment: 'a guess' });
    assert.equal(await putJson(bob, base.id, other.json), 200);
    assert.equal(await putLayer(bob, base.id, base.layer), 409);
    assert.equal(await putSum(bob, base.id, payloadSum(other.json, base.layer)), 409);
    await assertNothingGained(base.id);
    // A chain is pushed parent first.
    assert.equal(await putJson(bob, top.id, top.json), 400);

    assert.equal(await putJson(bob, base.id, base.json), 200);
    for (const layer of ['', 'x', Buffer.alloc(base.layer.length, 'x')]) {
      assert.equal(await putLayer(bob, base.id, layer), 409);
      assert.equal(await putSum(bob, base.id, payloadSum(base.json, base.layer)), 409);
    }
    await assertNothingGained(base.id);
  });

  it('is not revealed for the JSON and the sum', async () => {
    const [base] = await secretChain();
    assert.equal(await putJson(alice, base.id, base.json), 409, 'alice may read it');
    assert.equal(await putJson(bob, base.id, base.json), 200);
    assert.equal(await putSum(bob, base.id, payloadSum(base.json, base.layer)), 409);
    await assertNothingGained(base.id);
  });

  it('is compared by its bytes if no checksum is stored, as in buckets of docker-registry', async () => {
    for (const checksum of [undefined, `tarsum+sha256:${'1'.repeat(64)}`]) {
      const [base] = await secretChain();
      const key = `images/${base.id}/_checksum` as Key;
      await storage.driver.delete(key);
      if (checksum) await storage.driver.put(key, Buffer.from(checksum));
      assert.equal(await putJson(bob, base.id, base.json), 200);
      assert.equal(await putLayer(bob, base.id, Buffer.alloc(base.layer.length, 'x')), 409);
      assert.equal(await putLayer(bob, base.id, base.layer), 200);
      assert.equal(await putSum(bob, base.id, payloadSum(base.json, base.layer)), 200);
      assert.equal(await getJson(bob, base.id), 200);
    }
  });

  it('does not disturb a push of the same image by its owner', async () => {
    const image = newImage();
    assert.equal(await putJson(alice, image.id, image.json), 200);
    const own = newImage({ id: image.id, comment: 'by bob' });
    assert.equal(await putJson(bob, image.id, own.json), 200);
    assert.equal(await putLayer(alice, image.id, image.layer), 200);
    assert.equal(await putSum(alice, image.id, payloadSum(image.json, image.layer)), 200);
    assert.equal(await putLayer(bob, image.id, own.layer), 409);
    assert.equal(await putSum(bob, image.id, payloadSum(own.json, own.layer)), 409);
    await assertNothingGained(image.id);
    assert.equal(await tag(alice, 'team/own', image.id), 200);
    const marks = await Array.fromAsync(storage.driver.list(`images/${image.id}/` as KeyPrefix));
    assert.deepEqual(
      marks.filter(({ key }) => key.endsWith('_inprogress')),
      [],
    );
  });
});
