import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compareText, naturalKey } from '../../../lib/ui/data/natural-order.ts';

const compareNaturally = (a: string, b: string) => compareText(naturalKey(a), naturalKey(b)) || compareText(a, b);

describe('the order of tags', () => {
  for (const sorted of [
    ['6.0.8', '6.0.10', '6.1'],
    ['1.0-rc1', '1.0-rc2', '1.0', '1.0.1'],
    ['v9', 'v10', 'v10.1'],
    ['2024-01-31', '2024-02-01', '2024-10-01'],
    ['1.0', '1.00'],
    ['a', 'b', 'b1', 'b2', 'b10'],
    ['app', 'app-a', 'app.b', 'appendix'],
    ['1-alpha', '1', '1.0-alpha', '1.0', '1.0_a', '1a'],
    ['007', '8', '09', '10'],
    ['99999999999999999998', '99999999999999999999', '100000000000000000000'],
  ]) {
    it(`is ${sorted.join(' < ')}`, () => {
      assert.deepEqual(sorted.toReversed().sort(compareNaturally), sorted);
    });
  }

  it('is a total order', () => {
    const tag = fc.stringMatching(/^[a-c0-2.-]{0,8}$/);
    fc.assert(
      fc.property(tag, tag, tag, (a, b, c) => {
        const [ab, bc, ac] = [compareNaturally(a, b), compareNaturally(b, c), compareNaturally(a, c)];
        assert.equal(Math.sign(ab) + Math.sign(compareNaturally(b, a)), 0);
        assert.equal(ab === 0, a === b);
        if (ab <= 0 && bc <= 0) assert.ok(ac <= 0, `${a} ≤ ${b} ≤ ${c}`);
      }),
      { numRuns: 5000 },
    );
  });
});
