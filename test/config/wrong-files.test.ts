// Wrong configurations as operators write them. Each stops the start with one line that says file, line, key and remedy, or
// is named in a warning; none opens the registry in silence.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Env, loadText, messageOf, textFile } from './load-text.ts';

const SHIPPED = readFileSync(new URL('../../config.yml', import.meta.url), 'utf8');
const SHIPPED_LINES = SHIPPED.split('\n').length - 1;
/** The shipped file up to the last flavor, without `common` and the comment above it. */
const BEFORE_COMMON = SHIPPED.slice(0, SHIPPED.lastIndexOf('\n\n') + 2);
const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const [, SNIPPET = ''] = /^```yaml\n([\s\S]*?)^```$/m.exec(README) ?? [];

const LOCAL = 'storage: local\n  storage_path: ./data';
const AUTH = 'auth: {htpasswd: ./users}';
const ACCESS = "access: [{repositories: '*', users: '*', actions: '*'}]";

/** A line of the file, with the key that the message names after it. `line` is undefined where the file has none. */
type Row = { title: string; text: string; env?: Env; line: number | undefined; says: string };

const ERRORS: Row[] = [
  {
    title: "README's snippet beside the flavors, not indented",
    text: SHIPPED + SNIPPET.replaceAll(/^ {2}/gm, ''),
    line: SHIPPED_LINES + 1,
    says: `auth stands beside the flavors, where it means nothing: indent the line, and move it below common: (line ${SHIPPED_LINES - 1})`,
  },
  {
    title: 'rules alone beside the flavors',
    text: `dev:\n  ${LOCAL}\n${ACCESS}\n`,
    line: 4,
    says: 'access stands beside the flavors, where it means nothing: indent its lines, and move them below dev: (line 1)',
  },
  {
    title: 'the keys of a flavor that are not indented',
    text: `dev:\nstorage: local\n${AUTH}\n`,
    line: 2,
    says: 'storage stands beside the flavors, where it means nothing: indent the line, and move it below dev: (line 1)',
  },
  {
    title: 'a misspelt auth beside the flavors',
    text: `dev:\n  ${LOCAL}\nauht: {htpasswd: ./users}\n`,
    line: 4,
    says: 'auht is neither a flavor nor a known key; did you mean auth, below dev:?',
  },
  {
    title: 'a misspelt auth in a flavor',
    text: `dev:\n  ${LOCAL}\n  auht: {htpasswd: ./users}\n`,
    line: 4,
    says: 'auht is not a known key; did you mean auth?',
  },
  {
    title: 'a misspelt access in a flavor',
    text: `dev:\n  ${LOCAL}\n  ${AUTH}\n  acess: []\n`,
    line: 5,
    says: 'acess is not a known key; did you mean access?',
  },
  {
    title: 'htpasswd without auth around it',
    text: `dev:\n  ${LOCAL}\n  htpasswd: ./users\n`,
    line: 4,
    says: 'htpasswd is not a known key; did you mean auth.htpasswd?',
  },
  {
    title: 'groups beside auth instead of in it',
    text: `dev:\n  ${LOCAL}\n  ${AUTH}\n  groups: {devs: [alice]}\n`,
    line: 5,
    says: 'groups is not a known key; did you mean auth.groups?',
  },
  {
    title: 'a misspelt key in auth',
    text: `dev:\n  ${LOCAL}\n  auth:\n    htpaswd: ./users\n    realm: Ours\n`,
    line: 4,
    says: 'auth names no users; set auth.htpasswd or auth.oidc, or auth to null for an open registry',
  },
  {
    title: 'an unknown key in auth',
    text: `dev:\n  ${LOCAL}\n  auth:\n    htpasswd: ./users\n    token: {}\n`,
    line: 6,
    says: 'auth.token is not a known key; allowed: htpasswd, realm, groups, oidc',
  },
  {
    title: 'auth within another key, indented too far',
    text: `dev:\n  ${LOCAL}\n  cors:\n    origins: '*'\n    ${AUTH}\n`,
    line: 6,
    says: 'cors.auth means nothing there; did you mean auth, beside cors?',
  },
  {
    title: 'auth within an unknown key',
    text: `dev:\n  ${LOCAL}\n  security:\n    ${AUTH}\n`,
    line: 5,
    says: 'security.auth means nothing there; did you mean auth, beside security?',
  },
  {
    title: 'access within auth',
    text: `dev:\n  ${LOCAL}\n  auth:\n    htpasswd: ./users\n    ${ACCESS}\n`,
    line: 6,
    says: 'auth.access is not a known key; allowed: htpasswd, realm, groups, oidc',
  },
  {
    title: 'auth without users',
    text: `dev:\n  ${LOCAL}\n  auth: {realm: Ours}\n`,
    line: 4,
    says: 'auth names no users; set auth.htpasswd or auth.oidc, or auth to null for an open registry',
  },
  {
    title: 'auth of a variable that is not set',
    text: `dev:\n  ${LOCAL}\n  auth: {htpasswd: _env:USERS_FILE}\n`,
    line: 4,
    says: 'auth names no users; set auth.htpasswd or auth.oidc, or auth to null for an open registry',
  },
  {
    title: 'auth of a variable that is not set, above that of common',
    text: `common:\n  ${AUTH}\ndev:\n  ${LOCAL}\n  auth: _env:AUTH\n`,
    line: 6,
    says: 'auth of dev hides that of common (in line 2), but the variable AUTH is not set; set it, or remove the line; auth: null is an open registry',
  },
  {
    title: 'auth in common, which a variable switches off',
    text: `common:\n  ${AUTH}\ndev:\n  ${LOCAL}\n`,
    env: { SETTINGS_COMMON: 'off' },
    line: 2,
    says: 'auth of common does not count in dev: SETTINGS_COMMON is off; add "<<: *common" to dev, or auth: null for an open registry',
  },
  {
    title: 'rules without auth',
    text: `dev:\n  ${LOCAL}\n  ${ACCESS}\n`,
    line: 4,
    says: 'access needs auth: without it no caller has to log in, and every caller may do everything; set auth, or remove access',
  },
  {
    title: 'rules that are a map',
    text: `dev:\n  ${LOCAL}\n  ${AUTH}\n  access: {repositories: '*', users: '*', actions: '*'}\n`,
    line: 5,
    says: 'access (a map) is not allowed; allowed: a list of rules, each with repositories, users or groups, and actions or deny',
  },
  {
    title: 'a rule with a misspelt key',
    text: `dev:\n  ${LOCAL}\n  ${AUTH}\n  access:\n    - {repositories: '*', users: '*', actions: pull}\n    - {repositories: 'a', user: bob, actions: push}\n`,
    line: 7,
    says: 'access: rule 2 has user; allowed: repositories, users, groups, actions, deny',
  },
  {
    title: 'a rule whose action does not exist',
    text: `dev:\n  ${LOCAL}\n  ${AUTH}\n  access:\n  - repositories: '*'\n    users: '*'\n    actions: write\n`,
    line: 6,
    says: "access: rule 1 has actions write; allowed: pull, push, delete, '*'",
  },
  {
    title: 'the auth of registry:2',
    text: `dev:\n  ${LOCAL}\n  auth:\n    htpasswd:\n      realm: basic-realm\n      path: /auth/htpasswd\n`,
    line: 5,
    says: "auth.htpasswd (a map) is not allowed; allowed: a path, s3://bucket/key, s3:///key in the registry's own bucket, or the ARN of a secret in Secrets Manager",
  },
  {
    title: 'a file of registry:2',
    text: 'version: 0.1\nlog:\n  fields:\n    service: registry\nstorage:\n  filesystem:\n    rootdirectory: /var/lib/registry\nhttp:\n  addr: :5000\nauth:\n  htpasswd:\n    realm: basic-realm\n    path: /auth/htpasswd\n',
    line: 1,
    says: 'version: 0.1 begins a file of registry:2 (distribution), which is another format: start from the config.yml that comes with Stowage',
  },
  {
    title: 'the variables of registry:2',
    text: `dev:\n  ${LOCAL}\n`,
    env: { REGISTRY_AUTH: 'htpasswd', REGISTRY_AUTH_HTPASSWD_PATH: '/auth/htpasswd' },
    line: undefined,
    says: `the variable REGISTRY_AUTH is one of registry:2 and means nothing here, but ${textFile} has no auth, so the registry would be open; set AUTH='{htpasswd: ./users}' instead, or unset REGISTRY_AUTH`,
  },
  {
    title: 'tabs',
    text: 'dev:\n\tstorage: local\n',
    line: undefined,
    says: `${textFile}: is not valid YAML: tab characters must not be used in indentation (use spaces) in line 2`,
  },
  {
    title: 'keys that begin in different columns',
    text: `dev:\n  storage: local\n   ${AUTH}\n`,
    line: undefined,
    says: `${textFile}: is not valid YAML: bad indentation of a mapping entry (keys that belong together begin in one column; a text with ": ", or that begins with @ % \`, needs quotes) in line 3`,
  },
  {
    title: 'a line without a colon',
    text: `dev:\n  ${LOCAL}\n  auth\n  loglevel: info\n`,
    line: undefined,
    says: `${textFile}: is not valid YAML: can not read a block mapping entry; a multiline key may not be an implicit key (a line before has no ": " after its key) in line 5`,
  },
  {
    title: 'a key that is written twice',
    text: `dev:\n  ${LOCAL}\n  ${AUTH}\n  loglevel: info\n  auth: null\n`,
    line: undefined,
    says: `${textFile}: is not valid YAML: the key auth is written twice (first in line 4; keep one of them) in line 6`,
  },
  {
    title: 'a flavor that is written twice',
    text: `dev:\n  ${LOCAL}\ndev:\n  ${AUTH}\n`,
    line: undefined,
    says: `${textFile}: is not valid YAML: the key dev is written twice (first in line 1; keep one of them) in line 4`,
  },
  {
    title: 'more than one document',
    text: `dev:\n  ${LOCAL}\n---\ndev:\n  ${AUTH}\n`,
    line: undefined,
    says: `${textFile}: is not valid YAML: there is more than one YAML document (remove the lines ---)`,
  },
  {
    title: 'aliases that expand to gigabytes',
    text: `a: &a [x, x, x, x, x, x, x, x]\n${'bcdefghijkl'
      .split('')
      .map((name, i) => `${name}: &${name} [${Array(8).fill(`*${'abcdefghijkl'[i]}`).join(', ')}]\n`)
      .join('')}dev: {storage: local, issue: *l}\n`,
    line: undefined,
    says: `${textFile}: is not valid YAML: its aliases expand to more than 100000 values in line 6`,
  },
  {
    title: 'an alias that has no anchor',
    text: `dev:\n  <<: *common\n  ${LOCAL}\n`,
    line: undefined,
    says: `${textFile}: is not valid YAML: unknown alias (quote a text that begins with "*") in line 2`,
  },
  {
    title: 'an empty file',
    text: '',
    line: undefined,
    says: `${textFile}: must be a map of flavors, or of keys; it is empty`,
  },
  {
    title: 'a file of comments',
    text: '# storage: local\n',
    line: undefined,
    says: `${textFile}: must be a map of flavors, or of keys; it is empty`,
  },
  {
    title: 'a list',
    text: '- dev:\n    storage: local\n',
    line: 1,
    says: 'must be a map of flavors, or of keys; it is a list',
  },
  { title: 'a text', text: 'storage local\n', line: 1, says: 'must be a map of flavors, or of keys; it is a text' },
  {
    title: 'a flavor that is not there',
    text: `dev:\n  ${LOCAL}\n`,
    env: { SETTINGS_FLAVOR: 'prod' },
    line: undefined,
    says: `${textFile}: there is no flavor "prod" (SETTINGS_FLAVOR); there are dev`,
  },
  {
    title: 'a flavor that is indented below common',
    text: `common:\n  loglevel: info\n  dev:\n    ${LOCAL.replaceAll('\n', '\n  ')}\n`,
    line: undefined,
    says: `${textFile}: there is no flavor "dev" (SETTINGS_FLAVOR); there are common`,
  },
  {
    title: 'keys without a flavor',
    text: `storage: local\n${AUTH}\n`,
    line: undefined,
    says: `${textFile}: there is no flavor "dev"; for a file without flavors set SETTINGS_FLAVOR to nothing`,
  },
  {
    title: 'a flavor that is a text',
    text: 'dev: local\n',
    line: 1,
    says: 'dev is not a flavor: a flavor is a map of keys',
  },
  {
    title: 'a value of the wrong type',
    text: `dev:\n  ${LOCAL}\n  trusted_proxies: yes\n`,
    line: 4,
    says: 'trusted_proxies "yes" is not allowed; allowed: a whole number between 0 and 16',
  },
  {
    title: 'auth that is a text',
    text: `dev:\n  ${LOCAL}\n  auth: ./users\n`,
    line: 4,
    says: 'auth must be a map of keys, or null',
  },
  {
    title: 'auth that is only switched on',
    text: `dev:\n  ${LOCAL}\n  auth: true\n`,
    line: 4,
    says: 'auth must be a map of keys, or null',
  },
  {
    title: 'immutable tags with a dash in the key',
    text: `dev:\n  ${LOCAL}\n  immutable-tags: ['*:v*']\n`,
    line: 4,
    says: 'immutable-tags is not a known key; did you mean immutable_tags?',
  },
  {
    title: 'no storage',
    text: `common:\n  ${AUTH}\ndev:\n  loglevel: info\n`,
    line: 3,
    says: 'storage is missing; allowed: local (or file) and s3',
  },
  {
    title: 'auth in a flavor, where the top level is in effect',
    text: `storage: local\nstorage_path: ./data\ncommon:\n  ${AUTH}\n`,
    env: { SETTINGS_FLAVOR: '' },
    line: 4,
    says: 'common.auth means nothing there; did you mean auth, beside common?',
  },
];

