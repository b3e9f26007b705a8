import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { layout, parseRepositoryRecord, type TagMove } from '../../../lib/model/layout.ts';
import { parseDigest, parseRepositoryName, parseTag, type Tag } from '../../../lib/model/names.ts';
import { TagHistory } from '../../../lib/registry/history/tag-history.ts';
import { targetOf } from '../../../lib/registry/tags/target.ts';
import type { OpenedStorage } from '../../storage/open.ts';
import { type RegistryServer, startRegistry } from '../../support/registry-server.ts';
import { V1Client } from '../../support/v1-client.ts';
import { newImage } from '../../v1/use-registry.ts';
import { digestOf, V2Client } from '../../v2/client.ts';
import { pushImage } from '../../v2/image.ts';

/** Every way to move a tag leaves one entry in its history. */
export function movesSuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`the history of tags on ${name}`, () => {
    let storage: OpenedStorage;
    let server: RegistryServer;
    let client: V2Client;
    let history: TagHistory;
    before(async () => {
      storage = await open();
      server = await startRegistry(storage.driver);
      client = new V2Client(server.url);
      history = new TagHistory(storage.driver, { background: undefined });
    });
    after(async () => {
      await server.stop();
      await storage.close();
    });

    const movesOf = async (repository: string, tag: string) => {
      await server.idle();
      const { moves } = await history.list(parseRepositoryName(repository), tag as Tag, { size: 1000 });
      return moves;
    };
    /** From what to what, oldest first. */
    const targetsOf = async (repository: string, tag: string) =>
      (await movesOf(repository, tag)).toReversed().map(({ from, to }) => [from?.digest, to?.digest]);
    const entriesOf = async (repository: string) => {
      await server.idle();
      const objects = await Array.fromAsync(
        storage.driver.list(layout.repositoryHistory(parseRepositoryName(repository))),
      );
      return objects.map(({ key }) => key);
    };

    it('has an entry for each push that moves a tag, with the caller, the time, and both targets', async () => {
      const startedMs = Date.now();
      const first = await pushImage(client, 'moves/three/parts', '1.0', { contents: ['first'] });
      const second = await pushImage(client, 'moves/three/parts', '1.0', { contents: ['second'] });
      const [newest, oldest] = await movesOf('moves/three/parts', '1.0');
      assert.deepEqual(
        [newest?.from?.digest, newest?.to?.digest, newest?.by],
        [first.digest, second.digest, 'anonymous'],
      );
      assert.deepEqual([oldest?.from, oldest?.to?.digest, oldest?.by], [undefined, first.digest, 'anonymous']);
      assert.ok(oldest && newest && startedMs <= oldest.at.getTime() && oldest.at < newest.at);
    });

    it('has an entry for each tag of a push with several', async () => {
      const { digest, manifest } = await pushImage(client, 'moves/several', undefined, { contents: ['several'] });
      await client.pushManifest('moves/several', `${digest}?tag=a&tag=b`, manifest);
      for (const tag of ['a', 'b']) assert.deepEqual(await targetsOf('moves/several', tag), [[undefined, digest]]);
    });

    it('shows a repeated push of the same manifest once, at its first time', async () => {
      const { digest, manifest } = await pushImage(client, 'moves/again', 'latest', { contents: ['again'] });
      const [first] = await movesOf('moves/again', 'latest');
      await client.pushManifest('moves/again', 'latest', manifest);
      assert.deepEqual(await targetsOf('moves/again', 'latest'), [[undefined, digest]]);
      assert.deepEqual((await movesOf('moves/again', 'latest'))[0]?.at, first?.at);
    });

    it('has an entry for the deletion of a tag by either protocol, and none for a tag that is not there', async () => {
      for (const path of ['/v1/repositories/moves/deleted/tags/latest', '/v2/moves/deleted/manifests/latest']) {
        const { digest } = await pushImage(client, 'moves/deleted', 'latest', { contents: [path] });
        assert.ok([200, 202].includes((await client.send('DELETE', path)).status));
        assert.equal((await client.send('DELETE', path)).status, 404);
        assert.deepEqual((await targetsOf('moves/deleted', 'latest')).slice(-2), [
          [undefined, digest],
          [digest, undefined],
        ]);
      }
      assert.equal((await entriesOf('moves/deleted')).length, 4);
    });

    it('has an entry for each tag that is deleted with its manifest', async () => {
      const { digest, manifest } = await pushImage(client, 'moves/manifest', 'a', { contents: ['manifest'] });
      await client.pushManifest('moves/manifest', 'b', manifest);
      await pushImage(client, 'moves/manifest', 'stays', { contents: ['stays'] });
      assert.equal((await client.send('DELETE', `/v2/moves/manifest/manifests/${digest}`)).status, 202);
      for (const tag of ['a', 'b']) {
        assert.deepEqual((await targetsOf('moves/manifest', tag)).at(-1), [digest, undefined]);
      }
      assert.equal((await entriesOf('moves/manifest')).length, 5);
    });

    it('outlives the repository, with an entry for each of its tags', async () => {
      const { digest } = await pushImage(client, 'moves/repository', 'a', { contents: ['repository'] });
      const image = newImage();
      await new V1Client(server.url).push('moves/repository', [image], { b: image.id });
      await server.idle();
      assert.equal((await client.send('DELETE', '/v1/repositories/moves/repository/')).status, 200);
      assert.deepEqual((await targetsOf('moves/repository', 'a')).at(-1), [digest, undefined]);
      assert.deepEqual((await targetsOf('moves/repository', 'b')).at(-1), [`sha256:${image.id}`, undefined]);
      assert.equal((await client.send('DELETE', '/v1/repositories/moves/repository/')).status, 404);
      assert.equal((await client.send('GET', '/v2/moves/repository/tags/list')).status, 404);
    });

    it('has an entry for a v1 push, for an image that v1 tags again, and for a copy into another repository', async () => {
      const image = newImage();
      await new V1Client(server.url).push('moves/v1', [image], { latest: image.id });
      assert.deepEqual(await targetsOf('moves/v1', 'latest'), [[undefined, `sha256:${image.id}`]]);
      const { digest } = await pushImage(client, 'moves/source', 'latest', { contents: ['projected'] });
      await server.idle();
      for (const repository of ['moves/source', 'moves/copy']) {
        const body = JSON.stringify(digest.slice('sha256:'.length));
        const put = await client.send('PUT', `/v1/repositories/${repository}/tags/more`, { body });
        assert.equal(put.status, 200);
        assert.deepEqual(await targetsOf(repository, 'more'), [[undefined, digest]]);
      }
    });

    it('names SHA-512 digests and short image ids, and tags that are no names of folders', async () => {
      const repository = parseRepositoryName('moves/names');
      const sha512 = parseDigest(digestOf('x', 'sha512'));
      const short = targetOf('sha256:0123456789abcdef' as typeof sha512);
      for (const tag of ['.', '..', '%2E', '.x', 'a b+c', '_']) {
        await history.record(repository, { tag: tag as Tag, to: targetOf(sha512), by: 'a' });
        await history.record(repository, { tag: tag as Tag, to: short, by: 'a' });
        assert.deepEqual((await targetsOf('moves/names', tag)).at(-1), [sha512, short.digest], tag);
      }
      assert.equal((await Array.fromAsync(history.newestOfEachTag(repository))).length, 6);
    });

    it('gives moves of one process within one millisecond different times', async () => {
      const repository = parseRepositoryName('moves/fast');
      const tag = parseTag('latest');
      const digests = Array.from({ length: 50 }, (_, index) => parseDigest(digestOf(`fast ${index}`)));
      await Promise.all(digests.map((digest) => history.record(repository, { tag, to: targetOf(digest), by: 'a' })));
      const targets = (await targetsOf('moves/fast', 'latest')).map(([, to]) => to);
      assert.deepEqual(targets, digests);
    });

    it('keeps both of two pushes by two processes at the same millisecond', async () => {
      const repository = parseRepositoryName('moves/race');
      const tag = parseTag('latest');
      const other = new TagHistory(storage.driver, { background: undefined });
      const digests = ['one', 'other'].map((text) => parseDigest(digestOf(text)));
      const now = Date.now;
      const frozen = now();
      try {
        Date.now = () => frozen;
        await Promise.all(
          [history, other].map((each, index) =>
            each.record(repository, { tag, to: targetOf(digests[index] ?? assert.fail()), by: `${index}` }),
          ),
        );
      } finally {
        Date.now = now;
      }
      const targets = (await movesOf('moves/race', 'latest')).map(({ to }) => to?.digest);
      assert.deepEqual(targets.toSorted(), digests.toSorted());
    });

    it('gives 1,500 entries in pages, and the newest of each tag', async () => {
      const repository = parseRepositoryName('moves/many');
      const [tag, old] = [parseTag('many'), parseTag('old')];
      const total = name === 'files' ? 150 : 1500; // fewer: each written file is synced
      const move = (index: number): TagMove => ({
        tag,
        atMs: 1_700_000_000_000 + index,
        target: `sha256-${digestOf(`${index >> 1}`).slice(7)}`,
      });
      const keys = Array.from({ length: total }, (_, index) => layout.historyEntry(repository, move(index)));
      keys.push(layout.historyEntry(repository, { tag: old, atMs: 1_600_000_000_000, target: 'deleted' }));
      for (let at = 0; at < keys.length; at += 50) {
        await Promise.all(keys.slice(at, at + 50).map((key) => storage.driver.put(key, Buffer.from('{"by":"a"}'))));
      }
      const pages: number[] = [];
      const seen: (string | undefined)[] = [];
      let after: string | undefined;
      do {
        const page = await history.list(repository, tag, { after, size: 70 });
        pages.push(page.moves.length);
        seen.push(...page.moves.map(({ to }) => to?.digest));
        for (const [index, { from }] of page.moves.entries())
          if (index + 1 < page.moves.length) assert.deepEqual(from, page.moves[index + 1]?.to);
        after = page.next;
      } while (after !== undefined);
      const expected = Array.from({ length: total / 2 }, (_, index) => digestOf(`${total / 2 - 1 - index}`));
      assert.deepEqual(seen, expected);
      assert.deepEqual(
        pages.slice(0, -1),
        Array.from({ length: Math.ceil(total / 2 / 70) - 1 }, () => 70),
      );
      const newest = await Array.fromAsync(history.newestOfEachTag(repository));
      assert.deepEqual(Object.fromEntries(newest.map((found) => [found.tag, found])), {
        many: move(total - 1),
        old: { tag: 'old', atMs: 1_600_000_000_000, target: 'deleted' },
      });
      assert.equal((await entriesOf('moves/many')).filter((key) => !parseRepositoryRecord(key)).length, 0);
    });

    it('is written before the answer by a process without background work', async () => {
      const lambda = await startRegistry(storage.driver, { runsBackgroundWork: false });
      const { digest } = await pushImage(new V2Client(lambda.url), 'moves/lambda', 'latest', { contents: ['lambda'] });
      assert.equal((await entriesOf('moves/lambda')).length, 1);
      assert.equal((await client.send('DELETE', `/v2/moves/lambda/manifests/${digest}`)).status, 202);
      await lambda.stop();
    });
  });
}
