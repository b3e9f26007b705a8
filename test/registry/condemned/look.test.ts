import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Look } from '../../../lib/registry/condemned/look.ts';
import { COLLECTION_TIMES, MIN_GRACE_MS } from '../../../lib/registry/condemned/times.ts';
import { StorageUnavailableError } from '../../../lib/storage/driver.ts';

describe('a look', () => {
  it('is valid for its time and not longer', (t) => {
    let nowMs = performance.now();
    t.mock.method(performance, 'now', () => nowMs);
    const look = new Look();
    nowMs += COLLECTION_TIMES.lookMs - 1000;
    look.check();
    nowMs += 1000;
    assert.throws(() => look.check(), StorageUnavailableError);
  });

  it('expires when the wall clock is set forward', (t) => {
    const look = new Look();
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + COLLECTION_TIMES.lookMs });
    assert.equal(look.isValid, false);
  });

  it('ends long before the grace period does', () => {
    assert.ok(COLLECTION_TIMES.lookMs < MIN_GRACE_MS && MIN_GRACE_MS <= COLLECTION_TIMES.graceMs);
  });
});
