import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { payloadSum, type V1Image } from '../support/v1-client.ts';
import { type FakeIndex, useFakeIndex } from './fake-index.ts';
import { assertError, assertUnauthorized } from './send.ts';
import { newImage, newImageId, type OpenStorage, type TestStorage, useRegistry, useStorage } from './use-registry.ts';

/** A registry with a separate index: `standalone: false`. */
export function v1AuthenticationSuite(name: string, open: OpenStorage): void {
  describe(`v1 authentication on ${name}`, () => {
    const storage = useStorage(open);
    const index = useFakeIndex();
    /** A registry without authentication, by which the tests fill the bucket. */
    const standalone = useRegistry(storage);
    const registry = useRegistry(storage, {
      settings: () => ({ isStandalone: false, indexAccess: { indexEndpoint: index.endpoint } }),
    });
    const image = newImage();
    before(async () => {
      await standalone.push(image);
      for (const repository of ['a/b', 'a/c', 'foo', 'a/b/c']) await standalone.tag(repository, 'latest', image.id);
    });

    it('a registry that is not standalone has no users and no lists of images', async () => {
      for (const [method, path] of [
        ['GET', '/v1/users/'],
        ['POST', '/v1/users/'],
        ['PUT', '/v1/users/u/'],
        ['PUT', '/v1/repositories/a/b/'],
        ['PUT', '/v1/repositories/a/b/images'],
        ['GET', '/v1/repositories/a/b/images'],
        ['DELETE', '/v1/repositories/a/b/images'],
        ['PUT', '/v1/repositories/a/b/auth'],
      ] as const) {
        const body = method === 'GET' ? {} : { body: '[]' };
        const answer = await registry.send(method, path, { ...body, headers: authorized(tokenOf('a/b')) });
        assert.equal(answer.status, 404, `${method} ${path}`);
      }
    });

    for (const [method, path] of [
      ['GET', '/v1/repositories/a/b/tags'],
      ['GET', '/v1/repositories/a/b/tags/latest'],
      ['PUT', '/v1/repositories/a/b/tags/latest'],
      ['DELETE', '/v1/repositories/a/b/tags/latest'],
      ['DELETE', '/v1/repositories/a/b/tags'],
      ['DELETE', '/v1/repositories/a/b/'],
      ['GET', '/v1/repositories/a/b/tags/latest/json'],
      ['GET', '/v1/repositories/a/b/json'],
      ['GET', '/v1/repositories/a/b/properties'],
      ['PUT', '/v1/repositories/a/b/properties'],
      ['GET', `/v1/images/${image.id}/json`],
      ['GET', `/v1/images/${image.id}/ancestry`],
      ['GET', `/v1/images/${image.id}/layer`],
      ['PUT', `/v1/images/${image.id}/json`],
      ['PUT', `/v1/images/${image.id}/layer`],
      ['PUT', `/v1/images/${image.id}/checksum`],
      ['GET', '/v1/images/no-id/json'],
    ] as const) {
      it(`${method} ${path.replace(image.id, '<id>')} requires a token`, async () => {
        assertUnauthorized(await registry.send(method, path));
      });
    }

    it('an X-Forwarded-For address or a session cookie gives no access', async () => {
      const headers = {
        'X-Forwarded-For': '127.0.0.1',
        'X-Real-Ip': '127.0.0.1',
        Forwarded: 'for=127.0.0.1',
        Cookie: 'session=eyJhdXRoIjp0cnVlfQ; auth=true',
      };
      assertUnauthorized(await registry.send('GET', '/v1/repositories/a/b/tags', { headers }));
    });

    it('_ping requires no token', async () => {
      assert.equal((await registry.send('GET', '/v1/_ping')).header('X-Docker-Registry-Standalone'), 'False');
    });

    const table: Row[] = [
      { title: 'a token to read reads its repository', token: tokenOf('a/b', 'read'), status: 200 },
      { title: 'and passes HEAD as it does GET', token: tokenOf('a/b', 'read'), method: 'HEAD', status: 200 },
      { title: 'a token reads no other repository', token: tokenOf('a/b', 'read'), path: 'a/c', status: 401 },
      { title: 'nor one whose name begins the same', token: tokenOf('a/b'), path: 'a/b/c', status: 401 },
      { title: 'nor by HEAD', token: tokenOf('a/b', 'read'), method: 'HEAD', path: 'a/c', status: 401 },
      {
        title: 'a token of foo is one of library/foo',
        token: tokenOf('foo'),
        path: 'library/foo',
        status: 200,
      },
      {
        title: 'a token of library/foo is one of foo',
        token: tokenOf('library/foo'),
        path: 'foo',
        status: 200,
      },
      { title: 'a token of a/b/c reads a/b/c', token: tokenOf('a/b/c'), path: 'a/b/c', status: 200 },
      { title: 'a token to read writes nothing', token: tokenOf('a/b', 'read'), method: 'PUT', status: 401 },
      { title: 'a token to read deletes nothing', token: tokenOf('a/b', 'read'), method: 'DELETE', status: 401 },
      { title: 'a token to write writes', token: tokenOf('a/b', 'write'), method: 'PUT', status: 200 },
      { title: 'a token to write reads nothing', token: tokenOf('a/b', 'write'), status: 401 },
      { title: 'a token to write deletes nothing', token: tokenOf('a/b', 'write'), method: 'DELETE', status: 401 },
      { title: 'a token to delete reads nothing', token: tokenOf('a/b', 'delete'), status: 401 },
      { title: 'a token to delete writes nothing', token: tokenOf('a/b', 'delete'), method: 'PUT', status: 401 },
      { title: 'a token to delete deletes', token: tokenOf('a/b', 'delete'), method: 'DELETE', status: 200 },
      { title: 'a token without access reads', token: tokenOf('a/b'), status: 200 },
      { title: 'a token without access writes', token: tokenOf('a/b'), method: 'PUT', status: 200 },
      {
        title: 'a token with another access is not restricted',
        token: tokenOf('a/b', 'x'),
        method: 'PUT',
        status: 200,
      },
      { title: 'a token without repository is none', token: 'Token signature=X,access=read', status: 401 },
      { title: 'a bare Token is none', token: 'Token', status: 401 },
      { title: 'nor is Token with nothing behind it', token: 'Token ', status: 401 },
      { title: 'a name that cannot be is none', token: tokenOf('a/..'), path: 'a/b', status: 401 },
    ];
    for (const { title, token, path = pathOf(token), method = 'GET', status } of table) {
      it(`${title}`, async () => {
        index.answer = () => listing(image.id);
        await standalone.tag('a/b', 'latest', image.id); // where it was deleted
        const sent = { headers: authorized(token), ...(method === 'PUT' && { body: JSON.stringify(image.id) }) };
        const rest = method === 'GET' || method === 'HEAD' ? '/tags' : '/tags/latest';
        const answer = await registry.send(method, `/v1/repositories/${path}${rest}`, sent);
        assert.equal(answer.status, status, answer.text);
        if (status === 401 && method !== 'HEAD') assertUnauthorized(answer);
      });
    }

    it('the index is asked for the images of the repository, with the client’s own token', async () => {
      index.answer = () => listing(image.id);
      for (const [repository, path] of [
        ['a/b', '/v1/repositories/a/b/images'],
        ['foo', '/v1/repositories/library/foo/images'],
        ['a/b/c', '/v1/repositories/a/b%2Fc/images'],
      ] as const) {
        const authorization = tokenOf(repository, 'read');
        index.asked.length = 0;
        await registry.send('GET', `/v1/repositories/${repository}/tags`, { headers: authorized(authorization) });
        assert.deepEqual(index.asked, [{ method: 'GET', path, authorization }]);
      }
    });

    it('what the index lists is kept as docker-registry kept it', async () => {
      index.answer = () => ({ status: 200, body: `[{"id":"${image.id}","Tag":"latest"},{"id":"${image.id}"},{}]` });
      await registry.send('GET', '/v1/repositories/a/c/tags', { headers: authorized(tokenOf('a/c')) });
      const list = JSON.parse((await storage.textOf('repositories/a/c/_images_list')) ?? '') as string[];
      assert.deepEqual(new Set(list), new Set([image.id]));
    });

    it('images are read with the token of any repository that holds them', async () => {
      index.answer = () => listing(image.id);
      for (const part of ['json', 'ancestry', 'layer']) {
        for (const method of ['GET', 'HEAD']) {
          const path = `/v1/images/${image.id}/${part}`;
          const answer = await registry.send(method, path, { headers: authorized(tokenOf('a/b', 'read')) });
          assert.equal(answer.status, 200);
          assert.equal(answer.header('Cache-Control'), 'private, max-age=31536000', 'a cache in between asks no index');
        }
      }
    });

    const answers: [title: string, answer: FakeIndex['answer']][] = [
      ['says no', () => ({ status: 401, body: '{}' })],
      ['knows no such repository', () => ({ status: 404, body: '{}' })],
      ['fails', () => ({ status: 500, body: 'x' })],
      ['says anything but 200', () => ({ status: 201, body: '[]' })],
      ['sends no JSON', () => ({ status: 200, body: '<html>' })],
      ['sends nothing', () => ({ status: 200, body: '' })],
      ['sends another shape', () => ({ status: 200, body: '{"images":[]}' })],
      ['breaks off', () => undefined],
    ];
    for (const [title, answer] of answers) {
      it(`if the index ${title}, access is refused`, async () => {
        index.answer = answer;
        for (const path of ['/v1/repositories/a/b/tags', `/v1/images/${image.id}/json`]) {
          assertUnauthorized(await registry.send('GET', path, { headers: authorized(tokenOf('a/b')) }));
        }
      });
    }

    describe('without an index', () => {
      const unreachable = useRegistry(storage, {
        settings: { isStandalone: false, indexAccess: { indexEndpoint: 'http://127.0.0.1:1' } },
      });
      const without = useRegistry(storage, { settings: { isStandalone: false, indexAccess: {} } });
      it('access is refused', async () => {
        for (const closed of [unreachable, without]) {
          const headers = authorized(tokenOf('a/b'));
          assertUnauthorized(await closed.send('GET', '/v1/repositories/a/b/tags', { headers }));
        }
      });
    });

    for (const token of [
      'token signature=X,repository="a/b",access=read',
      'TOKEN signature=X,repository="a/b",access=read',
      'Token Token signature=X,repository="a/b",access=read',
      'Token signature=X,repository=a/b,access=read',
      'Token signature=X, repository="a/b", access=read',
      'Token repository:"a/b"',
    ]) {
      it(`${token} is accepted`, async () => {
        index.answer = () => listing(image.id);
        const answer = await registry.send('GET', '/v1/repositories/a/b/tags', { headers: authorized(token) });
        assert.equal(answer.status, 200);
      });
    }

    for (const authorization of [
      'Basic dTpw',
      'Bearer repository="a/b"',
      'Tokens repository="a/b"',
      'repository="a/b"',
      '',
    ]) {
      it(`${authorization || 'an empty Authorization'} is refused`, async () => {
        index.answer = () => listing(image.id);
        const headers = authorized(authorization);
        assertUnauthorized(await registry.send('GET', '/v1/repositories/a/b/tags', { headers }));
      });
    }

    describe('an image pushed with a token', () => {
      const headers = authorized(tokenOf('a/b', 'write'));
      const putJson = ({ id, json }: V1Image) => registry.send('PUT', `/v1/images/${id}/json`, { body: json, headers });

      it('is refused if the index did not list it', async () => {
        const unlisted = newImage();
        index.answer = () => listing(image.id);
        assertError(await putJson(unlisted), 400, 'This image does not belong to the repository');
        assert.deepEqual(await storage.keysBelow(`images/${unlisted.id}/`), []);
      });

      it('is accepted if the index listed it', async () => {
        const listed = newImage();
        index.answer = () => listing(listed.id);
        assert.equal((await putJson(listed)).status, 200);
        const layer = { body: listed.layer, headers };
        assert.equal((await registry.send('PUT', `/v1/images/${listed.id}/layer`, layer)).status, 200);
        const sum = { headers: { ...headers, 'X-Docker-Checksum-Payload': payloadSum(listed.json, listed.layer) } };
        assert.equal((await registry.send('PUT', `/v1/images/${listed.id}/checksum`, sum)).status, 200);
      });

      for (const [title, body, status] of [
        ['may', '{"access": true}', 200],
        ['may not', '{"access": false}', 400],
        ['gets another answer to', '[]', 400],
      ] as const) {
        it(`${title} build on a parent only if the index allows it`, async () => {
          const child = newImage({ parent: image });
          index.answer = (path) => (path.endsWith('/access') ? { status: 200, body } : listing(child.id));
          index.asked.length = 0;
          const answer = await putJson(child);
          if (status === 200) assert.equal(answer.status, 200, answer.text);
          else assertError(answer, status, 'Image depends on an unauthorized parent');
          const paths = index.asked.map(({ path }) => path);
          assert.ok(paths.includes(`/v1/repositories/a/b/layer/${image.id}/access`), paths.join());
        });
      }

      it('is refused if its parent does not exist, even if the index allows it', async () => {
        const orphan = newImage({ parent: newImage() });
        for (const access of [true, false]) {
          index.answer = (path) =>
            path.endsWith('/access') ? { status: 200, body: `{"access": ${access}}` } : listing(orphan.id);
          assertError(await putJson(orphan), 400, 'Image depends on a non existing parent');
        }
      });
    });

    describe('with disable_token_auth', () => {
      const open = useRegistry(storage, { settings: { isStandalone: false } });

      it('no token is required, and the registry is still no index', async () => {
        const answer = await open.send('GET', '/v1/repositories/a/c/tags');
        assert.deepEqual([answer.status, answer.json()], [200, { latest: image.id }]);
        assert.equal((await open.send('GET', '/v1/repositories/a/c/images')).status, 404);
        assert.equal((await open.send('GET', '/v1/_ping')).header('X-Docker-Registry-Standalone'), 'False');
      });

      it('a child image is pushed without a token', async () => {
        index.asked.length = 0;
        await open.push(newImage({ parent: image }));
        assert.deepEqual(index.asked, []);
      });
    });

    describe('private repositories', () => {
      const secret = newImage();
      const shared = newImage();
      before(async () => {
        await standalone.push(secret, shared);
        await standalone.tag('p/secret', 'latest', secret.id);
        for (const repository of ['p/secret', 'p/public']) await standalone.tag(repository, 'shared', shared.id);
        await makePrivate(storage, 'p/secret');
      });
      const readLayer = (repository: string, { id }: V1Image, part = 'layer') =>
        registry.send('GET', `/v1/images/${id}/${part}`, { headers: authorized(tokenOf(repository)) });

      for (const part of ['json', 'layer']) {
        it(`the ${part} of a private image is read if the index allows it`, async () => {
          index.answer = (path) =>
            path.endsWith('/access') ? { status: 200, body: '{"access": true}' } : listing(secret.id);
          index.asked.length = 0;
          assert.equal((await readLayer('p/secret', secret, part)).status, 200);
          const paths = index.asked.map(({ path }) => path);
          assert.ok(paths.includes(`/v1/repositories/p/secret/layer/${secret.id}/access`), paths.join());
        });

        it(`the ${part} of a private image is unknown if the index refuses it`, async () => {
          for (const answer of [{ status: 200, body: '{"access": false}' }, { status: 403, body: '' }, undefined]) {
            index.answer = (path) => (path.endsWith('/access') ? answer : listing(secret.id));
            assertError(await readLayer('p/secret', secret, part), 404, 'Image not found');
          }
        });

        it(`the ${part} of an image that only a private repository holds is not read with the token of a public one`, async () => {
          index.answer = (path) => (path.endsWith('/access') ? { status: 404, body: '' } : listing(shared.id));
          assertError(await readLayer('p/public', secret, part), 404, 'Image not found');
        });

        it(`the ${part} of an image that a public repository also holds is read with its token`, async () => {
          index.answer = (path) => (path.endsWith('/access') ? { status: 404, body: '' } : listing(shared.id));
          assert.equal((await readLayer('p/public', shared, part)).status, 200);
        });
      }

      it('on a standalone registry, the private flag is only a property', async () => {
        assert.equal((await standalone.send('GET', `/v1/images/${secret.id}/layer`)).status, 200);
        assert.equal((await standalone.send('GET', '/v1/repositories/p/secret/tags')).status, 200);
      });
    });
  });
}

type Row = { title: string; token: string; path?: string; method?: string; status: number };

function tokenOf(repository: string, access?: string): string {
  const limit = access === undefined ? '' : `,access=${access}`;
  return `Token signature=${newImageId().slice(0, 16).toUpperCase()},repository="${repository}"${limit}`;
}

/** The repository that a token names. */
function pathOf(token: string): string {
  return /repository="([^"]+)"/.exec(token)?.[1] ?? 'a/b';
}

function authorized(authorization: string): Record<string, string> {
  return { Authorization: authorization };
}

function listing(...ids: string[]): { status: number; body: string } {
  return { status: 200, body: JSON.stringify(ids.map((id) => ({ id }))) };
}

async function makePrivate(storage: TestStorage, repository: string): Promise<void> {
  await storage.put(`repositories/${repository}/_private`, '');
}
