import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { DAY_MS } from '../../../lib/model/duration.ts';
import { layout } from '../../../lib/model/layout.ts';
import { parseDigest, parseRepositoryName, parseTag } from '../../../lib/model/names.ts';
import { assembleRegistry } from '../../../lib/registry/registry.ts';
import type { PlannedTag, PlanRecord } from '../../../lib/registry/retention/plan-record.ts';
import type { Retention } from '../../../lib/registry/retention/retention.ts';
import type { OpenedStorage } from '../../storage/open.ts';
import { type RegistryServer, startRegistry } from '../../support/registry-server.ts';
import { V2Client } from '../../v2/client.ts';
import { type PushedImage, pushImage } from '../../v2/image.ts';
import { Interceptor } from '../interceptor.ts';
import { retentionBy } from './settings.ts';

const MEDIA_TYPE = 'application/vnd.oci.image.index.v1+json';
const isImmutable = (_repository: string, tag?: string) => tag === undefined || tag.startsWith('fixed');

export function retentionSuite(name: string, open: () => Promise<OpenedStorage>): void {
  describe(`on ${name}, retention`, () => {
    let storage: OpenedStorage;
    let interceptor: Interceptor;
    let server: RegistryServer;
    let client: V2Client;
    let count = 0;
    before(async () => {
      storage = await open();
      interceptor = new Interceptor(storage.driver);
      server = await startRegistry(storage.driver, { runsBackgroundWork: false });
      client = new V2Client(server.url);
    });
    after(async () => {
      await server.stop();
      await storage.close();
    });

    /** A repository of its own for each test. */
    const newRepository = () => `retention${++count}/app`;

    const retentionFor = (rules: string, driver = interceptor.driver): Retention =>
      assembleRegistry(driver, { copiesLayers: false, isImmutable, retention: retentionBy(rules) }).retention;

    const push = (repository: string, tag: string, content = tag): Promise<PushedImage> =>
      pushImage(client, repository, tag, { contents: [content] });

    /** Dates the last move of a tag. */
    const date = async (repository: string, tag: string, digest: string, daysAgo: number) => {
      const target = digest.replace(':', '-');
      const move = { tag: parseTag(tag), atMs: Date.now() - daysAgo * DAY_MS, target };
      const found = [];
      const folder = layout.tagHistory(parseRepositoryName(repository), parseTag(tag));
      for await (const { key } of storage.driver.list(folder)) found.push(key);
      for (const key of found) await storage.driver.delete(key);
      await storage.driver.put(layout.historyEntry(parseRepositoryName(repository), move), new Uint8Array());
    };

    const linesOf = async (retention: Retention, plan: PlanRecord): Promise<PlannedTag[]> =>
      await Array.fromAsync(retention.plans.tagsOf(plan));

    const reasonsOf = async (retention: Retention, plan: PlanRecord) =>
      Object.fromEntries(
        (await linesOf(retention, plan)).map(({ tag, verdict, reason }) => [tag, `${verdict}: ${reason}`]),
      );

    const tagsOf = async (repository: string): Promise<string[]> => {
      const answer = await client.send('GET', `/v2/${repository}/tags/list`);
      return answer.status === 404 ? [] : ((await answer.json()) as { tags: string[] }).tags;
    };

    const keepLast = (repository: string, last = 1) => `[{repositories: '${repository}', keep: {last: ${last}}}]`;

    it('lists what the rules say of each tag, and deletes nothing before the plan is applied', async () => {
      const repository = newRepository();
      for (const [index, tag] of ['a', 'b', 'c'].entries()) {
        const { digest } = await push(repository, tag);
        await date(repository, tag, digest, index);
      }
      const retention = retentionFor(keepLast(repository));
      const plan = await retention.plan({ by: 'alice' });
      assert.deepEqual(await reasonsOf(retention, plan), {
        a: 'keep: rule 1: newest',
        b: 'delete: rule 1: 2nd newest',
        c: 'delete: rule 1: 3rd newest',
      });
      assert.deepEqual(plan.counts, { repositories: 1, tags: 3, listed: 3, keep: 1, delete: 2 });
      assert.deepEqual(await tagsOf(repository), ['a', 'b', 'c']);

      const applied = await retention.apply(plan.id, { by: 'bob' });
      assert.deepEqual(await tagsOf(repository), ['a']);
      const { done, skipped, by } = applied.applied ?? {};
      assert.deepEqual({ done, skipped, by }, { done: 2, skipped: [], by: 'bob' });
      assert.deepEqual((await retention.plans.read(plan.id)).record, applied);
      assert.ok((await retention.plans.list()).some(({ id }) => id === plan.id));
    });

    it('leaves repositories and tags alone that no rule matches', async () => {
      const [repository, other] = [newRepository(), newRepository()];
      await push(repository, 'pr-1');
      await push(repository, 'main');
      await push(other, 'pr-1');
      const retention = retentionFor(`[{repositories: '${repository}', tags: ['pr-*'], keep: {last: 1}}]`);
      const plan = await retention.plan({ by: 'alice' });
      assert.deepEqual(await reasonsOf(retention, plan), { 'pr-1': 'keep: rule 1: newest' });
      assert.deepEqual(plan.counts, { repositories: 1, tags: 2, listed: 1, keep: 1, delete: 0 });
    });

    it('without rules reads no repository', async () => {
      const retention = assembleRegistry(interceptor.driver, { copiesLayers: false }).retention;
      const plan = await retention.plan({ by: 'alice' });
      assert.deepEqual(plan.counts, { repositories: 0, tags: 0, listed: 0, keep: 0, delete: 0 });
    });

    it('counts the age of a tag from its last move, and a push of another image is one', async () => {
      const repository = newRepository();
      const old = await push(repository, 'moved', 'old');
      await date(repository, 'moved', old.digest, 40);
      const kept = await push(repository, 'stale');
      await date(repository, 'stale', kept.digest, 40);
      const { manifest } = await push(repository, 'new');
      await client.pushManifest(repository, 'moved', manifest);
      const retention = retentionFor(`[{repositories: '${repository}', keep: {newer: 30d}}]`);
      assert.deepEqual(await reasonsOf(retention, await retention.plan({ by: 'alice' })), {
        moved: 'keep: rule 1: newer than 30d',
        new: 'keep: rule 1: newer than 30d',
        stale: 'delete: rule 1: not newer than 30d',
      });
    });

    it('never deletes immutable tags, also if they are immutable only by the time the plan is applied', async () => {
      const repository = newRepository();
      const first = await push(repository, 'fixed-1');
      await date(repository, 'fixed-1', first.digest, 9);
      const second = await push(repository, 'other');
      await date(repository, 'other', second.digest, 1);
      const rules = keepLast(repository);
      const immutable = retentionFor(rules);
      assert.deepEqual(await reasonsOf(immutable, await immutable.plan({ by: 'alice' })), {
        'fixed-1': 'keep: immutable',
        other: 'keep: rule 1: newest',
      });
      const mutable = assembleRegistry(storage.driver, {
        copiesLayers: false,
        retention: retentionBy(rules),
      }).retention;
      const plan = await mutable.plan({ by: 'alice' });
      assert.equal(plan.counts.delete, 1);
      const { applied } = await immutable.apply(plan.id, { by: 'alice' });
      assert.deepEqual(applied?.skipped, [{ repository, tag: 'fixed-1', why: 'it is immutable' }]);
      assert.deepEqual(await tagsOf(repository), ['fixed-1', 'other']);
    });

    describe('applied after a move', () => {
      it('leaves a tag that names another image by now, and names it', async () => {
        const repository = newRepository();
        const old = await push(repository, 'a');
        await date(repository, 'a', old.digest, 9);
        await push(repository, 'b');
        const retention = retentionFor(keepLast(repository));
        const plan = await retention.plan({ by: 'alice' });
        const moved = await push(repository, 'a', 'new');
        const { applied } = await retention.apply(plan.id, { by: 'alice' });
        const why = `it names ${moved.digest} by now`;
        assert.deepEqual(applied?.skipped, [{ repository, tag: 'a', why }]);
        assert.equal(applied?.done, 0);
        assert.deepEqual(await tagsOf(repository), ['a', 'b']);
      });

      it('leaves a tag that was pushed again with the same image', async () => {
        const repository = newRepository();
        const old = await push(repository, 'a');
        await date(repository, 'a', old.digest, 9);
        await push(repository, 'b');
        const retention = retentionFor(keepLast(repository));
        const plan = await retention.plan({ by: 'alice' });
        await new Promise((resolve) => setTimeout(resolve, 1100)); // headers tell LastModified to the second
        await client.pushManifest(repository, 'a', old.manifest);
        const { applied } = await retention.apply(plan.id, { by: 'alice' });
        assert.deepEqual(applied?.skipped, [{ repository, tag: 'a', why: 'it was pushed again' }]);
        assert.deepEqual(await tagsOf(repository), ['a', 'b']);
      });

      it('leaves a tag that is moved between the check and the deletion', async () => {
        const repository = newRepository();
        const old = await push(repository, 'a');
        await date(repository, 'a', old.digest, 9);
        const { manifest } = await push(repository, 'b');
        const retention = retentionFor(keepLast(repository));
        const plan = await retention.plan({ by: 'alice' });
        const key = layout.tag(parseRepositoryName(repository), parseTag('a'));
        interceptor.before(
          'delete',
          (deleted) => deleted === key,
          () => client.pushManifest(repository, 'a', manifest),
        );
        const { applied } = await retention.apply(plan.id, { by: 'alice' });
        assert.deepEqual(applied?.skipped, [{ repository, tag: 'a', why: 'it has just moved' }]);
        assert.deepEqual(await tagsOf(repository), ['a', 'b']);
      });
    });

    it('goes on with an application that was broken off', async () => {
      const repositories = ['broken1/app', 'broken2/app', 'broken3/app'];
      for (const repository of repositories) {
        const { digest } = await push(repository, 'old');
        await date(repository, 'old', digest, 9);
        await push(repository, 'new');
      }
      const rules = "[{repositories: 'broken*/app', keep: {last: 1}}]";
      const plan = await retentionFor(rules).plan({ by: 'alice' });
      const second = layout.tag(parseRepositoryName(repositories[1] ?? ''), parseTag('old'));
      const fail = (deleted: string) => deleted === second;
      interceptor.before('delete', fail, () => Promise.reject(new Error('broken off')));
      await assert.rejects(retentionFor(rules).apply(plan.id, { by: 'alice' }), /broken off/);
      const { applied } = await retentionFor(rules).apply(plan.id, { by: 'alice' });
      assert.equal((applied?.done ?? 0) + (applied?.skippedCount ?? 0), 3);
      for (const repository of repositories) assert.deepEqual(await tagsOf(repository), ['new']);
    });

    it('reports a plan that another process carries out', async () => {
      const repository = newRepository();
      const { digest } = await push(repository, 'a');
      await date(repository, 'a', digest, 9);
      await push(repository, 'b');
      const retention = retentionFor(keepLast(repository));
      const plan = await retention.plan({ by: 'alice' });
      const key = layout.tag(parseRepositoryName(repository), parseTag('a'));
      interceptor.before(
        'delete',
        (deleted) => deleted === key,
        () => retentionFor(keepLast(repository), storage.driver).apply(plan.id, { by: 'bob' }),
      );
      await assert.rejects(retention.apply(plan.id, { by: 'alice' }), /another process carries out plan/);
      assert.ok((await retention.plans.read(plan.id)).record.applied?.finishedAt);
      assert.deepEqual(await tagsOf(repository), ['b']);
    });

    it('refuses plans that do not exist, and names that are no plans', async () => {
      const retention = retentionFor(keepLast('x/y'));
      for (const id of ['20260101T000000000Z-00000000', '../layout', '']) {
        await assert.rejects(retention.plans.read(id), { code: 'PLAN_UNKNOWN' });
        await assert.rejects(retention.apply(id, { by: 'alice' }), { code: 'PLAN_UNKNOWN' });
      }
    });

    it('undone, restores what it has deleted, but no tag that was set or deleted since', async () => {
      const repository = newRepository();
      const images: PushedImage[] = [];
      for (const [index, tag] of ['a', 'b', 'c', 'd'].entries()) {
        const image = await push(repository, tag);
        images.push(image);
        await date(repository, tag, image.digest, 9 - index);
      }
      const [a] = images;
      const sig = `${a?.digest.replace(':', '-')}.sig`;
      await push(repository, sig);
      const retention = retentionFor(keepLast(repository));
      const plan = await retention.plan({ by: 'alice' });
      await assert.rejects(retention.undo(plan.id, { by: 'bob' }), { code: 'UNSUPPORTED' });
      await retention.apply(plan.id, { by: 'alice' });
      assert.deepEqual(await tagsOf(repository), ['d']);

      await push(repository, 'b', 'set again');
      await push(repository, 'c', 'set again');
      await client.send('DELETE', `/v2/${repository}/manifests/c`);
      const { undone } = await retention.undo(plan.id, { by: 'bob' });
      assert.deepEqual(await tagsOf(repository), ['a', 'b', 'd', sig].sort());
      const answer = await client.send('GET', `/v2/${repository}/manifests/a`);
      assert.equal(answer.headers.get('Docker-Content-Digest'), a?.digest);
      assert.equal(undone?.done, 2);
      assert.deepEqual(undone?.skipped, [
        { repository, tag: 'b', why: 'there is such a tag' },
        { repository, tag: 'c', why: 'anonymous has deleted it' },
      ]);
      await assert.rejects(retention.apply(plan.id, { by: 'bob' }), { code: 'UNSUPPORTED' });
    });

    it('tells the history which plan has deleted a tag', async () => {
      const repository = newRepository();
      const { digest } = await push(repository, 'a');
      await date(repository, 'a', digest, 9);
      await push(repository, 'b');
      const { retention, history } = assembleRegistry(interceptor.driver, {
        copiesLayers: false,
        retention: retentionBy(keepLast(repository)),
      });
      const { id } = await retention.plan({ by: 'alice' });
      await retention.apply(id, { by: 'alice' });
      const { moves } = await history.list(parseRepositoryName(repository), parseTag('a'), { size: 1 });
      assert.equal(moves[0]?.by, `retention plan ${id}`);
      assert.equal(moves[0]?.to, undefined);
    });

    describe('of tags that are attached to an image', () => {
      const attached = (digest: string, suffix = '.sig') => `${digest.replace(':', '-')}${suffix}`;

      it('deletes them with the last tag of the image, and keeps them while another tag names it', async () => {
        const repository = newRepository();
        const goes = await push(repository, 'goes');
        const stays = await push(repository, 'stays');
        await client.pushManifest(repository, 'kept-too', stays.manifest);
        const sigs = [goes, stays].flatMap(({ digest }) =>
          ['.sig', '.att', '.sbom', ''].map((end) => attached(digest, end)),
        );
        for (const tag of sigs) await push(repository, tag);
        // A signature of an attestation follows the attestation.
        const att = await push(repository, attached(goes.digest, '.att'));
        await push(repository, attached(att.digest));
        await date(repository, 'goes', goes.digest, 9);
        await date(repository, 'stays', stays.digest, 8);
        await date(repository, 'kept-too', stays.digest, 1);
        const retention = retentionFor(keepLast(repository));
        const plan = await retention.plan({ by: 'alice' });
        await retention.apply(plan.id, { by: 'alice' });
        const left = ['', '.att', '.sbom', '.sig'].map((end) => attached(stays.digest, end));
        assert.deepEqual(await tagsOf(repository), ['kept-too', ...left]);
      });

      it('keeps them while a tagged index lists the image', async () => {
        const repository = newRepository();
        const { digest, manifest, sizeBytes } = await push(repository, 'amd64');
        const child = { mediaType: (manifest as { mediaType: string }).mediaType, digest, size: sizeBytes };
        const index = { schemaVersion: 2, mediaType: MEDIA_TYPE, manifests: [child] };
        await client.pushManifest(repository, 'latest', index);
        await push(repository, attached(digest));
        await date(repository, 'amd64', digest, 9);
        const retention = retentionFor(`[{repositories: '${repository}', tags: ['amd64'], keep: {newer: 1d}}]`);
        const plan = await retention.plan({ by: 'alice' });
        assert.equal(plan.counts.delete, 1);
        await retention.apply(plan.id, { by: 'alice' });
        assert.deepEqual(await tagsOf(repository), ['latest', attached(digest)]);
      });

      it('keeps them where the image has no tag, and deletes them a day after the image is gone', async () => {
        const repository = newRepository();
        await push(repository, 'some');
        const untagged = await push(repository, 'removed');
        await client.send('DELETE', `/v2/${repository}/manifests/removed`);
        const tag = attached(untagged.digest);
        await push(repository, tag);
        const retention = retentionFor(keepLast(repository));
        const plan = await retention.plan({ by: 'alice' });
        assert.equal((await reasonsOf(retention, plan))[tag], `keep: its image ${untagged.digest} has no tag`);
        await client.send('DELETE', `/v2/${repository}/manifests/${untagged.digest}`);
        const later = await reasonsOf(retention, await retention.plan({ by: 'alice' }));
        assert.equal(later[tag], `keep: there is no image ${untagged.digest}, and the tag is newer than 1d`);
      });

      it('keeps them if the image gets another tag before the plan is applied', async () => {
        const repository = newRepository();
        const { digest, manifest } = await push(repository, 'goes');
        await push(repository, attached(digest));
        await date(repository, 'goes', digest, 9);
        await push(repository, 'stays');
        const retention = retentionFor(keepLast(repository));
        const plan = await retention.plan({ by: 'alice' });
        assert.equal(plan.counts.delete, 2);
        await client.pushManifest(repository, 'again', manifest);
        const { applied } = await retention.apply(plan.id, { by: 'alice' });
        assert.deepEqual(await tagsOf(repository), ['again', attached(digest), 'stays'].sort());
        assert.deepEqual(
          applied?.skipped.map(({ tag }) => tag),
          [attached(digest)],
        );
      });
    });

    describe('by the expiry of images', () => {
      const rules = (repository: string) => `
- {repositories: '${repository}', tags: [keep], keep: always}
- {repositories: '${repository}', expires: label}`;
      const withLabels = (Labels: object) => ({ config: { Labels } });
      const DAYS_AGO = 3;

      it('reads labels of the config and annotations of the manifest, as Quay does and by its own name', async () => {
        const repository = newRepository();
        const push = async (tag: string, labels: object) => {
          const image = await pushImage(client, repository, tag, { contents: [tag], config: withLabels(labels) });
          await date(repository, tag, image.digest, DAYS_AGO);
          return image;
        };
        await push('quay', { 'quay.expires-after': '2d' });
        await push('week', { 'quay.expires-after': '1w' });
        await push('own', { 'stowage.expires-after': '4d', 'quay.expires-after': '1h' });
        await push('never', { 'quay.expires-after': 'never' });
        await push('keep', { 'quay.expires-after': '1h' });
        await push('none', {});
        const { manifest } = await push('base', {});
        const annotated = { ...manifest, annotations: { 'stowage.expires-after': '1h' } };
        const answer = await client.pushManifest(repository, 'annotated', annotated);
        await date(repository, 'annotated', answer.headers.get('Docker-Content-Digest') ?? '', DAYS_AGO);

        const retention = retentionFor(rules(repository));
        const reasons = await reasonsOf(retention, await retention.plan({ by: 'alice' }));
        const verdicts = Object.entries(reasons).map(([tag, reason]) => [tag, reason.replace(/ 20.*/, '')]);
        assert.deepEqual(Object.fromEntries(verdicts), {
          annotated: 'delete: rule 2: expired',
          keep: 'keep: rule 1: always',
          own: 'keep: rule 2: expires',
          quay: 'delete: rule 2: expired',
          week: 'keep: rule 2: expires',
        });
      });

      it('of an index, takes the longest expiry of its images, if each has one', async () => {
        const repository = newRepository();
        const child = async (tag: string, labels: object) => {
          const { digest, manifest, sizeBytes } = await pushImage(client, repository, undefined, {
            contents: [tag],
            config: withLabels(labels),
          });
          return { mediaType: (manifest as { mediaType: string }).mediaType, digest, size: sizeBytes };
        };
        const pushIndex = async (tag: string, manifests: object[]) => {
          const answer = await client.pushManifest(repository, tag, {
            schemaVersion: 2,
            mediaType: MEDIA_TYPE,
            manifests,
          });
          await date(repository, tag, answer.headers.get('Docker-Content-Digest') ?? '', DAYS_AGO);
        };
        const short = await child('short', { 'quay.expires-after': '1d' });
        const long = await child('long', { 'quay.expires-after': '1w' });
        const none = await child('none', {});
        await pushIndex('short', [short]);
        await pushIndex('long', [short, long]);
        await pushIndex('some', [short, none]);
        const retention = retentionFor(rules(repository));
        const reasons = await reasonsOf(retention, await retention.plan({ by: 'alice' }));
        assert.deepEqual(Object.keys(reasons), ['long', 'short']);
        assert.match(reasons.short ?? '', /^delete/);
        assert.match(reasons.long ?? '', /^keep/);
      });
    });

    describe('by pulls', () => {
      const rules = (repository: string) => `[{repositories: '${repository}', keep: {last_pulled: 7d}}]`;

      it('keeps everything until pulls have been recorded for as long as the rule asks', async () => {
        const repository = newRepository();
        const { digest } = await push(repository, 'old');
        await date(repository, 'old', digest, 90);
        const retention = retentionFor(rules(repository));
        const reasons = await reasonsOf(retention, await retention.plan({ by: 'alice' }));
        assert.deepEqual(reasons, { old: 'keep: rule 1: pulls are recorded for less than 7d' });
      });

      it('records a pull once a day for each digest, and not what a scanner pulls', async () => {
        const repository = newRepository();
        const name = parseRepositoryName(repository);
        const { pulls } = assembleRegistry(interceptor.driver, {
          copiesLayers: false,
          retention: retentionBy(rules(repository)),
        });
        const digest = parseDigest((await push(repository, 'a')).digest);
        const puller = { caller: 'alice', userAgent: 'containerd/2.0' };
        const key = layout.lastPulled(name, digest);
        const other = parseRepositoryName('other/app');
        const writesOf = async (pull: () => Promise<void>) => {
          const before = interceptor.written.length;
          await pull();
          return interceptor.written.slice(before);
        };
        assert.deepEqual(await writesOf(() => pulls.note(name, digest, { ...puller, userAgent: 'trivy/0.58' })), []);
        assert.deepEqual(await writesOf(() => pulls.note(other, digest, puller)), []);
        assert.deepEqual(await writesOf(() => pulls.note(name, digest, puller)), [key]);
        assert.deepEqual(await writesOf(() => pulls.note(name, digest, puller)), []);
        // Another process finds the record of this one.
        const { pulls: elsewhere } = assembleRegistry(interceptor.driver, {
          copiesLayers: false,
          retention: retentionBy(rules(repository)),
        });
        assert.deepEqual(await writesOf(() => elsewhere.note(name, digest, puller)), []);
      });
    });
  });
}
