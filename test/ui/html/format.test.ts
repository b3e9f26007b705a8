import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sizeText } from '../../../lib/model/size.ts';
import { agoText, exactBytes, exactTime, shortDigest } from '../../../lib/ui/html/format.ts';
import { sizeHtml } from '../../../lib/ui/html/html.ts';

describe('numbers as people read them', () => {
  it('are sizes in powers of 1,024, as the commands print them, with the exact value beside them', () => {
    const exact = [0, 1, 1023, 1024, 12_345, 212_448_120, 2 ** 20 - 1, 2 ** 20, 1_234_567_890, 5e18];
    assert.deepEqual(exact.map(sizeText), [
      '0 B',
      '1 B',
      '1023 B',
      '1.0 KiB',
      '12.1 KiB',
      '202.6 MiB',
      '1.0 MiB',
      '1.0 MiB',
      '1.1 GiB',
      '4440.9 PiB',
    ]);
    const html = String(sizeHtml(212_448_120));
    assert.ok(html.includes('202.6 MiB') && html.includes('212,448,120 bytes'), html);
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
