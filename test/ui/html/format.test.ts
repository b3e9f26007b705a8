import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { agoText, bytesText, exactBytes, exactTime, shortDigest } from '../../../lib/ui/html/format.ts';

describe('numbers as people read them', () => {
  it('have three digits, and the exact value beside them', () => {
    const shown = [0, 1, 999, 1000, 12_345, 212_448_120, 999_499, 999_500, 1_234_567_890, 5e15].map(bytesText);
    assert.deepEqual(shown, ['0 B', '1 B', '999 B', '1 kB', '12.3 kB', '212 MB', '999 kB', '1 MB', '1.23 GB', '5 PB']);
    assert.deepEqual([exactBytes(1), exactBytes(212_448_120)], ['1 byte', '212,448,120 bytes']);
  });

  it('tell the age of a time', () => {
    const now = new Date('2026-11-27T12:00:00Z');
    const ages: [string, string][] = [
      ['2026-11-27T12:05:00Z', 'just now'],
      ['2026-11-27T11:59:30Z', 'just now'],
      ['2026-11-27T11:58:00Z', '2 minutes ago'],
      ['2026-11-27T09:59:00Z', '2 hours ago'],
      ['2026-11-26T11:00:00Z', 'yesterday'],
      ['2026-11-24T11:00:00Z', '3 days ago'],
      ['2026-11-01T11:00:00Z', '3 weeks ago'],
      ['2026-06-01T00:00:00Z', '5 months ago'],
      ['2014-05-15T02:37:51Z', '12 years ago'],
    ];
    for (const [at, shown] of ages) assert.equal(agoText(new Date(at), now), shown, at);
    assert.equal(exactTime(new Date('2014-05-15T02:37:51.123Z')), '2014-05-15 02:37:51 UTC');
  });

  it('shorten digests', () => {
    assert.equal(shortDigest(`sha256:8aedcdadf14b${'0'.repeat(52)}`), 'sha256:8aedcdadf14b');
  });
});
