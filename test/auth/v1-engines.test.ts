// Docker engines up to 1.12 with a login, over plain HTTP, where they send the index's token with every image.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { KeyPrefix } from '../../lib/model/layout.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { V1Client } from '../support/v1-client.ts';
import { ENGINE_VERSIONS, type EngineVersion, imageBy, type PushStep, V1Engine } from '../support/v1-engine.ts';
import { newImageId } from '../v1/use-registry.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { basic, openTestAuth } from './test-auth.ts';

const ACCESS = [
  { repositories: ['team/*', 'apps/*'], users: ['alice', 'bob'], actions: '*' },
  { repositories: 'closed/*', users: 'carol', actions: '*' },
  { repositories: 'base/*', users: 'carol', actions: '*' },
  { repositories: 'base/*', users: 'anonymous', actions: 'pull' },
];

describe('Docker engines up to 1.12 with a login, over plain HTTP', () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  before(async () => {
    storage = await openFiles();
    const users = ['alice', 'bob', 'carol'];
    server = await startRegistry(storage.driver, {
      auth: await openTestAuth({ users, access: ACCESS, driver: storage.driver }),
    });
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  const engine = (version: EngineVersion, name: string) => new V1Engine(version, server.url, basic(name).Authorization);
  const chainBy = (version: EngineVersion, [base, top]: readonly [string, string]) => [
    imageBy(version, base, { isTop: false }),
    imageBy(version, top, { parent: base, isTop: true }),
  ];
  const newIds = (): [string, string] => [newImageId(), newImageId()];
  const pulled = async (name: string, repository: string) =>
    (await new V1Client(server.url, basic(name).Authorization).pull(repository, 'latest')).map(({ id }) => id);
  const assertNoMarks = async (ids: readonly string[]) => {
    for (const id of ids) {
      const keys = (await Array.fromAsync(storage.driver.list(`images/${id}/` as KeyPrefix))).map(({ key }) => key);
      assert.ok(!keys.some((key) => key.endsWith('_inprogress')), keys.join());
    }
  };

  for (const version of ENGINE_VERSIONS) {
    const place = version.replaceAll('.', '-');

    it(`docker ${version} pushes one chain to two repositories, and a child of it`, async () => {
      const ids = newIds();
      const chain = chainBy(version, ids);
      await engine(version, 'alice').push(`team/two-${place}`, chain, { latest: ids[1] });
      await engine(version, 'alice').push(`apps/two-${place}`, chain, { latest: ids[1] });
      const child = imageBy(version, newImageId(), { parent: ids[1], isTop: true });
      await engine(version, 'bob').push(`apps/child-${place}`, [...chain, child], { latest: child.id });
      assert.deepEqual(await pulled('bob', `apps/child-${place}`), [...ids, child.id]);
    });

    it(`docker ${version} builds on a public base image`, async () => {
      const base = imageBy(version, newImageId(), { isTop: true });
      await engine('0.11.1', 'carol').push(`base/for-${place}`, [base], { latest: base.id });
      const top = imageBy(version, newImageId(), { parent: base.id, isTop: true });
      await engine(version, 'alice').push(`team/built-${place}`, [base, top], { latest: top.id });
      assert.deepEqual(await pulled('alice', `team/built-${place}`), [base.id, top.id]);
    });

    it(`docker ${version} builds on the same bytes as those of a repository that it may not pull`, async () => {
      const ids = newIds();
      await engine(version, 'carol').push(`closed/a-${place}`, chainBy(version, ids), { latest: ids[1] });
      const child = imageBy(version, newImageId(), { parent: ids[1], isTop: true });
      await engine(version, 'alice').push(`team/same-${place}`, [...chainBy(version, ids), child], {
        latest: child.id,
      });
      assert.deepEqual(await pulled('alice', `team/same-${place}`), [...ids, child.id]);
    });

    it(`docker ${version} tags a v2 image in a second repository`, async () => {
      const v2 = new V2Client(server.url, basic('alice'));
      const { digest } = await pushImage(v2, `team/v2-${place}`, 'latest', { contents: ['one', 'two'] });
      await server.idle();
      const images = await new V1Client(server.url, basic('alice').Authorization).pull(`team/v2-${place}`, 'latest');
      const top = digest.slice('sha256:'.length);
      await engine(version, 'alice').push(`apps/v2-${place}`, images, { latest: top });
      assert.equal((await pulled('bob', `apps/v2-${place}`)).at(-1), top);
    });
  }

  it('of all versions push one new image at the same time, to one repository and to several', async () => {
    for (const where of ['one', 'several']) {
      const ids = newIds();
      const together = inStep(ENGINE_VERSIONS.length);
      const ends = await Promise.allSettled(
        ENGINE_VERSIONS.map((version, at) =>
          engine(version, 'alice').push(
            `team/${where}${where === 'one' ? '' : at}`,
            chainBy(version, ids),
            { latest: ids[1] },
            together(version),
          ),
        ),
      );
      assert.deepEqual(
        ends.filter(({ status }) => status === 'rejected'),
        [],
      );
      await assertNoMarks(ids);
      assert.deepEqual(await pulled('alice', where === 'one' ? 'team/one' : 'team/several3'), ids);
    }
  });

  it('of two users push one new image at the same time, and a failed push succeeds when repeated', async () => {
    const ids = newIds();
    const together = inStep(2);
    const pushes = [
      () => engine('1.5.0', 'alice').push('team/ours', chainBy('1.5.0', ids), { latest: ids[1] }, together('alice')),
      () => engine('1.9.1', 'bob').push('apps/theirs', chainBy('1.9.1', ids), { latest: ids[1] }, together('bob')),
    ];
    const ends = await Promise.allSettled(pushes.map((push) => push()));
    assert.ok(
      ends.some(({ status }) => status === 'fulfilled'),
      JSON.stringify(ends),
    );
    await engine('1.5.0', 'alice').push('team/ours', chainBy('1.5.0', ids), { latest: ids[1] });
    await engine('1.9.1', 'bob').push('apps/theirs', chainBy('1.9.1', ids), { latest: ids[1] });
    await assertNoMarks(ids);
    assert.deepEqual(await pulled('bob', 'team/ours'), ids);
    assert.deepEqual(await pulled('alice', 'apps/theirs'), ids);
  });
});

/** Delays each engine before a step until all that are still pushing have reached one, or for half a second. */
function inStep(count: number): (who: string) => (step: PushStep) => Promise<void> {
  let waiting: (() => void)[] = [];
  const open = () => {
    for (const release of waiting) release();
    waiting = [];
  };
  return () => async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.push(resolve);
    if (waiting.length >= count) open();
    const timer = setTimeout(open, 500);
    await promise;
    clearTimeout(timer);
  };
}
