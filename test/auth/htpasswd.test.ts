import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashPassword, isPassword, unmatchedHash } from '../../lib/auth/bcrypt.ts';
import { costOf, parseHtpasswd } from '../../lib/auth/htpasswd.ts';

/** Made by `htpasswd -nbB alice secret` of Apache 2.4. */
const BY_APACHE = '$2y$05$FFqvSuyJmA5eecpyvVzbDeDyyYBlTcIMmzBCzuoIFYk1o1fNk.ROO';

test('a password file of bcrypt hashes is read, comments and all', () => {
  const { hashes, problems } = parseHtpasswd(`# people\r\nalice:${BY_APACHE}\n\nbob:${BY_APACHE}:Bob of accounting\n`);
  assert.deepEqual(
    [...hashes],
    [
      ['alice', BY_APACHE],
      ['bob', BY_APACHE],
    ],
  );
  assert.deepEqual(problems, []);
});

for (const [title, line, problem] of [
  ['MD5 of Apache', 'alice:$apr1$sv9S1g3d$2hNTQBk6w4VnAb6Q6XXXX/', /alice is not hashed by bcrypt/],
  ['SHA-1', 'alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=', /alice is not hashed by bcrypt/],
  ['a password as it is', 'alice:secret', /alice is not hashed by bcrypt/],
  ['no password', 'alice:', /alice is not hashed by bcrypt/],
  ['no colon', 'alice', /not of the form/],
  ['no name', `:${BY_APACHE}`, /not of the form/],
  ['a cost that would stop the registry', `alice:${BY_APACHE.replace('$05$', '$31$')}`, /cost 31; allowed: up to 14/],
] as const) {
  test(`${title} opens nothing, and is named without its hash`, () => {
    const { hashes, problems } = parseHtpasswd(`bob:${BY_APACHE}\n${line}\n`);
    assert.deepEqual([...hashes.keys()], ['bob']);
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? '', problem);
    assert.match(problems[0] ?? '', /^line 2: /);
    assert.doesNotMatch(problems[0] ?? '', /\$|SHA|secret/);
  });
}

test('a hash opens for its password in all spellings of bcrypt, and for no other', async () => {
  const hash = await hashPassword('pass:wörd', 4);
  for (const spelling of ['$2y$', '$2b$', '$2a$']) {
    assert.equal(await isPassword('pass:wörd', hash.replace('$2y$', spelling)), true, spelling);
  }
  for (const wrong of ['', 'pass:wörd ', 'pass', 'PASS:WÖRD'])
    assert.equal(await isPassword(wrong, hash), false, wrong);
});

test('a hash that Apache made opens', async () => {
  assert.equal(await isPassword('secret', BY_APACHE), true);
});

test('a password longer than bcrypt takes is wrong, rather than right by its first 72 bytes', async () => {
  const hash = await hashPassword('x'.repeat(72), 4);
  assert.equal(await isPassword('x'.repeat(72), hash), true);
  assert.equal(await isPassword('x'.repeat(73), hash), false);
});

test('the hash for users that do not exist is one of bcrypt that nothing opens', async () => {
  assert.equal(costOf(unmatchedHash(11)), 11);
  for (const password of ['', 'x', '.']) assert.equal(await isPassword(password, unmatchedHash(4)), false);
});
