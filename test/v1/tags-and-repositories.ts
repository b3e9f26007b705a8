import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { Key } from '../../lib/model/layout.ts';
import { StorageUnavailableError } from '../../lib/storage/driver.ts';
import { alterDriver } from '../storage/altered-driver.ts';
import { assertError } from './send.ts';
import { newImage, newImageId, newRepository, type OpenStorage, useRegistry, useStorage } from './use-registry.ts';

const DOCKER = 'docker/1.4.1 go/go1.3.3 git-commit/5bc2ff8 kernel/3.18.1-AMD64 os/Linux arch/amd64';
const DOCKER_METADATA = {
  arch: 'amd64',
  docker_go_version: 'go1.3.3',
  docker_version: '1.4.1',
  kernel: '3.18.1-amd64',
  os: 'linux',
};
const UNKNOWN =
  '{"arch": "amd64", "docker_go_version": null, "docker_version": null, "kernel": null, "last_update": null, "os": "linux"}';

/** Tags, tag metadata, repositories and their properties. */
export function v1TagsSuite(name: string, open: OpenStorage): void {
  describe(`v1 tags and repositories on ${name}`, () => {
    const storage = useStorage(open);
    const registry = useRegistry(storage);
    const image = newImage();
    const other = newImage();
    before(async () => await registry.push(image, other));

    const pathOf = (repository: string, rest = '') => `/v1/repositories/${repository}${rest}`;
    const putTag = (repository: string, tag: string, body: string, headers = {}) =>
      registry.send('PUT', pathOf(repository, `/tags/${tag}`), { body, headers });
    const putTagAs = (repository: string, tag: string, agent: string) =>
      putTag(repository, tag, JSON.stringify(image.id), { 'User-Agent': agent });
    const tagsOf = (repository: string) => registry.read(pathOf(repository, '/tags'));
    const deletion = (repository: string, rest: string) => registry.send('DELETE', pathOf(repository, rest));
    const keysOf = async (repository: string) =>
      (await storage.keysBelow(`repositories/${repository}/`)).map((key) => key.slice(key.lastIndexOf('/') + 1));
    const timeless = async (path: string) => {
      const { last_update, ...metadata } = (await registry.read(path)) as Record<string, unknown>;
      assert.ok(Math.abs(Number(last_update) - Date.now() / 1000) < 60, String(last_update));
      assert.ok(Number.isInteger(last_update));
      return metadata;
    };

    it('a tag is an object that holds the id only', async () => {
      const repository = newRepository();
      const answer = await putTag(repository, 'v1', JSON.stringify(image.id));
      assert.deepEqual([answer.status, answer.text], [200, 'true']);
      assert.equal(await storage.textOf(`repositories/${repository}/tag_v1`), image.id);
      assert.deepEqual(await keysOf(repository), ['tag_v1', 'tagv1_json']);
    });

    for (const body of [image.id, `'${image.id}'`, '""', '1', '{}', '[]', 'null', 'true', '', '"x']) {
      it(`${body.slice(0, 10) || 'no body'} is not an id in JSON`, async () => {
        const repository = newRepository();
        assertError(await putTag(repository, 'v1', body), 400, 'Invalid data');
        assert.deepEqual(await keysOf(repository), []);
      });
    }

    for (const id of [newImageId(), 'x', '../..', '../images', 'A'.repeat(64), `${image.id}\n`]) {
      it(`an image ${JSON.stringify(id.slice(0, 10))} does not exist`, async () => {
        const repository = newRepository();
        assertError(await putTag(repository, 'v1', JSON.stringify(id)), 404, 'Image not found');
        assert.deepEqual(await keysOf(repository), []);
      });
    }

    it('a tag is moved by a second PUT', async () => {
      const repository = newRepository();
      for (const { id } of [image, other]) {
        await registry.tag(repository, 'v1', id);
        assert.equal(await registry.read(pathOf(repository, '/tags/v1')), id);
      }
    });

    it('tags are read together and one by one', async () => {
      const repository = newRepository();
      await registry.tag(repository, 'v1', image.id);
      await registry.tag(repository, 'v2', other.id);
      assert.deepEqual(await tagsOf(repository), { v1: image.id, v2: other.id });
      const answer = await registry.send('GET', pathOf(repository, '/tags/v2'));
      assert.equal(answer.text, JSON.stringify(other.id));
      assert.equal(answer.header('Cache-Control'), 'no-cache');
      assertError(await registry.send('GET', pathOf(repository, '/tags/v3')), 404, 'Tag not found');
    });

    it('an unknown repository has no tags, one that has only a list of images has none yet', async () => {
      const repository = newRepository();
      assertError(await registry.send('GET', pathOf(repository, '/tags')), 404, 'Repository not found');
      assertError(await registry.send('GET', pathOf(repository, '/tags/v1')), 404, 'Tag not found');
      await registry.send('PUT', pathOf(repository, '/'), { body: '[]' });
      assert.equal((await registry.send('GET', pathOf(repository, '/tags'))).text, '{}');
    });

    for (const tag of ['tags', 'images', 'json', 'properties', 'auth']) {
      it(`a tag may be called ${tag}, like a route`, async () => {
        const repository = newRepository();
        await registry.tag(repository, 'v1', image.id);
        await putTagAs(repository, tag, DOCKER);
        assert.equal(await registry.read(pathOf(repository, `/tags/${tag}`)), image.id);
        assert.deepEqual(await timeless(pathOf(repository, `/tags/${tag}/json`)), DOCKER_METADATA);
        assert.equal((await deletion(repository, `/tags/${tag}`)).status, 200);
        assert.deepEqual(await tagsOf(repository), { v1: image.id });
      });
    }

    for (const tag of ['.', '..', '%2e%2e', '..%2f..%2fx', '%2e%2e%2f_private', 'a%2fb', '%00', `${'t'.repeat(300)}`]) {
      it(`the tag ${tag.slice(0, 20)} reaches no object outside of its repository`, async () => {
        const repository = newRepository();
        const before = await storage.keysBelow('');
        await putTag(repository, tag, JSON.stringify(image.id));
        await deletion(repository, `/tags/${tag}`);
        for (const key of (await storage.keysBelow('')).filter((each) => !before.includes(each))) {
          assert.match(key, /^(?:repositories\/tests\/[^/]+\/tag[^/]+|oci\/images\/[^/]+\/repositories\/[^/]+)$/);
        }
      });
    }

    it('the metadata of latest is also that of the repository', async () => {
      const repository = newRepository();
      await putTagAs(repository, 'latest', DOCKER);
      for (const path of ['/json', '/tags/latest/json']) {
        assert.deepEqual(await timeless(pathOf(repository, path)), DOCKER_METADATA);
      }
      await putTagAs(repository, 'v1', DOCKER.replace('1.4.1', '1.5.0'));
      assert.deepEqual(await timeless(pathOf(repository, '/tags/v1/json')), {
        ...DOCKER_METADATA,
        docker_version: '1.5.0',
      });
      for (const path of ['/json', '/tags/latest/json']) {
        assert.deepEqual(await timeless(pathOf(repository, path)), DOCKER_METADATA);
      }
    });

    it('last_update is in seconds since the epoch in any time zone', async () => {
      const zone = process.env.TZ;
      try {
        for (const elsewhere of ['Asia/Tokyo', 'America/Los_Angeles']) {
          process.env.TZ = elsewhere;
          const repository = newRepository();
          await putTagAs(repository, 'latest', DOCKER);
          await timeless(pathOf(repository, '/json'));
        }
      } finally {
        if (zone === undefined) delete process.env.TZ;
        else process.env.TZ = zone;
      }
    });

    it('the metadata of a tag that was never pushed is the default, not a 404', async () => {
      const repository = newRepository();
      for (const path of ['/json', '/tags/latest/json', '/tags/v1/json']) {
        const answer = await registry.send('GET', pathOf(repository, path));
        assert.deepEqual([answer.status, answer.text], [200, UNKNOWN]);
      }
    });

    it('stored metadata is served unchanged', async () => {
      const repository = newRepository();
      await storage.put(`repositories/${repository}/tagv1_json`, '{"os":"plan9"}');
      assert.equal((await registry.send('GET', pathOf(repository, '/tags/v1/json'))).text, '{"os":"plan9"}');
    });

    for (const [agent, metadata] of [
      ['', {}],
      ['curl/7', {}],
      ['docker', {}],
      [
        'docker/1.12.6 go/go1.6.4 UpstreamClient(Docker-Client/1.12.6 \\(linux\\))',
        { docker_version: '1.12.6', docker_go_version: 'go1.6.4' },
      ],
      ['docker/1.5.0-dev arch/ARM', { docker_version: '1.5.0-dev', arch: 'arm' }],
      ['docker/1 docker/2', { docker_version: '2' }],
      ['__proto__/x constructor/y last_update/5 docker_version/7', {}],
    ] as const) {
      it(`of the User-Agent "${agent}" only known names are kept`, async () => {
        const repository = newRepository();
        const answer = agent
          ? await putTagAs(repository, 'v1', agent)
          : await putTag(repository, 'v1', JSON.stringify(image.id));
        assert.equal(answer.status, 200);
        assert.deepEqual(await timeless(pathOf(repository, '/tags/v1/json')), metadata);
      });
    }

    it('the tag _x has no metadata that reads as a tag x_json', async () => {
      const repository = newRepository();
      await putTagAs(repository, '_x', DOCKER);
      assert.deepEqual(await tagsOf(repository), { _x: image.id });
      assert.equal(await registry.read(pathOf(repository, '/tags/_x')), image.id);
      assert.equal((await deletion(repository, '/tags/_x')).status, 200);
      assert.deepEqual(await keysOf(repository), []);
    });

    it('the metadata that docker-registry wrote for _x is not a tag, and is deleted with _x', async () => {
      const repository = newRepository();
      await storage.put(`repositories/${repository}/tag__x`, image.id);
      await storage.put(`repositories/${repository}/tag_x_json`, '{"last_update": 1400116767, "os": "linux"}');
      assert.deepEqual(await tagsOf(repository), { _x: image.id });
      assertError(await registry.send('GET', pathOf(repository, '/tags/x_json')), 404, 'Tag not found');
      assert.equal((await deletion(repository, '/tags/_x')).status, 200);
      assert.deepEqual(await keysOf(repository), []);
    });

    it('the tag x_json stays when _x is deleted', async () => {
      const repository = newRepository();
      await registry.tag(repository, '_x', image.id);
      await registry.tag(repository, 'x_json', other.id);
      assert.deepEqual(await tagsOf(repository), { _x: image.id, x_json: other.id });
      await deletion(repository, '/tags/_x');
      assert.deepEqual(await tagsOf(repository), { x_json: other.id });
    });

    it('deleting a repository deletes what docker-registry wrote for _x', async () => {
      const repository = newRepository();
      await storage.put(`repositories/${repository}/tag__x`, image.id);
      await storage.put(`repositories/${repository}/tag_x_json`, '{"os": "linux"}');
      assert.equal((await deletion(repository, '/')).status, 200);
      assert.deepEqual(await keysOf(repository), []);
    });

    for (const [inUrl, tag] of [
      ['1.0+b', '1.0+b'],
      ['a%20b', 'a b'],
      ['a%2Bb', 'a+b'],
      ['a%25b', 'a%b'],
      ['a~b', 'a~b'],
      ['%C3%BC', 'ü'],
      ['a:b', 'a:b'],
    ] as const) {
      it(`the tag ${tag} is read back as it was written`, async () => {
        const repository = newRepository();
        assert.equal((await putTagAs(repository, inUrl, DOCKER)).status, 200);
        assert.deepEqual(await tagsOf(repository), { [tag]: image.id });
        assert.equal(await registry.read(pathOf(repository, `/tags/${inUrl}`)), image.id);
        assert.deepEqual(await timeless(pathOf(repository, `/tags/${inUrl}/json`)), DOCKER_METADATA);
        assert.equal((await deletion(repository, `/tags/${inUrl}`)).status, 200);
        assert.deepEqual(await keysOf(repository), []);
      });
    }

    it('a tag can be deleted once', async () => {
      const repository = newRepository();
      for (const tag of ['v1', 'v2']) await registry.tag(repository, tag, image.id);
      const answer = await deletion(repository, '/tags/v1');
      assert.deepEqual([answer.status, answer.text], [200, 'true']);
      assertError(await deletion(repository, '/tags/v1'), 404, 'Tag not found: v1');
      assert.deepEqual(await tagsOf(repository), { v2: image.id });
      assert.deepEqual(await keysOf(repository), ['tag_v2', 'tagv2_json']);
    });

    it('deleting latest deletes the metadata of the repository', async () => {
      const repository = newRepository();
      for (const tag of ['v1', 'latest']) await putTagAs(repository, tag, DOCKER);
      await deletion(repository, '/tags/v1');
      assert.deepEqual(await timeless(pathOf(repository, '/json')), DOCKER_METADATA);
      await deletion(repository, '/tags/latest');
      assert.equal((await registry.send('GET', pathOf(repository, '/json'))).text, UNKNOWN);
      assert.deepEqual(await keysOf(repository), []);
    });

    it('a tag without tag<tag>_json is deleted like any other', async () => {
      const repository = newRepository();
      for (const tag of ['latest', 'v1']) await storage.put(`repositories/${repository}/tag_${tag}`, image.id);
      for (const tag of ['latest', 'v1']) assert.equal((await deletion(repository, `/tags/${tag}`)).status, 200);
      assert.deepEqual(await keysOf(repository), []);
    });

    for (const rest of ['/', '', '/tags']) {
      it(`DELETE …/<repo>${rest} deletes everything but the images`, async () => {
        const repository = newRepository();
        await registry.send('PUT', pathOf(repository, '/'), { body: `[{"id":"${image.id}"}]` });
        for (const tag of ['latest', 'v1']) await putTagAs(repository, tag, DOCKER);
        await registry.send('PUT', pathOf(repository, '/properties'), { body: '{"access":"private"}' });
        await storage.put(`repositories/${repository}/_images_list`, '[]');
        await storage.put(`repositories/${repository}/tag_old`, image.id);
        const answer = await deletion(repository, rest);
        assert.deepEqual([answer.status, answer.text], [200, 'true']);
        assert.deepEqual(await keysOf(repository), []);
        assertError(await registry.send('GET', pathOf(repository, '/tags')), 404, 'Repository not found');
        assertError(await registry.send('GET', pathOf(repository, '/images')), 404, 'images not found');
        assert.deepEqual(await registry.read(pathOf(repository, '/properties')), { access: 'public' });
        assert.equal((await registry.send('GET', `/v1/images/${image.id}/layer`)).status, 200);
        assertError(await deletion(repository, rest), 404, 'Repository not found');
      });
    }

    it('a repository with tags only is deleted too', async () => {
      const repository = newRepository();
      await registry.tag(repository, 'v1', image.id);
      assert.equal((await deletion(repository, '/')).status, 200);
      assert.deepEqual(await keysOf(repository), []);
    });

    it('repositories whose name begins with that of a deleted one stay', async () => {
      const repository = newRepository();
      const neighbours = [`${repository}x`, `${repository}/x`, `${repository}-x`];
      for (const each of [repository, ...neighbours]) await registry.tag(each, 'v1', image.id);
      await deletion(repository, '/');
      for (const each of neighbours) assert.deepEqual(await tagsOf(each), { v1: image.id });
    });

    it('a repository with one component is deleted by either name', async () => {
      for (const [written, deleted] of [
        ['short', 'library/short'],
        ['library/short', 'short'],
        ['short', 'short'],
      ] as const) {
        await registry.tag(written, 'v1', image.id);
        assert.equal((await deletion(deleted, '/')).status, 200);
        assertError(await registry.send('GET', pathOf(written, '/tags')), 404, 'Repository not found');
      }
      assertError(await deletion('short', '/'), 404, 'Repository not found');
    });

    it('a repository is public until it is made private, and again afterwards', async () => {
      const repository = newRepository();
      const path = pathOf(repository, '/properties');
      assert.deepEqual(await registry.read(path), { access: 'public' });
      for (const access of ['private', 'private', 'public', 'public']) {
        const answer = await registry.send('PUT', path, { body: JSON.stringify({ access }) });
        assert.deepEqual([answer.status, answer.text], [200, 'true']);
        assert.deepEqual(await registry.read(path), { access });
        assert.equal(
          await storage.textOf(`repositories/${repository}/_private`),
          access === 'private' ? '' : undefined,
        );
      }
    });

    it('another value of access changes nothing', async () => {
      const path = pathOf(newRepository(), '/properties');
      for (const access of ['"x"', '1', 'null', '{}']) {
        assert.equal((await registry.send('PUT', path, { body: `{"access":${access}}` })).status, 200);
        assert.deepEqual(await registry.read(path), { access: 'public' });
      }
    });

    for (const body of ['{"x":1}', '[]', '{}', '', 'x', 'null', '"private"', '["access"]']) {
      it(`${body || 'no body'} is refused`, async () => {
        const repository = newRepository();
        const path = pathOf(repository, '/properties');
        assertError(await registry.send('PUT', path, { body }), 400, 'Invalid data');
        assert.deepEqual(await keysOf(repository), []);
      });
    }

    it('a tag whose object is not an id is left out', async () => {
      const repository = newRepository();
      await registry.tag(repository, 'v1', image.id);
      for (const [tag, content] of [
        ['empty', ''],
        ['short', 'abc'],
        ['newline', `${image.id}\n`],
        ['json', JSON.stringify(image.id)],
        ['capitals', image.id.toUpperCase().replace(/^./, 'A')],
        ['other', 'x'.repeat(64)],
      ]) {
        await storage.put(`repositories/${repository}/tag_${tag}`, content ?? '');
      }
      assert.deepEqual(await tagsOf(repository), { v1: image.id });
    });

    describe('a tag that cannot be read', () => {
      let doInstead: (key: Key) => undefined = () => undefined;
      const shaky = useRegistry(storage, {
        alter: (driver) =>
          alterDriver(driver, (original) => ({
            read: async (key) => (key.endsWith('/tag_gone') ? doInstead(key) : await original.read(key)),
          })),
      });
      const repository = newRepository();
      before(async () => {
        for (const tag of ['v1', 'gone']) await registry.tag(repository, tag, image.id);
      });

      it('because it was deleted in between is left out', async () => {
        doInstead = () => undefined;
        assert.deepEqual(await shaky.read(pathOf(repository, '/tags')), { v1: image.id });
      });

      it('because storage fails makes the request fail', async () => {
        doInstead = (key) => {
          throw new StorageUnavailableError(`${key} cannot be read, as the test wanted it`);
        };
        const answer = await shaky.send('GET', pathOf(repository, '/tags'), { mayFail: true });
        assert.equal(answer.status, 503);
      });
    });
  });
}
