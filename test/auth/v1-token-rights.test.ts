// What a v1 token may read and write. Docker sends it instead of the login if it speaks plain HTTP or is older than 1.9.1.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import { Robots } from '../../lib/auth/tokens/robots.ts';
import { V1Tokens } from '../../lib/auth/tokens/v1-tokens.ts';
import { SigningKeys } from '../../lib/model/signed-token.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { V1Client, type V1Image } from '../support/v1-client.ts';
import { newImage } from '../v1/use-registry.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { basic, htpasswdOf, openTestAuth, SECRET, type TestAuth } from './test-auth.ts';

const ACCESS = [
  { repositories: 'team/secret', users: 'alice', deny: '*' },
  { repositories: ['team/*', 'apps/*'], users: ['alice', 'bob'], actions: '*' },
  { repositories: 'mallory/*', users: 'mallory', actions: '*' },
  { repositories: 'base/*', users: 'carol', actions: '*' },
  { repositories: 'base/*', users: 'anonymous', actions: 'pull' },
];
const USERS = ['alice', 'bob', 'carol', 'mallory'];

describe('a v1 token', () => {
  let storage: OpenedStorage;
  let auth: TestAuth;
  let server: RegistryServer;
  let robots: Robots;
  before(async () => {
    storage = await openFiles();
    auth = await openTestAuth({ users: USERS, access: ACCESS, driver: storage.driver });
    server = await startRegistry(storage.driver, { auth });
    robots = new Robots(storage.driver);
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  const alice = basic('alice').Authorization;
  const mallory = basic('mallory').Authorization;
  const carol = basic('carol').Authorization;

  const statusOf = async (method: string, path: string, Authorization: string, body?: string | Uint8Array) => {
    const init = { method, headers: { Authorization }, ...(body !== undefined && { body: Buffer.from(body) }) };
    const response = await fetch(new URL(path, server.url), init);
    await response.arrayBuffer();
    return response.status;
  };
  const token = async (login: string | undefined, method: string, path: string) => {
    const headers = login === undefined ? {} : { Authorization: login };
    const body = method === 'PUT' ? { body: '[]' } : {};
    const response = await fetch(new URL(`/v1/repositories/${path}`, server.url), { method, headers, ...body });
    assert.ok(response.ok, await response.text());
    return response.headers.get('X-Docker-Token') ?? '';
  };
  const toPush = (login: string, repository: string) => token(login, 'PUT', `${repository}/`);
  const chain = (): [V1Image, V1Image] => {
    const base = newImage();
    return [base, newImage({ parent: base })];
  };
  const jsonOf = ({ id }: V1Image) => `/v1/images/${id}/json`;
  const push = (login: string, repository: string, images: V1Image[]) =>
    new V1Client(server.url, login).push(repository, images, { latest: images.at(-1)?.id ?? '' });

  it('pushes one chain to a second repository, and a child of it to a third', async () => {
    const [base, top] = chain();
    await push(alice, 'team/one', [base, top]);
    await push(alice, 'apps/two', [base, top]);
    await push(basic('bob').Authorization, 'apps/three', [base, top, newImage({ parent: top })]);
    assert.equal((await new V1Client(server.url, alice).pull('apps/three', 'latest')).length, 3);
  });

  it('continues an interrupted push in another repository', async () => {
    const [base, top] = chain();
    const half = await toPush(alice, 'team/half');
    assert.equal(await statusOf('PUT', jsonOf(base), half, base.json), 200);
    await assert.rejects(push(alice, 'team/none', [top]), /non existing parent/);
    await push(alice, 'team/half2', [base, top]);
  });

  // The advice of docs/auth.md: keep common base images where all callers may pull.
  it('builds on a public base image, for users, robots and access tokens', async () => {
    const [base, top] = chain();
    await push(carol, 'base/debian', [base]);
    await push(alice, 'team/built', [base, top]);
    const robot = { name: 'ci', repositories: ['robots/*'], actions: ['pull' as const, 'push' as const] };
    const { token: secret } = await robots.create({ ...robot, expiresAt: undefined });
    await push(basic('robot', secret).Authorization, 'robots/built', [base, newImage({ parent: base })]);
    const bearer = await (
      await fetch(new URL('/v2/_token?scope=repository:team/b:pull,push', server.url), {
        headers: { Authorization: alice },
      })
    ).json();
    const { token: accessToken } = bearer as { token: string };
    const child = newImage({ parent: base });
    assert.equal(await statusOf('PUT', jsonOf(child), `Bearer ${accessToken}`, child.json), 200);
    // An anonymous v1 token for one public repository reads the images of another one.
    const [other] = chain();
    await push(carol, 'base/other', [other]);
    const anonymous = await token(undefined, 'GET', 'base/debian/images');
    assert.equal(await statusOf('GET', jsonOf(other), anonymous), 200);
  });

  it('tags an image that v2 has pushed in a second repository', async () => {
    const v2 = new V2Client(server.url, { Authorization: alice });
    const { digest } = await pushImage(v2, 'team/of-v2', 'latest', { contents: ['one', 'two'] });
    await server.idle();
    const id = digest.slice('sha256:'.length);
    const toTag = await toPush(alice, 'apps/of-v2');
    assert.equal(await statusOf('GET', `/v1/images/${id}/json`, toTag), 200);
    assert.equal(await statusOf('PUT', '/v1/repositories/apps/of-v2/tags/latest', toTag, JSON.stringify(id)), 200);
    assert.equal((await new V1Client(server.url, alice).pull('apps/of-v2', 'latest')).length, 2);
  });

  it('reads nothing that its user may not read, even if all other users may', async () => {
    const [image] = chain();
    await push(basic('bob').Authorization, 'team/secret', [image]);
    for (const where of ['team/x', 'apps/x']) {
      const shown = await toPush(alice, where);
      assert.equal(await statusOf('GET', jsonOf(image), shown), 404);
      assert.equal(
        await statusOf('PUT', `/v1/repositories/${where}/tags/stolen`, shown, JSON.stringify(image.id)),
        404,
      );
      const child = newImage({ parent: image });
      assert.equal(await statusOf('PUT', jsonOf(child), shown, child.json), 400);
    }
    assert.equal(await statusOf('GET', jsonOf(image), await toPush(mallory, 'mallory/x')), 404);
  });

  it('writes only to its repository, with its access', async () => {
    const [image, child] = chain();
    await push(alice, 'team/scope', [image]);
    const body = JSON.stringify(image.id);
    const ofOther = await toPush(alice, 'apps/scope');
    assert.equal(await statusOf('PUT', '/v1/repositories/team/scope/tags/x', ofOther, body), 401);
    assert.equal(await statusOf('DELETE', '/v1/repositories/apps/scope/tags/x', ofOther), 401);
    assert.equal(await statusOf('GET', '/v1/repositories/team/scope/tags', ofOther), 401);
    const toRead = await token(alice, 'GET', 'team/scope/images');
    assert.equal(await statusOf('GET', jsonOf(image), toRead), 200);
    assert.equal(await statusOf('PUT', '/v1/repositories/team/scope/tags/x', toRead, body), 401);
    assert.equal(await statusOf('PUT', jsonOf(child), toRead, child.json), 401);
    const toDelete = await token(alice, 'DELETE', 'team/scope/images');
    assert.equal(await statusOf('PUT', jsonOf(child), toDelete, child.json), 401);
  });

  it('ends when its user is removed, or the password changes', async () => {
    const users = ['eve', 'frank'];
    const rules = [{ repositories: '*', users: '*', actions: '*' }];
    const own = await openTestAuth({ users, access: rules, driver: storage.driver });
    const registry = await startRegistry(storage.driver, { auth: own });
    try {
      const tokens = await Promise.all(
        users.map(async (name) => {
          const init = { method: 'PUT', headers: basic(name), body: '[]' };
          const answer = await fetch(new URL(`/v1/repositories/of/${name}/`, registry.url), init);
          return answer.headers.get('X-Docker-Token') ?? '';
        }),
      );
      const ask = async (shown: string, path: string) =>
        (await fetch(new URL(path, registry.url), { headers: { Authorization: shown } })).status;
      const statuses = () =>
        Promise.all(tokens.map((shown, at) => ask(shown, `/v1/repositories/of/${users[at]}/images`)));
      assert.deepEqual(await statuses(), [200, 200]);
      // Eve goes, Frank gets another password.
      const place = own.config.htpasswd;
      assert.ok(place?.kind === 'file');
      await writeFile(place.path, (await htpasswdOf(['frank'])).toString());
      for (let round = 0; round < 100 && (await statuses()).includes(200); round++) {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      assert.deepEqual(await statuses(), [401, 401]);
    } finally {
      await registry.stop();
    }
  });

  it('ends when its robot is revoked', async () => {
    const rights = { name: 'r', repositories: ['team/*'], actions: ['pull' as const, 'push' as const] };
    const { token: secret, robot } = await robots.create({ ...rights, expiresAt: undefined });
    const shown = await toPush(basic('robot', secret).Authorization, 'team/robot');
    const [image] = chain();
    await push(alice, 'team/for-robots', [image]);
    assert.equal(await statusOf('GET', jsonOf(image), shown), 200);
    await robots.revoke(robot.id);
    // In another process, which has not cached the robot.
    const other = await startRegistry(storage.driver, {
      auth: await openTestAuth({ users: USERS, access: ACCESS, driver: storage.driver }),
    });
    try {
      const answer = await fetch(new URL(jsonOf(image), other.url), { headers: { Authorization: shown } });
      assert.equal(answer.status, 401);
    } finally {
      await other.stop();
    }
  });

  it('allows no more than the rules in effect when it is used', async () => {
    const [image] = chain();
    await push(basic('bob').Authorization, 'team/rules', [image]);
    assert.equal(await statusOf('GET', jsonOf(image), alice), 200);
    const shown = await toPush(alice, 'apps/rules');
    const stricter = [{ repositories: 'apps/*', users: 'alice', actions: 'pull' }];
    // The same users, in a process with other rules.
    const changed = await openTestAuth({
      users: [],
      access: stricter,
      driver: storage.driver,
      auth: {
        htpasswd: auth.config.htpasswd?.kind === 'file' ? auth.config.htpasswd.path : '',
      },
    });
    const other = await startRegistry(storage.driver, { auth: changed });
    try {
      const ask = async (method: string, path: string, body?: string) =>
        (await fetch(new URL(path, other.url), { method, headers: { Authorization: shown }, ...(body && { body }) }))
          .status;
      assert.equal(
        await ask('GET', jsonOf(image)),
        404,
        'the image is in a repository that alice may no longer pull from',
      );
      assert.equal(await ask('PUT', '/v1/repositories/apps/rules/tags/x', JSON.stringify(image.id)), 401);
      assert.equal(await ask('GET', '/v1/repositories/apps/rules/images'), 200);
    } finally {
      await other.stop();
    }
  });

  it('is refused if it does not name the password that it was issued for, as in version 0.1.0', async () => {
    const [image] = chain();
    await push(alice, 'team/old', [image]);
    const signed = (mark: object) => {
      const repository = 'team/old';
      const claims = { sub: 'alice', exp: Math.floor(Date.now() / 1000) + 60, actions: ['pull', 'push'], ...mark };
      const payload = Buffer.from(JSON.stringify(claims)).toString('base64url');
      const mac = createHmac('sha256', new SigningKeys(SECRET).signing('v1 token'));
      const signature = `${payload}.${mac.update(JSON.stringify([payload, repository, 'write'])).digest('base64url')}`;
      return `Token signature=${signature},repository="${repository}",access=write`;
    };
    const { passwordMark } =
      new V1Tokens(new SigningKeys(SECRET)).read(await toPush(alice, 'team/old'))?.issuedTo ?? {};
    assert.equal(await statusOf('GET', jsonOf(image), signed({ mark: passwordMark })), 200, 'the test signs correctly');
    assert.equal(await statusOf('GET', jsonOf(image), signed({})), 401);
    assert.equal(await statusOf('GET', jsonOf(image), signed({ mark: 'another' })), 401);
  });
});