for (const { title, text, env, line, says } of ERRORS) {
  test(`stops the start: ${title}`, () => {
    const message = messageOf(() => loadText(text, env));
    assert.equal(message, line === undefined ? says : `${textFile}:${line}: ${says}`);
    assert.doesNotMatch(message, /\n/);
  });
}

const WARNINGS: Row[] = [
  {
    title: 'an unknown key beside the flavors',
    text: `dev:\n  ${LOCAL}\nregistry: hub\n`,
    line: 4,
    says: 'registry is neither a flavor nor a known key and is ignored',
  },
  {
    title: 'a misspelt key beside the flavors',
    text: `dev:\n  ${LOCAL}\nlog_level: info\n`,
    line: 4,
    says: 'log_level is neither a flavor nor a known key and is ignored; did you mean loglevel, below dev:?',
  },
  {
    title: 'an unknown map beside the flavors, with no key that is known',
    text: `dev:\n  ${LOCAL}\nhttp:\n  addr: :5000\n`,
    line: 4,
    says: 'http is neither a flavor nor a known key and is ignored',
  },
  {
    title: 'a misspelt key',
    text: `dev:\n  ${LOCAL}\n  storage_pth: /srv\n`,
    line: 4,
    says: 'storage_pth is not a known key and is ignored; did you mean storage_path?',
  },
  {
    title: 'auth in another flavor than the one in effect',
    text: `${BEFORE_COMMON}  ${AUTH}\n`,
    line: BEFORE_COMMON.split('\n').length,
    says: 'auth of test does not count: the flavor dev, which is in effect, has none, so the registry is open',
  },
  {
    title: 'a variable AUTH that the file does not read',
    text: `dev:\n  ${LOCAL}\n`,
    env: { AUTH: '{htpasswd: ./users}' },
    line: undefined,
    says: `${textFile}: the variable AUTH is set, but no key reads it (auth: _env:AUTH): the registry is open`,
  },
  {
    title: 'anonymous with *',
    text: `dev:\n  ${LOCAL}\n  ${AUTH}\n  access:\n    - {repositories: '*', users: anonymous, actions: '*'}\n`,
    line: 6,
    says: 'access rule 1 lets callers without a login push and delete',
  },
  {
    title: 'a rule for a group that has no members',
    text: `dev:\n  ${LOCAL}\n  ${AUTH}\n  access:\n    - {repositories: '*', groups: devs, actions: pull}\n`,
    line: 6,
    says: 'access rule 1 names the group devs, which has no members',
  },
];

