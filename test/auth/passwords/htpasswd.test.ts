import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashPassword, isPassword, unmatchedHash } from '../../../lib/auth/passwords/bcrypt.ts';
import { costOf, parseHtpasswd } from '../../../lib/auth/passwords/htpasswd.ts';

/** Made by `htpasswd -nbB alice secret` of Apache 2.4. */
const BY_APACHE = '$2y$05$FFqvSuyJmA5eecpyvVzbDeDyyYBlTcIMmzBCzuoIFYk1o1fNk.ROO';

test('a file of bcrypt hashes with comments is read', () => {
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
  ['MD5 of Apache', 'alice:$apr1$sv9S1g3d$2hNTQBk6w4VnAb6Q6XXXX/', /alice is not a bcrypt hash \(found: MD5/],
  ['SHA-1', 'alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=', /alice is not a bcrypt hash \(found: SHA-1/],
  ['a password as it is', 'alice:secret', /alice is not a bcrypt hash,/],
  ['no password', 'alice:', /: alice has no hash,/],
  ['no colon', 'alice', /not of the form/],
  ['no name', `:${BY_APACHE}`, /not of the form/],
  ['SHA-256 of crypt', 'alice:$5$rounds=1000$ab$cd', /found: SHA-256 \(crypt\)\), .* type: stowage user add alice/],
  ['SHA-512 of crypt', 'alice:$6$ab$cd', /found: SHA-512/],
  ['DES', 'alice:rl0uE3S3gzXeA', /found: DES/],
  ['Argon2', 'alice:$argon2id$v=19$m=65536', /found: Argon2/],
  ['an incomplete bcrypt hash', `alice:${BY_APACHE.slice(0, 50)}`, /found: an incomplete bcrypt hash/],
  ['a cost below the minimum of bcrypt', `alice:${BY_APACHE.replace('$05$', '$03$')}`, /cost 3; allowed: from 4 on/],
  ['the highest cost', `alice:${BY_APACHE.replace('$05$', '$99$')}`, /cost 99; allowed/],
  ['a name with a space', `al ice:${BY_APACHE}`, /"al ice" .*allowed: up to 64 letters/],
  ['a reserved name', `robot:${BY_APACHE}`, /"robot" cannot be/],
  ['a cost that would block the registry', `alice:${BY_APACHE.replace('$05$', '$31$')}`, /cost 31; allowed: up to 14/],
] as const) {
  test(`${title} lets no user in, and is reported without the hash`, () => {
    const { hashes, problems } = parseHtpasswd(`bob:${BY_APACHE}\n${line}\n`);
    assert.deepEqual([...hashes.keys()], ['bob']);
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? '', problem);
    assert.match(problems[0] ?? '', /^line 2: /);
    const hash = line.slice(line.indexOf(':') + 1).replace(/^\{SHA\}|^\$\w+\$/, '');
    if (line.includes(':') && hash !== '') assert.ok(!problems[0]?.includes(hash), problems[0]);
    assert.doesNotMatch(problems[0] ?? '', /\$|secret/);
  });
}

test('a hash matches its password in all spellings of bcrypt, and no other password', async () => {
  const hash = await hashPassword('pass:wörd', 4);
  for (const spelling of ['$2y$', '$2b$', '$2a$']) {
    assert.equal(await isPassword('pass:wörd', hash.replace('$2y$', spelling)), true, spelling);
  }
  for (const wrong of ['', 'pass:wörd ', 'pass', 'PASS:WÖRD'])
    assert.equal(await isPassword(wrong, hash), false, wrong);
});

test('a hash that Apache made matches', async () => {
  assert.equal(await isPassword('secret', BY_APACHE), true);
});

test('a password of more than 72 bytes is wrong, even if its first 72 bytes are correct', async () => {
  const hash = await hashPassword('x'.repeat(72), 4);
  assert.equal(await isPassword('x'.repeat(72), hash), true);
  assert.equal(await isPassword('x'.repeat(73), hash), false);
});

test('the hash for unknown users is a bcrypt hash that no password matches', async () => {
  assert.equal(costOf(unmatchedHash(11)), 11);
  for (const password of ['', 'x', '.']) assert.equal(await isPassword(password, unmatchedHash(4)), false);
});

for (const [title, text] of [
  ['a byte order mark', `\uFEFFalice:${BY_APACHE}\n`],
  ['line ends of Windows', `alice:${BY_APACHE}\r\n`],
  ['line ends of old Macs', `alice:${BY_APACHE}\r`],
  ['spaces around name and hash', `  alice : ${BY_APACHE} \t\n`],
  ['an indented comment', `   # people\nalice:${BY_APACHE}`],
] as const) {
  test(`${title} is ignored`, () => {
    assert.deepEqual(parseHtpasswd(text), { hashes: new Map([['alice', BY_APACHE]]), problems: [] });
  });
}

test('a UTF-16 file is reported as such, in one line', () => {
  const text = Buffer.from(`\uFEFFalice:${BY_APACHE}\r\nbob:${BY_APACHE}\r\n`, 'utf16le').toString('utf8');
  const { hashes, problems } = parseHtpasswd(text);
  assert.equal(hashes.size, 0);
  assert.deepEqual(problems, ['line 1: the file holds NUL bytes, as UTF-16 does; save it as UTF-8']);
});

test('of two lines with one name the last takes effect, usable or not, and the report names both', () => {
  const other = BY_APACHE.replace('FFqv', 'AAAA');
  const twice = parseHtpasswd(`alice:${BY_APACHE}\nbob:${BY_APACHE}\nalice:${other}\n`);
  assert.equal(twice.hashes.get('alice'), other);
  assert.deepEqual(twice.problems, ['line 1: alice is there again in line 3, which takes effect']);
  const replaced = parseHtpasswd(`alice:${BY_APACHE}\nalice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n`);
  assert.equal(replaced.hashes.has('alice'), false, 'the old password is not accepted');
  assert.match(replaced.problems[0] ?? '', /^line 2: .*SHA-1/);
});
