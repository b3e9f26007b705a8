import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashPassword } from '../../../lib/auth/passwords/bcrypt.ts';
import { PasswordThread } from '../../../lib/auth/passwords/password-thread.ts';

test('comparing a password does not block the event loop', async () => {
  const thread = new PasswordThread();
  const hash = await hashPassword('right', 12);
  await thread.compare('warm up', hash);
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
  const tookMs = performance.now() - started;
  clearInterval(timer);
  assert.ok(longestMs < tookMs / 3, `stood still for ${longestMs} of ${tookMs} ms`);
});

test('a hash that makes bcrypt fail is an error, and the next comparison works', async () => {
  const thread = new PasswordThread();
  await assert.rejects(thread.compare('x', 'no hash'), /passwords cannot be compared/);
  assert.equal(await thread.compare('right', await hashPassword('right', 4)), true);
});
