import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { UploadTurns } from '../../lib/auth/upload-turns.ts';
import { RegistryError } from '../../lib/errors.ts';

describe('turns of uploads', () => {
  it('are as many as there are, and go on in the order in which they were asked for', async () => {
    const turns = new UploadTurns({ atOnce: 3 }); // too few to keep some back
    const started: number[] = [];
    let underWay = 0;
    let most = 0;
    const all = Array.from({ length: 20 }, (_, index) =>
      turns.run('somebody', async () => {
        started.push(index);
        most = Math.max(most, ++underWay);
        await sleep(Math.random() * 5);
        underWay--;
        if (index % 4 === 0) throw new Error('this one fails');
      }),
    );
    const failed = (await Promise.allSettled(all)).filter(({ status }) => status === 'rejected');
    assert.equal(failed.length, 5);
    assert.equal(most, 3);
    assert.deepEqual(started, [...started.keys()]);
    assert.equal(await turns.run('somebody', async () => 'free again'), 'free again');
  });

  it('that do not come in time are refused, and nobody else loses theirs by that', async () => {
    const turns = new UploadTurns({ atOnce: 1, waitMs: 50 });
    const end = Promise.withResolvers<void>();
    const first = turns.run('somebody', () => end.promise);
    await assert.rejects(
      turns.run('somebody', async () => assert.fail('has no turn')),
      (error) => {
        assert.ok(error instanceof RegistryError);
        assert.deepEqual([error.code, error.headers], ['UNAVAILABLE', { 'Retry-After': '5' }]);
        return true;
      },
    );
    const next = turns.run('somebody', async () => 'next');
    end.resolve();
    await first;
    assert.equal(await next, 'next');
  });

  it('are kept back for callers who have few', async () => {
    const turns = new UploadTurns({ atOnce: 20, waitMs: 50 });
    const end = Promise.withResolvers<void>();
    const take = (who: string) => turns.run(who, () => end.promise);
    const greedy = Array.from({ length: 40 }, (_, index) => take(index % 2 === 0 ? 'alice' : 'bob'));
    assert.equal(await turns.run('carol', async () => 'served'), 'served');
    const few = Array.from({ length: 5 }, () => take('carol'));
    const settled = Promise.allSettled(greedy);
    await assert.rejects(take('dave'), { code: 'UNAVAILABLE' }); // now all 20 are taken
    end.resolve();
    const served = (await settled).filter(({ status }) => status === 'fulfilled');
    assert.equal(served.length, 15);
    await Promise.all(few);
  });

  it('that are given back go past those who have many already', async () => {
    const turns = new UploadTurns({ atOnce: 8, waitMs: 1000 });
    const ends = Array.from({ length: 8 }, () => Promise.withResolvers<void>());
    const underWay = ends.map(({ promise }, index) => turns.run(index < 6 ? 'alice' : 'bob', () => promise));
    const order: string[] = [];
    const waiting = ['alice', 'bob'].map((who) => turns.run(who, async () => void order.push(who)));
    ends[7]?.resolve();
    await waiting[1];
    assert.deepEqual(order, ['bob']);
    for (const { resolve } of ends) resolve();
    await Promise.all([...underWay, ...waiting]);
    assert.deepEqual(order, ['bob', 'alice']);
  });
});
