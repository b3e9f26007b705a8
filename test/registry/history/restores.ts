import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { immutabilityOf } from '../../../lib/config/immutable-tags.ts';
import { layout } from '../../../lib/model/layout.ts';
import { parseDigest, parseRepositoryName, parseTag } from '../../../lib/model/names.ts';
import { condemnedBy, encodeCondemnedManifest } from '../../../lib/registry/condemned/condemned.ts';
import type { OpenedStorage } from '../../storage/open.ts';
import { startRegistry } from '../../support/registry-server.ts';
import { V1Client } from '../../support/v1-client.ts';
import { newImage } from '../../v1/use-registry.ts';
import { codesOf, digestOf, V2Client } from '../../v2/client.ts';
import { pushImage } from '../../v2/image.ts';
import { useInterceptedRegistry } from '../intercepted-registry.ts';

type Move = { entry: string; at: string; by: string | null; from: string | null; to: string | null };

/** What the history of a tag shows can be brought back, over HTTP. */
export function restoreSuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`the restoration of a tag on ${name}`, () => {
    const registry = useInterceptedRegistry(open);
    const urlOf = (repository: string, tag: string) =>
      `/v2/_stowage/history/${repository}?tag=${encodeURIComponent(tag)}`;
    const movesOf = async (repository: string, tag: string) => {
      const response = await registry().client.send('GET', urlOf(repository, tag));
      assert.equal(response.status, 200);
      return ((await response.json()) as { moves: Move[] }).moves;
    };
    const restore = (repository: string, tag: string, choice?: object) =>
      registry().client.send('POST', urlOf(repository, tag), choice ? { body: JSON.stringify(choice) } : {});
    const manifestOf = async (repository: string, reference: string) => {
      const response = await registry().client.send('GET', `/v2/${repository}/manifests/${reference}`);
      return response.status === 200 ? Buffer.from(await response.arrayBuffer()) : response.status;
    };

    it('brings an overwritten and deleted tag back byte for byte, in a repository with three parts', async () => {
      const { client } = registry();
      const repository = 'prod/team/app';
      const first = await pushImage(client, repository, '1.0', { contents: ['first'] });
      const bytes = await manifestOf(repository, '1.0');
      const second = await pushImage(client, repository, '1.0', { contents: ['second'] });
      assert.equal((await client.send('DELETE', `/v2/${repository}/manifests/1.0`)).status, 202);
      assert.equal(await manifestOf(repository, '1.0'), 404);

      const moves = await movesOf(repository, '1.0');
      assert.deepEqual(
        moves.map(({ by, from, to }) => [by, from, to]),
        [
          ['anonymous', second.digest, null],
          ['anonymous', first.digest, second.digest],
          ['anonymous', null, first.digest],
        ],
      );
      assert.ok(moves.every(({ at }) => Math.abs(Date.now() - Date.parse(at)) < 60_000));

      const restored = await restore(repository, '1.0', { digest: first.digest });
      assert.equal(restored.status, 201);
      assert.equal(restored.headers.get('Docker-Content-Digest'), first.digest);
      assert.match(restored.headers.get('Location') ?? '', /\/v2\/prod\/team\/app\/manifests\/sha256:/);
      assert.deepEqual(await restored.json(), { name: repository, tag: '1.0', from: null, to: first.digest });
      assert.deepEqual(await manifestOf(repository, '1.0'), bytes);
      assert.deepEqual((await movesOf(repository, '1.0'))[0]?.to, first.digest);
    });

    it('without a choice undoes the last move, and undoes that again', async () => {
      const { client } = registry();
      const old = await pushImage(client, 'undo/app', 'latest', { contents: ['old'] });
      const later = await pushImage(client, 'undo/app', 'latest', { contents: ['later'] });
      for (const { digest } of [old, later, old]) {
        assert.equal((await restore('undo/app', 'latest')).status, 201);
        assert.equal(digestOf((await manifestOf('undo/app', 'latest')) as Buffer), digest);
      }
      await client.send('DELETE', '/v2/undo/app/manifests/latest');
      assert.equal((await restore('undo/app', 'latest')).headers.get('Docker-Content-Digest'), old.digest);
    });

    it('takes an entry or a time, and none of a deletion', async () => {
      const { client } = registry();
      const old = await pushImage(client, 'choose/app', 'latest', { contents: ['old'] });
      const later = await pushImage(client, 'choose/app', 'latest', { contents: ['later'] });
      await client.send('DELETE', '/v2/choose/app/manifests/latest');
      const [deletion, second, first] = await movesOf('choose/app', 'latest');
      assert.ok(deletion && second && first);
      for (const [choice, digest] of [
        [{ entry: first.entry }, old.digest],
        [{ entry: second.entry }, later.digest],
        [{ at: first.at }, old.digest],
        [{ at: second.at }, later.digest],
      ] as const) {
        assert.equal((await restore('choose/app', 'latest', choice)).headers.get('Docker-Content-Digest'), digest);
      }
      for (const choice of [{ entry: deletion.entry }, { entry: `${deletion.entry}0` }, { digest: digestOf('none') }]) {
        const refused = await restore('choose/app', 'latest', choice);
        assert.equal(refused.status, 404, JSON.stringify(choice));
        assert.deepEqual(await codesOf(refused), ['MANIFEST_UNKNOWN']);
      }
      assert.equal((await restore('choose/app', 'latest', { at: '2020-01-01T00:00:00Z' })).status, 404);
    });

    it('refuses a malformed choice, tag or name, other methods, and a tag without a history', async () => {
      const { client } = registry();
      await pushImage(client, 'refused/app', 'latest', { contents: ['x'] });
      for (const choice of [[], { digest: 'x' }, { at: 'yesterday' }, { to: 1 }])
        assert.equal((await restore('refused/app', 'latest', choice)).status, 400, JSON.stringify(choice));
      assert.equal((await client.send('GET', '/v2/_stowage/history/refused/app')).status, 400);
      assert.equal((await client.send('GET', '/v2/_stowage/history/Refused/app?tag=latest')).status, 400);
      assert.equal((await client.send('GET', '/v2/_stowage/history/?tag=latest')).status, 404);
      const put = await client.send('PUT', urlOf('refused/app', 'latest'), { body: '{}' });
      assert.deepEqual([put.status, put.headers.get('Allow')], [405, 'GET, POST']);
      assert.equal(
        (await client.send('OPTIONS', urlOf('refused/app/tags/x', 'latest'))).headers.get('Allow'),
        'GET, HEAD, POST, OPTIONS',
      );
      assert.equal((await client.send('HEAD', urlOf('refused/app', 'latest'))).status, 200);
      assert.deepEqual(await movesOf('refused/app', 'none'), []);
      assert.equal((await restore('refused/app', 'none')).status, 404);
    });

    it('is refused where the manifest or a blob of it is gone, and says so', async () => {
      const { client } = registry();
      const { digest, manifest } = await pushImage(client, 'gone/app', 'latest', { contents: ['gone'] });
      const [layer] = (manifest as { layers: { digest: string }[] }).layers;
      await client.send('DELETE', '/v2/gone/app/manifests/latest');
      await client.send('DELETE', `/v2/gone/app/blobs/${layer?.digest}`);
      const withoutBlob = await restore('gone/app', 'latest');
      assert.equal(withoutBlob.status, 400);
      assert.deepEqual(await codesOf(withoutBlob), ['MANIFEST_BLOB_UNKNOWN']);
      await client.send('DELETE', `/v2/gone/app/manifests/${digest}`);
      const withoutManifest = await restore('gone/app', 'latest');
      assert.equal(withoutManifest.status, 404);
      assert.deepEqual(await codesOf(withoutManifest), ['MANIFEST_UNKNOWN']);
      assert.equal(await manifestOf('gone/app', 'latest'), 404);
    });

    it('makes a manifest live that the collector has condemned', async () => {
      const { client, storage } = registry();
      const { digest } = await pushImage(client, 'condemned/app', 'latest', { contents: ['condemned'] });
      const bytes = (await manifestOf('condemned/app', 'latest')) as Buffer;
      await client.send('DELETE', '/v2/condemned/app/manifests/latest');
      const key = layout.manifest(parseRepositoryName('condemned/app'), parseDigest(digest));
      await storage.put(key, encodeCondemnedManifest(bytes, condemnedBy('a run')));
      assert.equal((await restore('condemned/app', 'latest')).status, 201);
      assert.deepEqual(Buffer.from((await storage.read(key))?.bytes ?? []), bytes);
    });

    it('gives way to a push in between', async () => {
      const { client, interceptor } = registry();
      await pushImage(client, 'race/app', 'latest', { contents: ['old'] });
      await pushImage(client, 'race/app', 'latest', { contents: ['later'] });
      const pushed = await pushImage(client, 'race/app', 'next', { contents: ['pushed'] });
      const key = layout.tag(parseRepositoryName('race/app'), parseTag('latest'));
      interceptor.before(
        'put',
        (written) => written === key,
        () => client.pushManifest('race/app', 'latest', pushed.manifest),
      );
      const refused = await restore('race/app', 'latest');
      assert.equal(refused.status, 412);
      assert.deepEqual(await codesOf(refused), ['PRECONDITION_FAILED']);
      assert.equal(digestOf((await manifestOf('race/app', 'latest')) as Buffer), pushed.digest);
    });

    it('does not move an immutable tag, but sets a deleted one again', async () => {
      const { client, storage } = registry();
      const old = await pushImage(client, 'fixed/app', 'v1', { contents: ['old'] });
      const later = await pushImage(client, 'fixed/app', 'v1', { contents: ['later'] });
      const isImmutable = immutabilityOf([{ repositories: 'fixed/*', tags: 'v*' }]);
      const server = await startRegistry(storage, { isImmutable, runsBackgroundWork: false });
      const other = new V2Client(server.url);
      const body = JSON.stringify({ digest: old.digest });
      assert.equal((await other.send('POST', urlOf('fixed/app', 'v1'), { body })).status, 403);
      assert.equal((await other.send('DELETE', '/v2/fixed/app/manifests/v1')).status, 202);
      const restored = await other.send('POST', urlOf('fixed/app', 'v1'));
      assert.equal(restored.headers.get('Docker-Content-Digest'), later.digest);
      await server.stop();
    });

    it('brings back the tag of a v1 image, also one that docker-registry wrote', async () => {
      const { client, storage, url } = registry();
      const v1 = new V1Client(url);
      for (const isOfDockerRegistry of [false, true]) {
        const repository = `old/${isOfDockerRegistry}`;
        const base = newImage();
        const top = newImage({ parent: base });
        await v1.push(repository, [base, top], { latest: top.id });
        if (isOfDockerRegistry) {
          for (const { id } of [base, top])
            for await (const { key } of storage.list(layout.imageRecords(id as never))) await storage.delete(key);
          for await (const { key } of storage.list(layout.ociRepository(parseRepositoryName(repository))))
            await storage.delete(key);
        }
        assert.equal((await client.send('DELETE', `/v1/repositories/${repository}/tags/latest`)).status, 200);
        const restored = await restore(repository, 'latest');
        assert.equal(restored.status, 201, await restored.clone().text());
        assert.equal(((await restored.json()) as Move).to, `sha256:${top.id}`);
        assert.deepEqual(
          (await v1.pull(repository, 'latest')).map(({ id }) => id),
          [base.id, top.id],
        );
      }
    });

    it('gives no right to an image that was pushed under the id of a deleted manifest', async () => {
      const { client, url } = registry();
      const { digest } = await pushImage(client, 'ids/app', 'latest', { contents: ['ids'] });
      assert.equal((await client.send('DELETE', `/v2/ids/app/manifests/${digest}`)).status, 202);
      const image = newImage({ id: digest.slice('sha256:'.length) });
      await new V1Client(url).push('ids/other', [image], { latest: image.id });
      assert.equal((await restore('ids/app', 'latest')).status, 404);
      assert.equal((await client.send('GET', '/v1/repositories/ids/app/tags/latest')).status, 404);
    });

    it('brings back a tag of a SHA-512 digest', async () => {
      const { client } = registry();
      const { manifest } = await pushImage(client, 'sha512/app', undefined, { contents: ['sha512'] });
      const digest = digestOf(JSON.stringify(manifest), 'sha512');
      assert.equal((await client.pushManifest('sha512/app', `${digest}?tag=latest`, manifest)).status, 201);
      assert.equal((await client.send('DELETE', '/v2/sha512/app/manifests/latest')).status, 202);
      assert.equal((await restore('sha512/app', 'latest')).headers.get('Docker-Content-Digest'), digest);
      assert.equal(((await manifestOf('sha512/app', 'latest')) as Buffer).toString(), JSON.stringify(manifest));
    });

    it('shows the history in pages, with a link to the next', async () => {
      const { client } = registry();
      const digests: string[] = [];
      for (let each = 0; each < 5; each++)
        digests.unshift((await pushImage(client, 'pages/app', 'a_b', { contents: [`${each}`] })).digest);
      const seen: (string | null)[] = [];
      let next: string | undefined = `${urlOf('pages/app', 'a_b')}&n=2`;
      let pages = 0;
      while (next) {
        const page: Response = await client.send('GET', next);
        seen.push(...((await page.json()) as { moves: Move[] }).moves.map(({ to }) => to));
        next = /<(.+)>; rel="next"/.exec(page.headers.get('Link') ?? '')?.[1];
        pages++;
      }
      assert.deepEqual([seen, pages], [digests, 3]);
    });
  });
}
