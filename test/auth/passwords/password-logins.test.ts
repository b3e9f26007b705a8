import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hashPassword } from '../../../lib/auth/passwords/bcrypt.ts';
import { PasswordLogins, REMEMBERED_MS } from '../../../lib/auth/passwords/password-logins.ts';
import { Users } from '../../../lib/auth/passwords/users.ts';
import { createLog } from '../../../lib/model/log.ts';
import { MemorySource } from './memory-source.ts';

/** Logins of alice, whose password is `right`, with a count of the comparisons. */
async function open() {
  const source = new MemorySource(`alice:${await hashPassword('right', 4)}\n`);
  const users = await Users.open(source, createLog('critical'));
  const compared: string[] = [];
  const compare = async (password: string) => {
    compared.push(password);
    await sleep(1);
    return password === 'right';
  };
  return { source, compared, logins: new PasswordLogins(users, compare) };
}

test('simultaneous logins with one password share one comparison', async () => {
  const { compared, logins } = await open();
  assert.deepEqual(
    await Promise.all(Array.from({ length: 10 }, () => logins.isRight('alice', 'right'))),
    Array(10).fill(true),
  );
  assert.deepEqual(compared, ['right']);
});

test('a correct password is remembered for five minutes, a wrong one is not', async (t) => {
  const { compared, logins } = await open();
  for (let i = 0; i < 2; i++) {
    assert.equal(await logins.isRight('alice', 'wrong'), false);
    assert.equal(await logins.isRemembered('alice', 'wrong'), false);
    assert.equal(await logins.isRight('alice', 'right'), true);
    assert.equal(await logins.isRemembered('alice', 'right'), true);
  }
  assert.deepEqual(compared, ['wrong', 'right', 'wrong']);
  await sleep(5); // the cache reads the clock once in a millisecond
  const later = Date.now() + REMEMBERED_MS + 1;
  t.mock.method(Date, 'now', () => later);
  assert.equal(await logins.isRemembered('alice', 'right'), false);
  assert.equal(await logins.isRight('alice', 'right'), true);
  assert.equal(compared.length, 4);
});

test('a correct password is compared again when the hash has changed', async () => {
  const { source, compared, logins } = await open();
  await logins.isRight('alice', 'right');
  source.text = `alice:${await hashPassword('another', 4)}\n`;
  assert.equal(await logins.isRemembered('alice', 'right'), false);
  await logins.isRight('alice', 'right');
  assert.equal(compared.length, 2);
});
