import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { RegistryError } from '../lib/errors.ts';
import { Turns } from '../lib/turns.ts';

describe('turns', () => {
  it('are as many as there are, and go on in the order in which they were asked for', async () => {
    const turns = new Turns(3);
    const started: number[] = [];
    let underWay = 0;
    let most = 0;
    const all = Array.from({ length: 20 }, (_, index) =>
      turns.run(async () => {
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
    assert.equal(await turns.run(async () => 'free again'), 'free again');
  });

  it('that do not come in time are refused, and nobody else loses theirs by that', async () => {
    const turns = new Turns(1, 50);
    const end = Promise.withResolvers<void>();
    const first = turns.run(() => end.promise);
    await assert.rejects(
      turns.run(async () => assert.fail('has no turn')),
      (error) => {
        assert.ok(error instanceof RegistryError);
        assert.deepEqual([error.code, error.headers], ['UNAVAILABLE', { 'Retry-After': '5' }]);
        return true;
      },
    );
    const next = turns.run(async () => 'next');
    end.resolve();
    await first;
    assert.equal(await next, 'next');
  });
});
