import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertError, send } from './send.ts';
import { newImage, newImageId, type OpenStorage, useRegistry, useStorage } from './use-registry.ts';

/** Status, users, search, and the paths of the API. */
export function v1StatusSuite(name: string, open: OpenStorage): void {
  describe(`v1 status, users and search on ${name}`, () => {
    const storage = useStorage(open);
    const registry = useRegistry(storage);
    const id = newImageId();

    for (const path of ['/_ping', '/v1/_ping']) {
      it(`GET ${path} needs no login`, async () => {
        const answer = await registry.send('GET', path);
        assert.equal(answer.status, 200);
        assert.equal(answer.header('X-Docker-Registry-Standalone'), 'True');
        assert.equal(answer.header('Content-Type'), 'application/json');
        assert.equal(answer.header('Cache-Control'), 'no-cache');
        assert.equal(answer.header('Expires'), '-1');
        assert.equal(answer.header('Pragma'), 'no-cache');
        assert.deepEqual(answer.json(), {});
      });
    }

    for (const [what, settings, standalone] of [
      ['a registry that is not standalone says False', { isStandalone: false }, 'False'],
      ['a mirror says mirror', { isMirror: true }, 'mirror'],
      ['a mirror that is not standalone says mirror', { isMirror: true, isStandalone: false }, 'mirror'],
    ] as const) {
      describe(`${what}`, () => {
        const other = useRegistry(storage, { settings });
        it('in X-Docker-Registry-Standalone', async () => {
          const answer = await other.send('GET', '/v1/_ping');
          assert.equal(answer.header('X-Docker-Registry-Standalone'), standalone);
        });
      });
    }

    describe('with debug', () => {
      const debugging = useRegistry(storage, { settings: { debug: true, flavor: 'prod' } });
      it('_ping tells versions and flavor, and nothing about the host', async () => {
        const answer = await debugging.send('GET', '/v1/_ping');
        assert.equal(answer.header('X-Docker-Registry-Config'), 'prod');
        assert.deepEqual(answer.json(), { versions: { stowage: '1.2.3', node: process.versions.node } });
      });
    });

    it('without debug _ping tells no versions', async () => {
      const answer = await registry.send('GET', '/v1/_ping');
      assert.equal(answer.text, '{}');
      assert.equal(answer.header('X-Docker-Registry-Config'), undefined);
      assert.equal(answer.header('X-Docker-Registry-Version'), undefined);
    });

    for (const path of ['/_status', '/v1/_status']) {
      it(`GET ${path} says that storage answers, as 0.6.5 did`, async () => {
        const answer = await registry.send('GET', path);
        assert.equal(answer.status, 200);
        assert.partialDeepStrictEqual(answer.json(), { failures: {}, services: ['storage'] });
      });
    }

    for (const path of ['/_ping', '/v1/_ping', '/v1/users', '/v1/users/', '/']) {
      it(`HEAD ${path} has the headers of GET and no body`, async () => {
        const [got, head] = [await registry.send('GET', path), await registry.send('HEAD', path)];
        assert.deepEqual([head.status, head.text], [200, '']);
        for (const header of ['Content-Type', 'Cache-Control', 'Expires', 'X-Docker-Registry-Standalone']) {
          assert.equal(head.header(header), got.header(header), header);
        }
      });
    }

    const paths: [method: string, path: string, statuses: number[]][] = [
      ['GET', '/_ping/', [404]],
      ['GET', '/v1/_ping/', [404]],
      ['GET', `/v1/images/${id}/json/`, [404]],
      ['GET', `/v1/images/${id}/layer/`, [404]],
      ['GET', '/v1/repositories/a/b/tags/', [404, 405]],
      ['POST', '/_ping', [405]],
      ['POST', '/v1/_ping', [405]],
      ['POST', `/v1/images/${id}/json`, [405]],
      ['POST', `/v1/images/${id}/ancestry`, [405]],
      ['POST', '/v1/repositories/a/b/tags', [405]],
      ['POST', '/v1/repositories/a/b/tags/latest', [405]],
      ['DELETE', `/v1/images/${id}/layer`, [405]],
      ['GET', '/v1/', [404]],
      ['GET', '/v1/nothing', [404]],
      ['GET', '/nothing', [404]],
      ['GET', `/v1/images/${id}`, [404]],
      ['PUT', '/v1/images/', [404]],
    ];
    for (const [method, path, statuses] of paths) {
      it(`${method} ${path.replace(id, '<id>')} is ${statuses.join(' or ')}`, async () => {
        const answer = await registry.send(method, path);
        assert.ok(statuses.includes(answer.status), String(answer.status));
      });
    }

    for (const [method, path, status] of [
      ['GET', '/v2/', 200],
      ['GET', '/v2/a/manifests/b', 404],
      ['POST', '/v2/a/blobs/uploads/', 202],
      ['GET', '/v2/nothing', 404],
    ] as const) {
      it(`${method} ${path} is ${status} without Docker-Distribution-Api-Version, so old Docker versions use v1`, async () => {
        const answer = await registry.send(method, path);
        assert.equal(answer.status, status);
        assert.deepEqual(answer.lines('Docker-Distribution-Api-Version'), []);
      });
    }

    for (const path of ['/v1/users', '/v1/users/']) {
      it(`GET ${path} is OK with any credentials`, async () => {
        for (const headers of [{}, { Authorization: 'Basic Og==' }, { Authorization: 'Basic dTpw' }]) {
          const answer = await registry.send('GET', path, { headers });
          assert.deepEqual([answer.status, answer.text], [200, '"OK"']);
        }
      });

      it(`POST ${path} accepts any user`, async () => {
        const answer = await registry.send('POST', path, { body: '{"username":"u"}' });
        assert.deepEqual([answer.status, answer.text], [201, '"User Created"']);
      });

      it(`POST ${path} of invalid JSON is refused`, async () => {
        for (const body of ['{', '']) {
          assertError(await registry.send('POST', path, { body }), 400, 'Error Decoding JSON');
        }
      });
    }

    it('PUT /v1/users/u/ changes nothing and says so', async () => {
      const answer = await registry.send('PUT', '/v1/users/u/', { body: '{"email":"e"}' });
      assert.deepEqual([answer.status, answer.text], [204, '']);
    });

    it('without a backend there is no search', async () => {
      assert.equal((await registry.send('GET', '/v1/search?q=a')).status, 404);
    });

    describe('search', () => {
      const searching = useRegistry(storage, { settings: { hasSearch: true } });
      const names = async (query: string) => {
        const { results } = (await searching.read(`/v1/search${query}`)) as { results: { name: string }[] };
        return results.map((result) => result.name);
      };
      const pushTo = async (repository: string) => {
        const image = newImage();
        await searching.push(image);
        await searching.tag(repository, 'latest', image.id);
      };

      it('a repository is found as soon as it is pushed, and no longer when it is deleted', async () => {
        assert.deepEqual(await names('?q=oo'), []);
        await pushTo('a/foo');
        assert.partialDeepStrictEqual(await searching.read('/v1/search?q=oo'), {
          num_results: 1,
          query: 'oo',
          results: [{ name: 'a/foo', description: '' }],
        });
        await pushTo('a/gone');
        assert.deepEqual(await names('?q=gone'), ['a/gone']);
        await searching.send('DELETE', '/v1/repositories/a/gone/');
        assert.deepEqual(await names('?q=gone'), []);
      });

      it('a name with one component has its namespace', async () => {
        await pushTo('single');
        assert.deepEqual(await names('?q=single'), ['library/single']);
        assert.deepEqual(await names('?q=library%2Fsing'), ['library/single']);
      });

      it('% and _ are no wildcards', async () => {
        await pushTo('a/under_score');
        await pushTo('a/per%25cent');
        assert.deepEqual(await names('?q=%25'), ['a/per%cent']);
        assert.deepEqual(await names('?q=_'), ['a/under_score']);
        assert.deepEqual(await names('?q=f_o'), []);
      });

      it('case and unknown parameters make no difference', async () => {
        assert.deepEqual(await names('?q=FOO&n=x&sort=y&page=-1&z'), ['a/foo']);
      });

      it('a search without q finds everything, one for an unknown name nothing', async () => {
        const everything = await names('');
        for (const found of ['a/foo', 'library/single']) assert.ok(everything.includes(found), found);
        assert.deepEqual(await searching.read('/v1/search?q=nowhere'), {
          num_pages: 0,
          num_results: 0,
          page: 1,
          page_size: 25,
          query: 'nowhere',
          results: [],
        });
      });

      it('results come in pages of n: 25 by default, 100 at most', async () => {
        const image = newImage();
        await searching.push(image);
        for (let number = 100; number < 203; number++) {
          await searching.tag(`pages/p${number}`, 'a', image.id);
        }
        await pushTo('pages/p203');
        const all = Array.from({ length: 104 }, (_, index) => `pages/p${100 + index}`);
        assert.deepEqual(await names('?q=pages/'), all.slice(0, 25));
        assert.deepEqual(await names('?q=pages/&page=5'), all.slice(100));
        assert.deepEqual(await names('?q=pages/&page=6'), []);
        assert.deepEqual(await names('?q=pages/&n=7&page=2'), all.slice(7, 14));
        assert.deepEqual(await names('?q=pages/&n=1000'), all.slice(0, 100));
        assert.partialDeepStrictEqual(await searching.read('/v1/search?q=pages/&n=7&page=2'), {
          num_results: 104,
          num_pages: 15,
          page: 2,
          page_size: 7,
        });
      });
    });

    it('errors of the app around v1 have the same form', async () => {
      const answer = await send(registry.url, 'GET', '/nothing');
      assert.deepEqual(Object.keys(answer.json() as object), ['error']);
    });
  });
}
