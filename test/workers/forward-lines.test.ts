import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { forwardLines } from '../../lib/workers/forward-lines.ts';

it('lines of several processes do not mix, however they arrive, and when a process ends within a line', async () => {
  const [one, other, to] = [new PassThrough(), new PassThrough(), new PassThrough()];
  forwardLines(one, to);
  forwardLines(other, to);
  for (const [from, chunk] of [
    [one, 'first of '],
    [other, 'first of other\nsecond '],
    [one, 'one\nsecond of one\nthird'],
    [other, 'of other\n'],
  ] as const) {
    from.write(chunk);
    await setImmediate();
  }
  one.end();
  await setImmediate();
  other.write('after it\n');
  await setImmediate();
  to.end();
  assert.equal(await text(to), 'first of other\nfirst of one\nsecond of one\nsecond of other\nthird\nafter it\n');
});
