import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadKeys, loadText, messageOf, textFile } from './load-text.ts';

const ARN = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:registry/users-AbCdEf';

const authOf = (auth: unknown, env?: Record<string, string>) => loadKeys({ auth }, env).config.auth;

test('without auth, or if its variable is not set, the registry is open', () => {
  assert.equal(loadKeys({}).config.auth, undefined);
  assert.equal(authOf(null), undefined);
  assert.equal(authOf('_env:AUTH'), undefined);
});

test('auth needs a path of users only; the rest has defaults', () => {
  assert.deepEqual(authOf({ htpasswd: './users' }), {
    htpasswd: { kind: 'file', path: './users' },
    oidc: [],
    realm: 'Stowage',
    groups: {},
    rules: undefined,
  });
});

test('the whole section may come from a variable', () => {
  const auth = authOf('_env:AUTH', {
    AUTH: '{htpasswd: /run/users, realm: Ours, groups: {devs: [alice, bob], ops: carl}}',
  });
  assert.deepEqual(auth, {
    htpasswd: { kind: 'file', path: '/run/users' },
    oidc: [],
    realm: 'Ours',
    groups: { devs: ['alice', 'bob'], ops: ['carl'] },
    rules: undefined,
  });
});

test('users can be in an object or in a secret', () => {
  assert.deepEqual(authOf({ htpasswd: 's3://other/a/b' })?.htpasswd, { kind: 'object', bucket: 'other', key: 'a/b' });
  assert.deepEqual(authOf({ htpasswd: ARN })?.htpasswd, { kind: 'secret', arn: ARN });
  const own = loadText(`dev: {storage: s3, storage_path: /r, boto_bucket: own, auth: {htpasswd: 's3:///auth/users'}}`);
  assert.deepEqual(own.config.auth?.htpasswd, { kind: 'object', bucket: 'own', key: 'auth/users' });
});

