import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { AuditEntry } from '../../../lib/auth/audit.ts';
import { Gate } from '../../../lib/auth/gate.ts';
import { layout } from '../../../lib/model/layout.ts';
import { parseImageId, parseRepositoryName, parseTag } from '../../../lib/model/names.ts';
import { assembleRegistry } from '../../../lib/registry/registry.ts';
import { operationRoutes } from '../../../lib/v2/stowage/operations.ts';
import { basic, openTestAuth, type TestAuth } from '../../auth/test-auth.ts';
import { fillRegistry } from '../../registry/fsck/full-registry.ts';
import { type OpenedStorage, openFiles } from '../../storage/open.ts';
import { type RegistryServer, startRegistry } from '../../support/registry-server.ts';
import { V2Client } from '../../v2/client.ts';

type Answer = {
  isStarted: boolean;
  run: { state: string; result?: Record<string, number>; endedAt?: string };
  usage: Record<string, unknown> | null;
  findings: { kind: string; key: string }[];
};

describe('what operators do over HTTP', () => {
  let storage: OpenedStorage;
  let server: RegistryServer;
  let auth: TestAuth;
  let operator: V2Client;
  before(async () => {
    storage = await openFiles();
    await fillRegistry(storage);
    auth = await openTestAuth({
      users: ['operator', 'developer'],
      access: [
        { repositories: ['*'], users: ['operator'], actions: ['pull', 'push', 'delete'] },
        { repositories: ['*'], users: ['developer'], actions: ['pull', 'push'] },
      ],
    });
    server = await startRegistry(storage.driver, { auth });
    operator = new V2Client(server.url, basic('operator'));
  });
  after(async () => {
    await server.stop();
    await storage.close();
  });

  const json = async (response: Response) => (await response.json()) as Answer;
  const untilDone = async (path: string, client = operator): Promise<Answer> => {
    for (;;) {
      const answer = await json(await client.send('GET', path));
      if (answer.run.state !== 'running') return answer;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };

  it('the audit log names what was asked for, of the first worker and of one that relays', async () => {
    const audited: AuditEntry[] = [];
    const gate = Gate.forOpenRegistry({ audit: (entry) => audited.push(entry) });
    const operate = async () => ({ status: 202, headers: {}, body: '{}' });
    const options = { registry: assembleRegistry(storage.driver, { copiesLayers: false }), gate, gc: {} };
    for (const app of [operationRoutes(options), operationRoutes({ ...options, operate })]) {
      app.onError((_, c) => c.json({}, 405));
      audited.length = 0;
      for (const path of ['/gc', '/gc?dry_run=1', '/fsck', '/usage']) {
        await app.request(path);
        await app.request(path, { method: 'POST' });
      }
      assert.deepEqual(
        audited.map(({ action }) => action),
        ['gc', 'gc dry run', 'fsck', 'usage'],
      );
    }
  });

  for (const path of ['/v2/_stowage/fsck', '/v2/_stowage/usage']) {
    for (const method of ['GET', 'POST']) {
      it(`${method} ${path} is for callers that may do everything everywhere`, async () => {
        const developer = new V2Client(server.url, basic('developer'));
        assert.equal((await developer.send(method, path)).status, 403);
        assert.equal((await new V2Client(server.url).send(method, path)).status, 401);
      });
    }
  }

  it('a run of usage is started, one at a time, and its result is read', async () => {
    assert.equal((await json(await operator.send('GET', '/v2/_stowage/usage'))).usage, null);
    const [first, second] = await Promise.all(
      ['POST', 'POST'].map((method) => operator.send(method, '/v2/_stowage/usage')),
    );
    assert.deepEqual([first?.status, second?.status], [202, 202]);
    assert.ok(first && second);
    const started = [(await json(first)).isStarted, (await json(second)).isStarted];
    assert.ok(started.includes(true));
    const { usage } = await untilDone('/v2/_stowage/usage');
    assert.ok(Number(usage?.totalBytes) > 5 * 2 ** 20);
    const ofOne = await json(await operator.send('GET', '/v2/_stowage/usage?repository=team/big'));
    assert.equal(ofOne.usage?.uniqueBytes, 5 * 2 ** 20 + 2);
    assert.equal((await operator.send('GET', '/v2/_stowage/usage?repository=no/such')).status, 404);
    const done = auth.audited.filter(({ path, outcome }) => path === '/v2/_stowage/usage' && outcome === 'done');
    assert.deepEqual(
      done.map(({ who, action, method }) => [who, action, method]),
      [
        ['operator', 'usage', 'POST'],
        ['operator', 'usage', 'POST'],
      ],
    );
  });

  it('a run of usage counts what the collector is set to remove as reclaimable', async () => {
    const key = layout.imageLayer(parseImageId('e'.repeat(64)));
    await storage.driver.put(key, new Uint8Array(1_000_000));
    const counted = async (v1Images: 'keep' | 'collect') => {
      const other = await startRegistry(storage.driver, { auth, v1Images });
      const client = new V2Client(other.url, basic('operator'));
      await client.send('POST', '/v2/_stowage/usage');
      await untilDone('/v2/_stowage/usage', client);
      const { usage } = await json(await client.send('GET', '/v2/_stowage/usage'));
      await other.stop();
      return [Number(usage?.keptBytes) >= 1_000_000, Number(usage?.reclaimableBytes) >= 1_000_000];
    };
    assert.deepEqual(await counted('keep'), [true, false]);
    assert.deepEqual(await counted('collect'), [false, true]);
    await storage.driver.delete(key);
  });

  it('a check is started, and its findings are read in pages', async () => {
    const keys = ['a', 'b', 'c'].map((tag) => layout.tag(parseRepositoryName('team/app'), parseTag(`lost-${tag}`)));
    for (const key of keys) await storage.driver.put(key, Buffer.from('ab'.repeat(32)));
    assert.equal((await operator.send('POST', '/v2/_stowage/fsck')).status, 202);
    const { run } = await untilDone('/v2/_stowage/fsck');
    assert.equal(run.result?.errors, 3);
    const found: string[] = [];
    let path: string | undefined = '/v2/_stowage/fsck?n=2';
    while (path !== undefined) {
      const response: Response = await operator.send('GET', path);
      found.push(...(await json(response)).findings.map(({ key }) => key));
      path = /<([^>]+)>/.exec(response.headers.get('Link') ?? '')?.[1];
    }
    assert.deepEqual(found.filter((key) => key.includes('lost')).toSorted(), keys);
  });

  it('a process that ends with its answer refuses both', async () => {
    const lambda = await startRegistry(storage.driver, { runsBackgroundWork: false });
    for (const path of ['/v2/_stowage/fsck', '/v2/_stowage/usage']) {
      assert.equal((await new V2Client(lambda.url).send('POST', path)).status, 405);
      assert.equal((await new V2Client(lambda.url).send('GET', path)).status, 200);
    }
    await lambda.stop();
  });
});
