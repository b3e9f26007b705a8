import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Robots } from '../../lib/auth/tokens/robots.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { payloadSum, V1Client, type V1Image } from '../support/v1-client.ts';
import { newImage, newImageId } from '../v1/use-registry.ts';
import { basic, openTestAuth } from './test-auth.ts';

type Headers = Record<string, string>;

const ACCESS = [
  { repositories: 'team/*', users: 'alice', actions: '*' },
  { repositories: 'other/*', users: ['alice', 'mallory'], actions: '*' },
];

describe('a v1 image that no tag names', () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  let robots: Robots;
  const alice = basic('alice');
  before(async () => {
    storage = await openFiles();
    const auth = await openTestAuth({ users: ['alice', 'mallory'], access: ACCESS, driver: storage.driver });
    server = await startRegistry(storage.driver, { auth });
    robots = new Robots(storage.driver);
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  const request = (method: string, path: string, headers: Headers, body?: Uint8Array | string) =>
    fetch(new URL(path, server.url), { method, headers, ...(body !== undefined && { body: Buffer.from(body) }) });
  const statusOf = async (...sent: Parameters<typeof request>) => (await request(...sent)).status;
  const push = async (headers: Headers, image: V1Image = newImage()) => {
    const { id, json, layer } = image;
    const sum = { 'X-Docker-Checksum-Payload': payloadSum(json, layer) };
    assert.equal(await statusOf('PUT', `/v1/images/${id}/json`, headers, json), 200);
    assert.equal(await statusOf('PUT', `/v1/images/${id}/layer`, headers, layer), 200);
    assert.equal(await statusOf('PUT', `/v1/images/${id}/checksum`, { ...headers, ...sum }), 200);
    return image;
  };
  const tag = (headers: Headers, where: string, { id }: V1Image) =>
    statusOf('PUT', `/v1/repositories/${where}`, headers, JSON.stringify(id));
  const read = async (headers: Headers, { id }: V1Image) => {
    const statuses = await Promise.all(
      ['json', 'ancestry', 'layer'].map((part) => statusOf('GET', `/v1/images/${id}/${part}`, headers)),
    );
    assert.equal(new Set(statuses).size, 1);
    return statuses[0];
  };
  const bearer = async (headers: Headers, ...scopes: string[]) => {
    const query = new URLSearchParams(scopes.map((scope): [string, string] => ['scope', scope]));
    const { token } = (await (await request('GET', `/v2/_token?${query}`, headers)).json()) as { token: string };
    return { Authorization: `Bearer ${token}` };
  };
  const v1Token = async (headers: Headers, repository: string) => {
    const answer = await request('PUT', `/v1/repositories/${repository}/`, headers, '[]');
    return { Authorization: answer.headers.get('X-Docker-Token') ?? '' };
  };
  const robot = async (name: string, ...repositories: string[]) => {
    const { token } = await robots.create({ name, repositories, actions: ['pull', 'push'], expiresAt: undefined });
    return basic('robot', token);
  };

  it('is readable by its pusher, and by no other caller', async () => {
    const image = await push(alice);
    assert.equal(await read(alice, image), 200);
    for (const other of [basic('mallory'), await robot('alice', 'other/*')])
      assert.equal(await read(other, image), 404);
  });

  it('is not readable by an access token for another repository, nor by the v1 token of another user', async () => {
    const image = await push(alice);
    for (const isTagged of [false, true]) {
      if (isTagged) assert.equal(await tag(alice, 'team/p/tags/latest', image), 200);
      const scopes = ['repository:other/z:pull,push', 'repository:other/y:pull,push'];
      const tokens = [
        await bearer(alice, 'repository:other/z:pull'),
        await bearer(alice, ...scopes),
        await v1Token(await bearer(alice, ...scopes), 'other/z'),
        await v1Token(basic('mallory'), 'other/z'),
      ];
      for (const token of tokens) assert.equal(await read(token, image), 404);
      for (const token of tokens.slice(1)) {
        assert.equal(await tag(token, 'other/z/tags/stolen', image), 404);
        const json = JSON.stringify({ id: newImageId(), parent: image.id });
        const { id } = JSON.parse(json) as { id: string };
        assert.equal(await statusOf('PUT', `/v1/images/${id}/json`, token, json), 400);
      }
      assert.equal(await read(basic('mallory'), image), 404);
    }
    assert.equal(await read(await bearer(alice, 'repository:team/p:pull'), image), 200, 'by the tag of its repository');
  });

  it('is readable by the access token that pushed it, its owner and the v1 tokens of its owner, and no other token', async () => {
    for (const token of [await v1Token(alice, 'team/q'), await bearer(alice, 'repository:team/q:pull,push')]) {
      const base = await push(token);
      const top = await push(token, newImage({ parent: base }));
      assert.equal(await read(token, top), 200);
      assert.equal(await read(alice, top), 200);
      assert.equal(await read(await v1Token(alice, 'team/r'), top), 200);
      for (const other of [
        await v1Token(basic('mallory'), 'other/r'),
        await bearer(alice, 'repository:team/q:pull'),
        await bearer(alice, 'repository:team/q:pull', 'repository:team/r:push'),
      ]) {
        assert.equal(await read(other, top), 404);
      }
      assert.equal(await tag(token, 'team/q/tags/latest', top), 200);
      assert.equal(await read(await bearer(alice, 'repository:team/q:pull'), top), 200);
    }
  });

  it('is readable by a new access token with the same grants', async () => {
    const image = await push(await bearer(alice, 'repository:team/s:push,pull', 'repository:other/s:pull'));
    const again = await bearer(alice, 'repository:other/s:pull', 'repository:team/s:pull,push');
    assert.equal(await tag(again, 'team/s/tags/latest', image), 200);
  });

  it('is not readable by another robot of the same name', async () => {
    const [first, second] = [await robot('ci', 'team/*', 'other/*'), await robot('ci', 'other/*')];
    for (const pusher of [
      first,
      await v1Token(first, 'other/x'),
      await bearer(first, 'repository:other/x:pull,push'),
    ]) {
      const image = await push(pusher);
      assert.equal(await read(pusher, image), 200);
      assert.equal(await read(first, image), 200);
      for (const other of [
        second,
        await v1Token(second, 'other/x'),
        await bearer(second, 'repository:other/x:pull,push'),
      ]) {
        assert.equal(await read(other, image), 404);
      }
    }
  });

  it('is pushed with its parents by Docker, as a user and as a robot', async () => {
    for (const [who, repository] of [
      [alice, 'team/docker'],
      [await robot('docker', 'other/*'), 'other/docker'],
    ] as const) {
      const base = newImage();
      const top = newImage({ parent: base });
      const client = new V1Client(server.url, who.Authorization);
      await client.push(repository, [base, top], { latest: top.id });
      assert.equal((await client.pull(repository, 'latest')).length, 2);
    }
  });
});
