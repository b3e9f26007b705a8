import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashPassword } from '../../../lib/auth/passwords/bcrypt.ts';
import { PasswordThread } from '../../../lib/auth/passwords/password-thread.ts';

test('comparing a password does not block the event loop', async () => {
  const thread = new PasswordThread();
  const hash = await hashPassword('right', 12);
  await thread.compare('warm up', hash);
  /** The longest time for which the loop stood still, as a part of the time of three comparisons. */
  const stoodStill = async (): Promise<number> => {
    let longestMs = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      longestMs = Math.max(longestMs, performance.now() - last);
      last = performance.now();
    }, 1);
    const started = performance.now();
    assert.equal(await thread.compare('right', hash), true);
    assert.equal(await thread.compare('wrong', hash), false);
    assert.equal(await thread.compare('', hash), false);
    clearInterval(timer);
    return longestMs / (performance.now() - started);
  };
  // A busy machine stops the process now and then, a comparison on this thread would each time.
  const parts: number[] = [];
  while (parts.length < 10 && !parts.some((part) => part < 1 / 3)) parts.push(await stoodStill());
  assert.ok(Math.min(...parts) < 1 / 3, parts.join());
});

test('a hash that makes bcrypt fail is an error, and the next comparison works', async () => {
  const thread = new PasswordThread();
  await assert.rejects(thread.compare('x', 'no hash'), /passwords cannot be compared/);
  assert.equal(await thread.compare('right', await hashPassword('right', 4)), true);
});
