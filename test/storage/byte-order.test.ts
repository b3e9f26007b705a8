import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareByteOrder } from '../../lib/storage/byte-order.ts';

test('strings are in the order of their UTF-8 bytes', () => {
  const unit = fc.constantFrom(
    'a',
    'b',
    '/',
    '-',
    '.',
    '0',
    'é',
    '\ud7ff',
    '\ue000',
    '\uffff',
    '\u{10000}',
    '\u{10ffff}',
  );
  const text = fc.array(unit, { maxLength: 6 }).map((units) => units.join(''));
  fc.assert(
    fc.property(text, text, (a, b) => {
      const expected = Buffer.compare(Buffer.from(a), Buffer.from(b));
      assert.equal(Math.sign(compareByteOrder(a, b)), expected);
    }),
  );
});
