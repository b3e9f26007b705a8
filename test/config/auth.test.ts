import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadKeys, loadText, messageOf, textFile } from './load-text.ts';

const ARN = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:registry/users-AbCdEf';

const authOf = (auth: unknown, env?: Record<string, string>) => loadKeys({ auth }, env).config.auth;

test('without auth, and where its variable is not set, the registry is open', () => {
  assert.equal(loadKeys({}).config.auth, undefined);
  assert.equal(authOf(null), undefined);
  assert.equal(authOf('_env:AUTH'), undefined);
});

test('a path is all that is needed; the rest has defaults', () => {
  assert.deepEqual(authOf({ htpasswd: './users' }), {
    htpasswd: { kind: 'file', path: './users' },
    realm: 'Stowage',
    groups: {},
  });
});

test('the whole section may come from a variable', () => {
  const auth = authOf('_env:AUTH', {
    AUTH: '{htpasswd: /run/users, realm: Ours, groups: {devs: [alice, bob], ops: carl}}',
  });
  assert.deepEqual(auth, {
    htpasswd: { kind: 'file', path: '/run/users' },
    realm: 'Ours',
    groups: { devs: ['alice', 'bob'], ops: ['carl'] },
  });
});

test('users may lie in an object or in a secret', () => {
  assert.deepEqual(authOf({ htpasswd: 's3://other/a/b' })?.htpasswd, { kind: 'object', bucket: 'other', key: 'a/b' });
  assert.deepEqual(authOf({ htpasswd: ARN })?.htpasswd, { kind: 'secret', arn: ARN });
  const own = loadText(`dev: {storage: s3, storage_path: /r, boto_bucket: own, auth: {htpasswd: 's3:///auth/users'}}`);
  assert.deepEqual(own.config.auth?.htpasswd, { kind: 'object', bucket: 'own', key: 'auth/users' });
});

for (const [title, auth, message] of [
  ['a section that names nobody', { realm: 'x' }, /auth names nobody who may log in/],
  ['an empty section', {}, /auth names nobody/],
  ['a variable that was not set', { htpasswd: '_env:HTPASSWD' }, /auth names nobody/],
  ['an object of a bucket that is not there', { htpasswd: 's3:///users' }, /auth\.htpasswd .*needs storage: s3/],
  [
    'a bucket without a key',
    { htpasswd: 's3://bucket' },
    /auth\.htpasswd "s3:\/\/bucket" is not allowed; allowed: a path/,
  ],
  ['an ARN of something else', { htpasswd: 'arn:aws:iam::1:user/x' }, /auth\.htpasswd .* is not allowed/],
  ['a realm that ends the header', { htpasswd: 'x', realm: 'a"b' }, /auth\.realm .* is not allowed/],
  [
    'groups that are a list',
    { htpasswd: 'x', groups: ['a'] },
    /auth\.groups \(a list\) is not allowed; allowed: a map/,
  ],
  ['a text', 'yes', /auth must be a map of keys/],
] as const) {
  test(`${title} stops the start: nothing opens the registry by mistake`, () => {
    const error = messageOf(() => authOf(auth));
    assert.ok(error.startsWith(`${textFile}: `), error);
    assert.match(error, message);
  });
}

test('a key that auth does not know is named', () => {
  const { warnings } = loadKeys({ auth: { htpasswd: 'x', relm: 'y' } });
  assert.deepEqual(warnings, [`${textFile}: auth.relm is not a known key and is ignored; did you mean auth.realm?`]);
});
