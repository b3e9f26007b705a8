import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { layout } from '../../../lib/model/layout.ts';
import { createLog } from '../../../lib/model/log.ts';
import { type Digest, digestOfHex, parseRepositoryName, type RepositoryName } from '../../../lib/model/names.ts';
import { type Quota, Quotas } from '../../../lib/registry/usage/quotas.ts';
import { MemoryStorage } from '../../storage/memory.ts';

const MINUTE = 60_000;
const START = Date.parse('2026-11-27T12:00:00Z');

const app = parseRepositoryName('team/app');
const other = parseRepositoryName('team/other');
const free = parseRepositoryName('elsewhere/app');
const digest = (index: number): Digest => digestOfHex(index.toString(16).padStart(64, '0'));

const usageOf = (repository: RepositoryName, uniqueBytes: number, sharedBytes = 0) => ({
  ...{ repository, uniqueBytes, sharedBytes },
  ...{ metadataBytes: 7, tags: 1, manifests: 1 },
});

describe('quotas', () => {
  let storage: MemoryStorage;
  let nowMs: number;
  let warnings: { message: string; quota: string; usedBytes: number }[];
  beforeEach(() => {
    storage = new MemoryStorage();
    nowMs = START;
    warnings = [];
  });

  /** Those of a process. */
  const open = (...quotas: Quota[]): Quotas =>
    new Quotas(storage, {
      quotas,
      log: createLog('warning', (line) => warnings.push(JSON.parse(line)) > 0),
      now: () => nowMs,
    });
  const team = { repositories: ['team/*'], limitBytes: 1000 };
  const at = (ms = nowMs) => new Date(ms).toISOString();
  const denied = { code: 'DENIED' };
  const reads = () => Object.values(storage.requests).reduce((sum, count) => sum + count, 0);

  it('count what all matching repositories use, shared bytes in each', async () => {
    const quotas = open(team);
    await quotas.record(at(), [usageOf(app, 300, 200), usageOf(other, 100, 200), usageOf(free, 10_000)]);
    await assert.doesNotReject(quotas.checkUpload(app));
    quotas.countLink(app, { digest: digest(1), sizeBytes: 200 });
    await assert.rejects(quotas.checkUpload(other), denied);
  });

  it('allow a manifest whose blobs have used up the quota exactly, but no further upload', async () => {
    const quotas = open(team);
    quotas.countLink(app, { digest: digest(1), sizeBytes: 1000 });
    await assert.rejects(quotas.checkUpload(app), denied);
    await assert.doesNotReject(quotas.checkManifest(app));
    quotas.countLink(app, { digest: digest(2), sizeBytes: 1 });
    await assert.rejects(quotas.checkManifest(app), denied);
  });

  it('tell the quota, its limit and what is used', async () => {
    const quotas = open({ repositories: ['team/*', 'app'], limitBytes: 2 ** 30 });
    quotas.countLink(app, { digest: digest(1), sizeBytes: 1.5 * 2 ** 30 });
    await assert.rejects(quotas.checkUpload(app), ({ message, detail }: Error & { detail: unknown }) => {
      for (const part of ['team/*, app', '1.5 GiB', '1.0 GiB', 'delete', 'operator'])
        assert.ok(message.includes(part), part);
      assert.deepEqual(detail, { quota: 'team/*, app', usedBytes: 1.5 * 2 ** 30, limitBytes: 2 ** 30 });
      return true;
    });
  });

  it('count a blob once in each repository', async () => {
    const quotas = open(team);
    for (const sizeBytes of [400, 400, 400]) quotas.countLink(app, { digest: digest(1), sizeBytes });
    await assert.doesNotReject(quotas.checkUpload(app));
    quotas.countLink(other, { digest: digest(1), sizeBytes: 400 });
    await assert.doesNotReject(quotas.checkUpload(app));
    quotas.countLink(other, { digest: digest(2), sizeBytes: 200 });
    await assert.rejects(quotas.checkUpload(app), denied);
  });

  it('the first quota that matches counts', async () => {
    const quotas = open({ repositories: ['team/app'], limitBytes: 10 }, { repositories: ['**'], limitBytes: 100 });
    await quotas.record(at(), [usageOf(app, 10), usageOf(other, 99)]);
    await assert.rejects(quotas.checkUpload(app), denied);
    await assert.doesNotReject(quotas.checkUpload(other));
  });

  it('read the record once a minute, also for requests that come together, and never where no quota matches', async () => {
    const quotas = open(team);
    await quotas.record(at(), []);
    const before = reads();
    for (let request = 0; request < 3; request++) await quotas.checkUpload(free);
    assert.equal(reads(), before);
    await Promise.all([quotas.checkUpload(app), quotas.checkManifest(app), quotas.checkUpload(other)]);
    assert.equal(reads(), before + 1);
    nowMs += MINUTE - 1;
    await quotas.checkUpload(app);
    assert.equal(reads(), before + 1);
    nowMs += 1;
    await quotas.checkUpload(app);
    assert.equal(reads(), before + 2);
  });

  it('without quotas nothing is read or written', async () => {
    const quotas = new Quotas(storage);
    await quotas.checkUpload(app);
    await quotas.checkManifest(app);
    await quotas.record(at(), [usageOf(app, 10)]);
    assert.equal(reads(), 0);
  });

  it('count what was linked before a run as part of it, and what was linked since then on top', async () => {
    const quotas = open(team);
    quotas.countLink(app, { digest: digest(1), sizeBytes: 600 });
    nowMs += MINUTE;
    const started = nowMs;
    nowMs += 1;
    quotas.countLink(app, { digest: digest(2), sizeBytes: 300 });
    await open(team).record(at(started), [usageOf(app, 600)]);
    await assert.doesNotReject(quotas.checkUpload(app));
    quotas.countLink(app, { digest: digest(3), sizeBytes: 100 });
    await assert.rejects(quotas.checkUpload(app), denied);
  });

  it('a run after a collection makes room', async () => {
    const quotas = open(team);
    quotas.countLink(app, { digest: digest(1), sizeBytes: 1000 });
    await assert.rejects(quotas.checkUpload(app), denied);
    nowMs += MINUTE;
    await open(team).record(at(), [usageOf(app, 10)]);
    await assert.doesNotReject(quotas.checkUpload(app));
  });

  it('remember the sum of more blobs than they can name', async () => {
    const quotas = open({ repositories: ['**'], limitBytes: 60_000 });
    for (let index = 0; index < 60_000; index++) quotas.countLink(app, { digest: digest(index), sizeBytes: 1 });
    await quotas.record(at(nowMs - 1), []);
    await assert.rejects(quotas.checkUpload(app), denied);
    nowMs += MINUTE;
    await quotas.record(at(), []);
    await assert.doesNotReject(quotas.checkUpload(app));
  });

  it('warn from 80 % on, once an hour for each quota', async () => {
    const quotas = open(team);
    await quotas.record(at(), [usageOf(app, 799)]);
    await quotas.checkUpload(app);
    assert.equal(warnings.length, 0);
    quotas.countLink(app, { digest: digest(1), sizeBytes: 1 });
    for (let request = 0; request < 3; request++) await quotas.checkUpload(app);
    assert.equal(warnings.length, 1);
    assert.deepEqual([warnings[0]?.quota, warnings[0]?.usedBytes], ['team/*', 800]);
    nowMs += 59 * MINUTE;
    await quotas.checkUpload(app);
    assert.equal(warnings.length, 1);
    nowMs += MINUTE;
    await quotas.checkUpload(app);
    assert.equal(warnings.length, 2);
  });

  it('tell when all of them were counted', async () => {
    assert.equal(await open(team).countedAt(), undefined);
    await open(team).record(at(), []);
    assert.equal((await open(team).countedAt())?.getTime(), nowMs);
    assert.equal(await open(team, { repositories: ['**'], limitBytes: 1 }).countedAt(), undefined);
    assert.ok(storage.objects.has(layout.quotas()));
  });
});
