import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ReportDocument } from '../../../lib/registry/collector/report.ts';
import { MIN_GRACE_MS } from '../../../lib/registry/condemned/times.ts';
import { basic, openTestAuth, type TestAuth } from '../../auth/test-auth.ts';
import { Bucket } from '../../registry/collector/bucket.ts';
import { alterDriver } from '../../storage/altered-driver.ts';
import { MemoryStorage } from '../../storage/memory.ts';
import { type RegistryServer, startRegistry } from '../../support/registry-server.ts';

type Answer = {
  running: unknown;
  current: unknown;
  last: { run: string; endedAt: string; durationSeconds: number; removedBytes: number; report: ReportDocument } | null;
  nextAt: string | null;
  report?: ReportDocument;
  errors?: { code: string }[];
};

describe('/v2/_stowage/gc', () => {
  let storage: MemoryStorage;
  let auth: TestAuth;
  let server: RegistryServer;
  let runMayGoOn = Promise.resolve();
  before(async () => {
    storage = new MemoryStorage();
    const bucket = await Bucket.inMemory(storage);
    await bucket.blob('team/app', 'garbage');
    storage.pass(1000);
    auth = await openTestAuth({
      users: ['operator', 'reader', 'owner'],
      access: [
        { repositories: ['*'], users: ['operator'], actions: ['pull', 'push', 'delete'] },
        { repositories: ['*'], users: ['reader', 'anonymous'], actions: ['pull'] },
        { repositories: ['team/*'], users: ['owner'], actions: ['pull', 'push', 'delete'] },
      ],
    });
    const driver = alterDriver(storage, (original) => ({
      honorsDeleteConditions: async () => {
        await runMayGoOn; // each run asks once
        return await original.honorsDeleteConditions();
      },
    }));
    server = await startRegistry(driver, {
      auth,
      runsBackgroundWork: false,
      gc: { graceMs: MIN_GRACE_MS, everyMs: 60_000 },
    });
  });
  after(() => server.stop());

  const send = async (method: string, name: string | undefined, query = '') => {
    const headers = name === undefined ? {} : basic(name);
    const response = await fetch(new URL(`/v2/_stowage/gc${query}`, server.url), { method, headers });
    return { status: response.status, body: (await response.json()) as Answer };
  };

  for (const method of ['GET', 'POST']) {
    it(`refuses ${method} of a caller that may not pull, push and delete in every repository`, async () => {
      for (const [name, status, code] of [
        [undefined, 401, 'UNAUTHORIZED'],
        ['reader', 403, 'DENIED'],
        ['owner', 403, 'DENIED'],
      ] as const) {
        const refused = await send(method, name);
        assert.deepEqual([refused.status, refused.body.errors?.[0]?.code], [status, code], name);
      }
      assert.equal(storage.objects.has('oci/gc/state.json' as never), false);
    });
  }

  it('lists with dry_run what a run would do, and writes nothing', async () => {
    const before = [...storage.objects.keys()];
    const { status, body } = await send('POST', 'operator', '?dry_run=1');
    assert.equal(status, 200);
    assert.deepEqual(
      body.report?.list?.actions.map(({ action, kind }) => `${action} ${kind}`),
      ['condemn link'],
    );
    assert.deepEqual([...storage.objects.keys()], before);
  });

  it('starts a run, refuses a second one in the same process, and tells of the last one', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    runMayGoOn = promise;
    const statuses = [await send('POST', 'operator'), await send('POST', 'operator')].map(({ status }) => status);
    assert.deepEqual(statuses, [202, 409]);
    assert.notEqual((await send('GET', 'operator')).body.running, null);
    resolve();
    for (let attempt = 0; ; attempt++) {
      const { body } = await send('GET', 'operator');
      if (body.last) {
        assert.deepEqual(body.last.report.actions, { condemn: { link: { count: 1, bytes: 0 } } });
        assert.deepEqual([body.running, body.current], [null, null]);
        assert.equal(body.last.removedBytes, 0);
        assert.ok(body.last.durationSeconds >= 0);
        assert.equal(Date.parse(body.nextAt ?? ''), Date.parse(body.last.endedAt) + 60_000);
        break;
      }
      assert.ok(attempt < 100, 'the run has ended');
    }
  });

  it('records the caller of each start and each refusal in the audit log', () => {
    const entries = auth.audited.map(({ who, method, outcome, status }) => `${who} ${method} ${outcome} ${status}`);
    assert.ok(entries.includes('reader POST refused 403'));
    assert.ok(entries.includes('operator POST done 202'));
    assert.ok(!entries.some((entry) => entry.startsWith('operator GET')));
  });

  it('lets every caller of an open registry in', async () => {
    const open = await startRegistry(storage, { runsBackgroundWork: false });
    try {
      assert.equal((await fetch(new URL('/v2/_stowage/gc', open.url))).status, 200);
    } finally {
      await open.stop();
    }
  });
});