for (const [title, auth, message] of [
  ['a section without users', { realm: 'x' }, /auth names no users/],
  ['an empty section', {}, /auth names no users/],
  ['a variable that was not set', { htpasswd: '_env:HTPASSWD' }, /auth names no users/],
  [
    'an object of the own bucket without storage: s3',
    { htpasswd: 's3:///users' },
    /auth\.htpasswd .*needs storage: s3/,
  ],
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
  test(`${title} stops the start instead of opening the registry`, () => {
    const error = messageOf(() => authOf(auth));
    assert.ok(error.startsWith(`${textFile}:4: `), error);
    assert.match(error, message);
  });
}

test('an unknown key in auth stops the start', () => {
  const message = `${textFile}:4: auth.relm is not a known key; did you mean auth.realm?`;
  assert.equal(
    messageOf(() => loadKeys({ auth: { htpasswd: 'x', relm: 'y' } })),
    message,
  );
  assert.equal(
    messageOf(() => loadKeys({ auth: '_env:AUTH' }, { AUTH: '{htpasswd: x, relm: y}' })),
    message,
  );
});

const rulesOf = (access: unknown, env?: Record<string, string>) =>
  loadKeys({ auth: { htpasswd: 'x', groups: { devs: 'alice' } }, access }, env).config.auth?.rules;

test('access is a list of rules, in the file or in a variable', () => {
  const rules = [
    { repositories: ['team/*', 'app'], users: [], groups: ['devs'], effect: 'allows', actions: ['pull', 'push'] },
    { repositories: ['*'], users: ['anonymous'], groups: [], effect: 'denies', actions: ['pull', 'push', 'delete'] },
  ];
  const text =
    "[{repositories: 'team/*, app', groups: devs, actions: [pull, push]}, {repositories: '*', users: anonymous, deny: '*'}]";
  assert.deepEqual(rulesOf(text), rules);
  assert.deepEqual(rulesOf('_env:ACCESS', { ACCESS: text }), rules);
  assert.equal(rulesOf('_env:ACCESS'), undefined);
  assert.deepEqual(rulesOf('[]'), [], 'no rule is not the same as no rules');
});

for (const [title, rule, message] of [
  ['that is a text', 'pull', /rule 1 is not a map/],
  [
    'with an unknown key',
    { repositories: 'a', user: 'x', actions: 'pull' },
    /rule 1 has user; allowed: repositories, users/,
  ],
  ['without repositories', { users: 'x', actions: 'pull' }, /rule 1 names no repositories/],
  [
    'with repositories that are a map',
    { repositories: {}, users: 'x', actions: 'pull' },
    /rule 1 has repositories that are/,
  ],
  ['without callers', { repositories: 'a', actions: 'pull' }, /rule 1 names no callers/],
  [
    'for a variable that was not set',
    { repositories: 'a', users: '_env:U', actions: 'pull' },
    /rule 1 has users that are/,
  ],
  ['without actions', { repositories: 'a', users: 'x' }, /rule 1 must have actions, which it allows, or deny/],
  ['with both', { repositories: 'a', users: 'x', actions: 'pull', deny: 'push' }, /rule 1 must have actions/],
  [
    'with an unknown action',
    { repositories: 'a', users: 'x', actions: 'psh' },
    /rule 1 has actions psh; allowed: pull, push, delete/,
  ],
  ['with no action in the list', { repositories: 'a', users: 'x', actions: [] }, /rule 1 has no actions/],
] as const) {
  test(`a rule ${title} stops the start`, () => {
    const error = messageOf(() => rulesOf([rule]));
    assert.ok(error.startsWith(`${textFile}:5: access: `), error);
    assert.match(error, message);
  });
}

test('rules without auth stop the start, and so does auth beside an index elsewhere', () => {
  const access = [{ repositories: '*', users: '*', actions: '*' }];
  assert.match(
    messageOf(() => loadKeys({ access })),
    /access needs auth/,
  );
  assert.match(
    messageOf(() => loadKeys({ auth: { htpasswd: 'x' }, standalone: false })),
    /auth needs standalone: true/,
  );
});

test('a rule that is probably a mistake gives a warning', () => {
  const access = [{ repositories: '*', groups: 'dev', actions: 'push' }];
  const { warnings } = loadKeys({ auth: { htpasswd: 'x', groups: { devs: 'alice' } }, access });
  assert.deepEqual(warnings, [
    `${textFile}:5: access rule 1 names the group dev, which has no members`,
    `${textFile}:5: access rule 1 allows push without pull, but clients read before they push`,
  ]);
});

test('immutable tags are pairs of patterns', () => {
  assert.deepEqual(loadKeys({ immutable_tags: ['team/*:v*', '*:*'] }).config.immutableTags, [
    { repositories: 'team/*', tags: 'v*' },
    { repositories: '*', tags: '*' },
  ]);
  for (const wrong of ['team/*', 'a:b:c', ':v', 'a:']) {
    assert.match(
      messageOf(() => loadKeys({ immutable_tags: [wrong] })),
      /immutable_tags: ".*" is not of the form/,
      wrong,
    );
  }
});

const oidcOf = (entry: object) => loadKeys({ auth: { oidc: [entry] } }).config.auth?.oidc;
const GITHUB = { issuer: 'https://token.actions.githubusercontent.com', audience: 'registry.example' };

test('identity providers suffice as users', () => {
  assert.deepEqual(
    oidcOf({ ...GITHUB, claims: { repository: 'org/*', ref: ['refs/heads/main', 'refs/tags/*'] }, groups: 'ci' }),
    [
      {
        ...GITHUB,
        jwksUri: undefined,
        claims: { repository: ['org/*'], ref: ['refs/heads/main', 'refs/tags/*'] },
        groups: ['ci'],
      },
    ],
  );
});

for (const [title, entry, message] of [
  ['without an issuer', { audience: 'x', claims: { sub: '*' } }, /auth\.oidc: entry 1 has no issuer/],
  ['without an audience', { issuer: 'https://x', claims: { sub: '*' } }, /entry 1 has no audience/],
  ['without claims', GITHUB, /entry 1 has no claims/],
  ['with no claim in the map', { ...GITHUB, claims: {} }, /entry 1 has no claims/],
  ['over plain HTTP', { ...GITHUB, issuer: 'http://x', claims: { sub: '*' } }, /issuer that is no address .* https/],
  [
    'over plain HTTP, from another machine',
    { ...GITHUB, issuer: 'http://x', insecure: true, claims: { sub: '*' } },
    /https/,
  ],
  [
    'with keys over plain HTTP',
    { ...GITHUB, jwks_uri: 'http://127.0.0.1/', claims: { sub: '*' } },
    /jwks_uri that is no address/,
  ],
  ['with a fragment', { ...GITHUB, issuer: 'https://x#', claims: { sub: '*' } }, /issuer that is no address/],
  ['with an unknown key', { ...GITHUB, claim: { sub: '*' } }, /entry 1 has claim; allowed: issuer/],
  ['that is a text', 'x', /entry 1 is not a map/],
] as const) {
  test(`an identity provider ${title} stops the start`, () => {
    assert.match(
      messageOf(() => oidcOf(entry as object)),
      message,
    );
  });
}

test('a rule or group with the subject of a token but not its issuer stops the start', () => {
  const oidc = [{ ...GITHUB, claims: { sub: '*' } }];
  const load = (user: string, effect: object, groups = {}) =>
    loadKeys({ auth: { oidc, groups }, access: [{ repositories: '*', users: ['alice', user], ...effect }] });
  for (const effect of [{ actions: 'pull' }, { deny: '*' }]) {
    load(`oidc:${GITHUB.issuer}#repo:org/app`, effect);
    for (const user of ['oidc:repo:org/app', 'oidc:https://elsewhere.example#repo:org/app', `oidc:${GITHUB.issuer}`]) {
      assert.match(
        messageOf(() => load(user, effect)),
        /access rule 1 names the user oidc:.*; allowed: oidc:https:\/\/token\.actions\.githubusercontent\.com#<subject>/,
      );
    }
  }
  assert.match(
    messageOf(() => load('x', { deny: '*' }, { ci: [`oidc:${GITHUB.issuer}#repo:org/app`] })),
    /auth\.groups ci has the member oidc:.*; an entry of auth\.oidc says itself which groups/,
  );
});
