import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError } from '../../lib/config/config-error.ts';
import { DAY_MS, HOUR_MS } from '../../lib/model/duration.ts';
import { loadText } from './load-text.ts';

const LOCAL = 'dev:\n  storage: local\n  storage_path: ./data\n';

const gcOf = (text: string) => loadText(`${LOCAL}  ${text}\n`).config.gc;

describe('gc', () => {
  it('runs the collector each day with a grace period of three days', () => {
    assert.deepEqual(loadText(LOCAL).config.gc, { everyMs: DAY_MS, graceMs: 3 * DAY_MS });
    assert.deepEqual(gcOf('gc: {every: 12h}'), { everyMs: 12 * HOUR_MS, graceMs: 3 * DAY_MS });
  });

  for (const off of ['off', 'false', 'null']) {
    it(`has no schedule with ${off}`, () => {
      assert.deepEqual(gcOf(`gc: ${off}`), { graceMs: 3 * DAY_MS });
    });
  }

  it('takes a grace period from 25 hours on, since an upload session lives for a day', () => {
    assert.equal(gcOf('gc: {grace: 25h}').graceMs, 25 * HOUR_MS);
    for (const text of ['gc: {grace: 24h}', 'gc: {grace: 0s}', 'gc: {every: 5m}', 'gc: {every: soon}', 'gc: [1d]']) {
      assert.throws(() => gcOf(text), ConfigError, text);
    }
  });
});
