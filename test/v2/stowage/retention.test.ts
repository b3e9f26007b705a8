import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { layout } from '../../../lib/model/layout.ts';
import { createLog } from '../../../lib/model/log.ts';
import { parseDigest, parseRepositoryName } from '../../../lib/model/names.ts';
import { assembleRegistry } from '../../../lib/registry/registry.ts';
import { applyRetention } from '../../../lib/registry/retention/apply-retention.ts';
import type { PlannedTag, PlanRecord } from '../../../lib/registry/retention/plan-record.ts';
import { basic, openTestAuth, type TestAuth } from '../../auth/test-auth.ts';
import { retentionBy } from '../../registry/retention/settings.ts';
import { type OpenedStorage, openFiles } from '../../storage/open.ts';
import { type RegistryServer, startRegistry } from '../../support/registry-server.ts';
import { V2Client } from '../client.ts';
import { pushImage } from '../image.ts';

const PLANS = '/v2/_stowage/retention/plans';
const RULES = `
- {repositories: 'team/*', tags: ['v*'], keep: {newest_of_each: major}}
- {repositories: 'pulls/*', keep: {last_pulled: 30d}}`;

describe('retention over HTTP', () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  let operator: V2Client;
  let developer: V2Client;
  let auth: TestAuth;
  before(async () => {
    storage = await openFiles();
    auth = await openTestAuth({
      users: ['operator', 'developer', 'trivy'],
      access: [
        { repositories: ['*'], users: ['operator'], actions: ['pull', 'push', 'delete'] },
        { repositories: ['*'], users: ['*'], actions: ['pull', 'push'] },
      ],
    });
    server = await startRegistry(storage.driver, { auth, retention: retentionBy(RULES) });
    operator = new V2Client(server.url, basic('operator'));
    developer = new V2Client(server.url, basic('developer'));
    for (const tag of ['v1.0', 'v1.1', 'v1.2', 'latest']) {
      await pushImage(developer, 'team/app', tag, { contents: [tag] });
    }
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  type Answer = PlanRecord & { plans: PlanRecord[]; tags: PlannedTag[] };
  const send = async (method: string, path: string): Promise<Answer> => {
    const answer = await operator.send(method, path);
    assert.ok(answer.ok, `${answer.status} of ${method} ${path}`);
    return (await answer.json()) as Answer;
  };
  const tags = async () => {
    const answer = await operator.send('GET', '/v2/team/app/tags/list');
    return ((await answer.json()) as { tags: string[] }).tags;
  };

  it('is for callers that may do everything everywhere', async () => {
    for (const [method, path] of [
      ['GET', PLANS],
      ['POST', PLANS],
      ['GET', `${PLANS}/20260101T000000000Z-00000000`],
      ['POST', `${PLANS}/20260101T000000000Z-00000000/apply`],
      ['POST', `${PLANS}/20260101T000000000Z-00000000/undo`],
    ] as const) {
      assert.equal((await developer.send(method, path)).status, 403, path);
      assert.equal((await new V2Client(server.url).send(method, path)).status, 401, path);
    }
  });

  it('makes a plan, shows it in pages, applies it, and takes it back', async () => {
    const made = await operator.send('POST', PLANS);
    assert.equal(made.status, 201);
    const { id, by, counts } = (await made.json()) as PlanRecord;
    assert.equal(made.headers.get('Location'), `${PLANS}/${id}`);
    assert.equal(by, 'operator');
    assert.equal(counts.delete, 2);
    assert.deepEqual(
      (await send('GET', PLANS)).plans.map((plan) => plan.id),
      [id],
    );
    const first = await operator.send('GET', `${PLANS}/${id}?n=2`);
    const [, next = ''] = /<([^>]+)>/.exec(first.headers.get('Link') ?? '') ?? [];
    const pages = [(await first.json()) as Answer, await send('GET', next)];
    assert.deepEqual(
      pages.flatMap((page) => page.tags.map(({ tag, verdict }) => `${verdict} ${tag}`)),
      ['delete v1.0', 'delete v1.1', 'keep v1.2'],
    );
    assert.equal((await tags()).length, 4);

    auth.audited.length = 0;
    assert.equal((await send('POST', `${PLANS}/${id}/apply`)).applied?.done, 2);
    const audited = auth.audited.map(({ who, action, outcome, repository, tag, plan }) => ({
      ...{ who, action, outcome },
      ...(tag && { repository, tag, plan }),
    }));
    const deleted = { who: 'operator', action: 'delete', outcome: 'done', repository: 'team/app', plan: id };
    assert.deepEqual(
      audited.sort((a, b) => (a.tag ?? 'z').localeCompare(b.tag ?? 'z')),
      [
        { ...deleted, tag: 'v1.0' },
        { ...deleted, tag: 'v1.1' },
        { who: 'operator', action: 'retention apply', outcome: 'done' },
      ],
    );
    assert.deepEqual(await tags(), ['latest', 'v1.2']);
    assert.equal((await send('POST', `${PLANS}/${id}/undo`)).undone?.done, 2);
    assert.deepEqual(await tags(), ['latest', 'v1.0', 'v1.1', 'v1.2']);
    assert.equal((await operator.send('POST', `${PLANS}/${id}/apply`)).status, 405);
    assert.deepEqual(
      auth.audited.slice(-2).map(({ action, outcome }) => [action, outcome]),
      [
        ['retention undo', 'done'],
        ['retention apply', 'failed'],
      ],
    );
  });

  it('answers 404 for a plan that does not exist', async () => {
    for (const path of [`${PLANS}/x`, `${PLANS}/20260101T000000000Z-00000000`]) {
      const answer = await operator.send('GET', path);
      assert.equal(answer.status, 404);
      assert.match(await answer.text(), /"message":"there is no plan/);
    }
  });

  it('runs by a schedule: a plan is made and applied, and each deletion audited', async () => {
    const { retention } = assembleRegistry(storage.driver, { copiesLayers: false, retention: retentionBy(RULES) });
    const lines: string[] = [];
    await applyRetention(
      retention,
      createLog('info', (line) => lines.push(line) > 0),
    );
    assert.deepEqual(await tags(), ['latest', 'v1.2']);
    const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const { message, deleted, skipped } = entries.at(-1) ?? {};
    assert.deepEqual({ message, deleted, skipped }, { message: 'retention', deleted: 2, skipped: 0 });
    const made = (await retention.plans.list()).at(-1);
    assert.equal(made?.by, 'stowage');
    const about = { who: 'the schedule', action: 'delete', outcome: 'done', repository: 'team/app', plan: made.id };
    const audited = entries.filter((entry) => entry.message === 'audit');
    assert.deepEqual(audited.map(({ tag }) => tag).sort(), ['v1.0', 'v1.1']);
    for (const entry of audited) assert.partialDeepStrictEqual(entry, about);
  });

  describe('counts as a pull', () => {
    const isRecorded = async (digest: string) => {
      await server.idle();
      const key = layout.lastPulled(parseRepositoryName('pulls/app'), parseDigest(digest));
      return (await storage.driver.head(key)) !== undefined;
    };

    it('GET of a manifest, by tag or digest, where a rule asks for pulls; no HEAD, and no scanner', async () => {
      const { digest } = await pushImage(developer, 'pulls/app', 'a', { contents: ['pulled'] });
      const path = '/v2/pulls/app/manifests/a';
      await developer.send('HEAD', path);
      await new V2Client(server.url, basic('trivy')).send('GET', path);
      await developer.send('GET', path, { headers: { 'User-Agent': 'trivy/0.58.1' } });
      assert.equal(await isRecorded(digest), false);
      await developer.send('GET', `/v2/pulls/app/manifests/${digest}`);
      assert.equal(await isRecorded(digest), true);
      const other = await pushImage(developer, 'pulls/app', 'b', { contents: ['other'] });
      await developer.send('GET', '/v2/pulls/app/manifests/b');
      assert.equal(await isRecorded(other.digest), true);
    });

    it('GET of a tag by a v1 client', async () => {
      const { digest } = await pushImage(developer, 'pulls/app', 'v1', { contents: ['by v1'] });
      const answer = await developer.send('GET', '/v1/repositories/pulls/app/tags/v1');
      assert.equal(answer.status, 200);
      assert.equal(await isRecorded(digest), true);
    });
  });
});
