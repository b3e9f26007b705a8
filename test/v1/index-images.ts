import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { V1Client } from '../support/v1-client.ts';
import { type Answer, assertError } from './send.ts';
import { newImage, newRepository, type OpenStorage, useRegistry, useStorage } from './use-registry.ts';

/** The index API of a standalone registry. */
export function v1IndexSuite(name: string, open: OpenStorage): void {
  describe(`v1 index on ${name}`, () => {
    const storage = useStorage(open);
    const registry = useRegistry(storage);

    /** Docker's `[{"id":"…"}, …]`, announced for a repository. */
    const announce = (repository: string, body: string, path = '/') =>
      registry.send('PUT', `/v1/repositories/${repository}${path}`, { body });
    const imagesOf = async (repository: string) =>
      (await registry.read(`/v1/repositories/${repository}/images`)) as Record<string, unknown>[];

    for (const slash of ['/', '']) {
      it(`PUT of a repository ${slash ? 'with' : 'without'} a final slash answers with a token and an endpoint`, async () => {
        const repository = newRepository();
        const answer = await announce(repository, '[{"id":"X"},{"id":"Y","Tag":"latest"}]', slash);
        assert.deepEqual([answer.status, answer.text], [200, '""']);
        assertToken(answer, repository, 'write');
        assert.deepEqual(answer.lines('X-Docker-Endpoints'), [registry.url.host]);
      });
    }

    it('X-Docker-Endpoints is the Host of the request, unchanged', async () => {
      for (const host of ['registry.example:5000', 'registry.example', 'Registry.example:80', '[::1]:5000']) {
        const path = `/v1/repositories/${newRepository()}/`;
        const answer = await registry.send('PUT', path, { body: '[]', headers: { Host: host } });
        assert.deepEqual(answer.lines('X-Docker-Endpoints'), [host]);
      }
    });

    it('the list comes back byte for byte', async () => {
      const repository = newRepository();
      const body = '[ {"id":"X"},\n{"id":"Y","Tag":"latest"} ]';
      await announce(repository, body);
      const answer = await registry.send('GET', `/v1/repositories/${repository}/images`);
      assert.deepEqual([answer.status, answer.text], [200, body]);
      assert.equal(answer.header('Content-Type'), 'application/json');
      assert.equal(answer.header('Cache-Control'), 'no-cache');
      assertToken(answer, repository, 'read');
      assert.deepEqual(answer.lines('X-Docker-Endpoints'), [registry.url.host]);
    });

    it('there is no list before the first PUT', async () => {
      assertError(await registry.send('GET', `/v1/repositories/${newRepository()}/images`), 404, 'images not found');
    });

    it('the empty list at the end of a push removes nothing', async () => {
      const repository = newRepository();
      await announce(repository, '[{"id":"X"},{"id":"Y","Tag":"latest"}]');
      const answer = await announce(repository, '[]', '/images');
      assert.deepEqual([answer.status, answer.text], [204, '']);
      assertToken(answer, repository, 'write');
      assert.deepEqual((await imagesOf(repository)).map(({ id }) => id).toSorted(), ['X', 'Y']);
    });

    for (const path of ['/', '/images']) {
      it(`a second list by PUT ${path} is merged into the first`, async () => {
        const repository = newRepository();
        await announce(repository, '[{"id":"X"},{"id":"Y","Tag":"latest"}]');
        await announce(repository, '[{"id":"Y","checksum":"c","Tag":"t"},{"id":"Z","more":1}]', path);
        const byId = (a: Record<string, unknown>, b: Record<string, unknown>) => (String(a.id) < String(b.id) ? -1 : 1);
        assert.deepEqual((await imagesOf(repository)).toSorted(byId), [
          { id: 'X' },
          { id: 'Y', checksum: 'c' },
          { id: 'Z' },
        ]);
      });
    }

    it('a new checksum replaces an old one, an entry without one does not', async () => {
      const repository = newRepository();
      await announce(repository, '[{"id":"X","checksum":"old"}]');
      await announce(repository, '[{"id":"X"}]');
      assert.deepEqual(await imagesOf(repository), [{ id: 'X', checksum: 'old' }]);
      await announce(repository, '[{"id":"X","checksum":"new"}]');
      assert.deepEqual(await imagesOf(repository), [{ id: 'X', checksum: 'new' }]);
    });

    const bad: [body: string, message: string][] = [
      ['{}', 'Invalid data'],
      ['"x"', 'Invalid data'],
      ['null', 'Invalid data'],
      ['[{"x":1}]', 'Invalid data'],
      ['[1]', 'Invalid data'],
      ['[{"id":1}]', 'Invalid data'],
      ['[{"id":"\u00e9"}]', 'Invalid data'],
      [`[{"id":"X","checksum":"${'c'.repeat(257)}"}]`, 'Invalid data'],
      ['[null]', 'Invalid data'],
      ['x', 'Error Decoding JSON'],
      ['', 'Error Decoding JSON'],
      ['[{"id":"X"}', 'Error Decoding JSON'],
    ];
    for (const [body, message] of bad) {
      it(`${body || 'no body'} is refused, for a new list and for an existing one`, async () => {
        const [fresh, known] = [newRepository(), newRepository()];
        await announce(known, '[{"id":"X"}]');
        for (const path of ['/', '/images', '/', '/images']) {
          assertError(await announce(fresh, body, path), 400, message);
          assertError(await announce(known, body, path), 400, message);
        }
        assert.deepEqual(await storage.keysBelow(`repositories/${fresh}/`), []);
        assert.deepEqual(await imagesOf(known), [{ id: 'X' }]);
      });
    }

    const entries = (count: number) => JSON.stringify(Array.from({ length: count }, (_, n) => ({ id: `image${n}` })));
    const tooLong: [what: string, body: () => string, status: number][] = [
      ['20,001 images', () => entries(20_001), 413],
      ['a million empty lists', () => `[${'[],'.repeat(1_000_000)}[]]`, 400],
      ['a million empty entries', () => `[${'{},'.repeat(1_000_000)}{}]`, 413],
      ['an entry of a million lists', () => `[{"id":"X","more":[${'[],'.repeat(1_000_000)}[]]}]`, 413],
      ['a long object', () => `{"id":"${'X'.repeat(100_000)}"}`, 400],
      ['5 MiB', () => `[{"id":"${'X'.repeat(5 * 1024 * 1024)}"}]`, 413],
    ];
    for (const [what, body, status] of tooLong) {
      it(`a list of ${what} is refused before it is parsed`, async (t) => {
        const [fresh, known] = [newRepository(), newRepository()];
        await announce(known, '[{"id":"X"}]');
        const parse = t.mock.method(JSON, 'parse');
        for (const repository of [fresh, known]) {
          assert.equal((await announce(repository, body(), '/images')).status, status);
        }
        const parsed = parse.mock.calls.map(({ arguments: [text] }) => String(text).length);
        const limit = what === '20,001 images' ? Number.POSITIVE_INFINITY : 64 * 1024;
        assert.ok(Math.max(0, ...parsed) <= limit, `${Math.max(...parsed)} characters were parsed`);
        assert.deepEqual(await storage.keysBelow(`repositories/${fresh}/`), []);
        assert.deepEqual(await imagesOf(known), [{ id: 'X' }]);
      });
    }

    it('a list of 20,000 images is accepted; of more, the newest are kept', async () => {
      const repository = newRepository();
      assert.equal((await announce(repository, entries(20_000))).status, 200);
      assert.equal((await announce(repository, '[{"id":"new"}]')).status, 200);
      const ids = (await imagesOf(repository)).map(({ id }) => id);
      assert.deepEqual([ids.length, ids[0], ids[1], ids.includes('image19999')], [20_000, 'new', 'image0', false]);
    });

    it('malformed entries that docker-registry 0.9 stored do not stop the next push', async () => {
      const repository = newRepository();
      await storage.put(`repositories/${repository}/_index_images`, '[{"x": 1}, 1, {"id": "X"}]');
      assert.equal((await announce(repository, '[{"id":"Y"}]')).status, 200);
      assert.deepEqual((await imagesOf(repository)).map(({ id }) => id).toSorted(), ['X', 'Y']);
    });

    it('DELETE of the list changes nothing', async () => {
      const repository = newRepository();
      await announce(repository, '[{"id":"X"}]');
      const answer = await registry.send('DELETE', `/v1/repositories/${repository}/images`);
      assert.deepEqual([answer.status, answer.text], [204, '']);
      assertToken(answer, repository, 'delete');
      assert.deepEqual(await imagesOf(repository), [{ id: 'X' }]);
    });

    it('PUT auth answers OK to any body', async () => {
      for (const body of ['', 'x', '{}']) {
        const answer = await announce(newRepository(), body, '/auth');
        assert.deepEqual([answer.status, answer.text], [200, '"OK"']);
      }
    });

    it('foo and library/foo are one repository', async () => {
      const names = ['foo', 'library/foo'];
      for (const [first, second] of [names, names.toReversed()]) {
        const image = newImage(); // what was deleted does not come back by its id
        await registry.push(image);
        await announce(first ?? '', '[{"id":"X"}]');
        await registry.tag(first ?? '', 'latest', image.id);
        assert.deepEqual(await imagesOf(second ?? ''), [{ id: 'X' }]);
        assert.deepEqual(await registry.read(`/v1/repositories/${second}/tags`), { latest: image.id });
        assert.equal(await registry.read(`/v1/repositories/${second}/tags/latest`), image.id);
        const metadata = await registry.read(`/v1/repositories/${first}/json`);
        assert.deepEqual(await registry.read(`/v1/repositories/${second}/json`), metadata);
        assertToken(await registry.send('GET', `/v1/repositories/${first}/images`), 'library/foo', 'read');
        await registry.send('DELETE', `/v1/repositories/${second}/`);
        assert.equal((await registry.send('GET', `/v1/repositories/${first}/tags`)).status, 404);
      }
    });

    it('the part after the namespace is one component of the key, so repositories do not nest', async () => {
      const image = newImage();
      await registry.push(image);
      await announce('nest/b/c', '[]');
      await registry.tag('nest/b/c', 'v1', image.id);
      await registry.tag('nest/b', 'v1', image.id);
      assert.equal(await storage.textOf('repositories/nest/b%2Fc/tag_v1'), image.id);
      assert.deepEqual(await registry.read('/v1/repositories/nest/b/c/tags'), { v1: image.id });
      await registry.send('DELETE', '/v1/repositories/nest/b/');
      assert.equal(await registry.read('/v1/repositories/nest/b/c/tags/v1'), image.id);
    });

    for (const repository of [
      '..',
      '.',
      '%2e%2e',
      'a/..',
      'a/.',
      'a/%2e%2e',
      'a/%2e',
      '../..',
      '../../etc',
      '..%2f..%2fetc',
      'a/..%2f..%2fetc',
      'a/../../../etc',
      'a%2f..%2f..',
      '%5c..%5c..',
      'a/%00',
    ]) {
      it(`the name ${repository} reaches no object outside of its folder`, async () => {
        const before = await storage.keysBelow('');
        for (const path of ['/', '/images']) await announce(repository, '[{"id":"X"}]', path);
        await registry.send('PUT', `/v1/repositories/${repository}/properties`, { body: '{"access":"private"}' });
        // The history of a tag that a test above has deleted is written behind its answer.
        const isOfTestAbove = (key: string) => key.startsWith('oci/repositories/nest/');
        const after = await storage.keysBelow('');
        const added = after.filter((key) => !before.includes(key) && !isOfTestAbove(key));
        for (const key of added) assert.match(key, /^repositories\/[^/]+\/[^/]+\/(?:_index_images|_private)$/);
        for (const key of added) assert.doesNotMatch(key, /\/\.\.?\//);
        await registry.send('DELETE', `/v1/repositories/${repository}/`);
        assert.deepEqual(
          (await storage.keysBelow('')).filter((key) => before.includes(key)),
          before,
        );
      });
    }

    for (const registryEndpoints of ['r1:5000, r2', ['r1:5000', 'r2']]) {
      describe(`registry_endpoints ${JSON.stringify(registryEndpoints)}`, () => {
        const elsewhere = useRegistry(storage, { settings: { registryEndpoints } });
        it('is sent as X-Docker-Endpoints', async () => {
          const repository = newRepository();
          const put = await elsewhere.send('PUT', `/v1/repositories/${repository}/`, { body: '[]' });
          const got = await elsewhere.send('GET', `/v1/repositories/${repository}/images`);
          for (const answer of [put, got]) assert.equal(answer.lines('X-Docker-Endpoints').join(', '), 'r1:5000, r2');
        });
      });
    }

    it('concurrent pushes lose no entries', async () => {
      const repository = newRepository();
      const ids = Array.from({ length: 10 }, (_, index) => `image${index}`);
      const answers = await Promise.all(ids.map((id) => announce(repository, JSON.stringify([{ id }]))));
      assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
      assert.deepEqual((await imagesOf(repository)).map(({ id }) => id).toSorted(), ids);
    });

    it('after a push no entry has a Tag, which would make Docker fetch an image that no tag names', async () => {
      const repository = newRepository();
      const image = newImage();
      await new V1Client(registry.url).push(repository, [image], { latest: image.id });
      assert.deepEqual(await imagesOf(repository), [{ id: image.id }]);
    });
  });
}

function assertToken(answer: Answer, repository: string, access: string): void {
  const [token] = answer.lines('X-Docker-Token');
  assert.match(token ?? '', new RegExp(`^Token signature=[A-Z0-9]{16},repository="${repository}",access=${access}$`));
  assert.deepEqual(answer.lines('WWW-Authenticate'), [token]);
}
