import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TextSource } from '../../../lib/auth/passwords/text-source.ts';
import { Users } from '../../../lib/auth/passwords/users.ts';
import { createLog } from '../../../lib/model/log.ts';

const ALICE = `alice:$2y$04$${'a'.repeat(53)}\n`;

/** @param failures how many reads fail before one succeeds */
function open(failures: number) {
  const lines: string[] = [];
  const log = createLog('info', (line) => lines.push(line) > 0);
  const source = {
    name: 'test',
    intervalMs: 60_000,
    reads: 0,
    async read() {
      if (this.reads++ < failures) throw new Error('not now');
      return { text: ALICE, version: '1' };
    },
  } satisfies TextSource & { reads: number };
  return { source, lines, users: Users.lazy(source, log) };
}

test('lazy users are not read to tell whether they are current', async () => {
  const { source, users } = open(0);
  assert.equal(await users.areCurrent(), true);
  assert.equal(await users.problem(), undefined);
  assert.equal(source.reads, 0);
});

test('lazy users are read once for simultaneous lookups', async () => {
  const { source, users } = open(0);
  assert.deepEqual(await Promise.all([users.has('alice'), users.has('bob'), users.has('alice')]), [true, false, true]);
  assert.equal(source.reads, 1);
});

test('the first read of lazy users is repeated once, without an error in the log', async () => {
  const { source, lines, users } = open(1);
  assert.equal(await users.has('alice'), true);
  assert.deepEqual([source.reads, lines], [2, []]);
});

test('lazy users that cannot be read are none, and not current', async () => {
  const { source, lines, users } = open(2);
  assert.equal(await users.has('alice'), false);
  assert.equal(await users.areCurrent(), false);
  assert.deepEqual([source.reads, lines.length], [2, 1]);
});