for (const { title, text, env, line, says } of WARNINGS) {
  test(`is named: ${title}`, () => {
    const { warnings } = loadText(text, env);
    assert.ok(warnings.includes(line === undefined ? says : `${textFile}:${line}: ${says}`), warnings.join('\n'));
  });
}

test("README's snippet works as it is, at the end of the shipped file, in every flavor", () => {
  assert.match(SNIPPET, /^ {2}auth:/m);
  for (const flavor of ['dev', 'local', 'test', 's3', 'prod', 'ceph-s3']) {
    const { config, warnings } = loadText(SHIPPED + SNIPPET, { SETTINGS_FLAVOR: flavor, AWS_BUCKET: 'bucket' });
    assert.deepEqual(warnings, []);
    assert.deepEqual(config.auth?.htpasswd, { kind: 'file', path: './users' });
    assert.equal(config.auth?.rules?.length, 2);
  }
});

for (const [title, text] of [
  ['flavors', `base: &base\n  ${LOCAL}\ndev:\n  <<: *base\n  ${AUTH}\n`],
  [
    'lists with a name of their own',
    `x-devs: &devs [alice, bob]\ndev:\n  ${LOCAL}\n  auth: {htpasswd: u, groups: {devs: *devs}}\n`,
  ],
  ['a flavor without keys', `dev:\n  ${LOCAL}\n  ${AUTH}\nprod:\n`],
  ['a flavor that is called as a key is', `debug:\n  ${LOCAL}\n  ${AUTH}\ndev:\n  ${LOCAL}\n  ${AUTH}\n`],
] as const) {
  test(`beside the flavors there may be ${title}`, () => {
    assert.deepEqual(loadText(text).warnings, []);
    assert.ok(loadText(text).config.auth);
  });
}
