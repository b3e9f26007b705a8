import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Robots } from '../../lib/auth/tokens/robots.ts';
import { FilesDriver } from '../../lib/storage/files.ts';

const CLI = fileURLToPath(new URL('../../bin/stowage.js', import.meta.url));

const CONFIG = `
storage: local
storage_path: ./data
auth: {htpasswd: ./users, groups: {devs: [alice]}}
access:
  - {repositories: team/*, groups: devs, actions: [pull, push]}
  - {repositories: '*', users: anonymous, actions: pull}
`;

describe('commands for users and permissions', () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-commands-'));
    await writeFile(join(directory, 'config.yml'), CONFIG);
  });
  after(() => rm(directory, { recursive: true, force: true }));

  const stowage = async (args: string[], input = '', variables: NodeJS.ProcessEnv = { SETTINGS_FLAVOR: '' }) => {
    const env = { PATH: process.env.PATH, STOWAGE_RUNTIME_DIR: '', ...variables };
    const child = spawn(process.execPath, [CLI, ...args], { cwd: directory, env });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += String(chunk)));
    child.stderr.on('data', (chunk) => (stderr += String(chunk)));
    child.stdin.end(input);
    const [code] = await once(child, 'close');
    return { code, stdout, stderr };
  };

  it('user: adds a user, changes the password, lists, checks and removes', async () => {
    const users = join(directory, 'users');
    await writeFile(users, '# people\nbob:$2y$05$FFqvSuyJmA5eecpyvVzbDeDyyYBlTcIMmzBCzuoIFYk1o1fNk.ROO\n', {
      mode: 0o640,
    });
    assert.equal((await stowage(['user', 'add', 'alice'], 'first\n')).stderr, `alice was added in ${users}\n`);
    assert.equal(
      (await stowage(['user', 'add', 'alice'], 'second\n')).stderr,
      `alice has a new password in ${users}\n`,
    );
    assert.equal((await stowage(['user', 'list'])).stdout, 'alice  (devs)\nbob\n');
    const file = await readFile(join(directory, 'users'), 'utf8');
    assert.match(file, /^# people\nbob:\$2y\$05\$.*\nalice:\$2y\$10\$.*\n$/);
    assert.equal((await stat(join(directory, 'users'))).mode & 0o777, 0o640);
    const right = await stowage(['user', 'check', 'alice'], 'second\n');
    assert.deepEqual([right.code, right.stdout], [0, 'right\n']);
    for (const [name, password] of [
      ['alice', 'first'],
      ['unknown', 'x'],
    ] as const) {
      const wrong = await stowage(['user', 'check', name], password);
      assert.deepEqual([wrong.code, wrong.stdout], [1, 'wrong\n']);
    }
    const removed = await stowage(['user', 'remove', 'alice']);
    assert.deepEqual([removed.code, removed.stderr], [0, `alice was removed in ${users}\n`]);
    assert.equal((await stowage(['user', 'list'])).stdout, 'bob\n');
  });

  for (const [title, args, input, message] of [
    ['the user name anonymous, which is reserved', ['user', 'add', 'anonymous'], 'x', /\banonymous\b.*robot, oidc/],
    ['a user name with a colon', ['user', 'add', 'a:b'], 'x', /\ba:b\b.*letters, digits/],
    ['an empty password', ['user', 'add', 'carol'], '', /1 to 72 bytes.* 0$/m],
    ['a password longer than bcrypt reads', ['user', 'add', 'carol'], 'x'.repeat(73), /1 to 72 bytes.* 73$/m],
    ['to remove a user that does not exist', ['user', 'remove', 'carol'], '', /\bcarol\b.*users$/m],
    ['to revoke a token that does not exist', ['token', 'revoke', '../x'], '', /\.\.\/x .*data$/m],
    ['an unknown action', ['token', 'create', 'ci', '-r', '*', '-a', 'read'], '', /allowed: pull, push, delete/],
    [
      'a lifetime with an unknown unit',
      ['token', 'create', 'ci', '-r', '*', '-a', 'pull', '-e', '1y'],
      '',
      /12h or 90d/,
    ],
  ] as const) {
    it(`refuses ${title}`, async () => {
      const { code, stderr } = await stowage([...args], input);
      assert.equal(code, 1);
      assert.match(stderr, message);
    });
  }

  it('a command that writes prints flavor and place if no variable or option chose them', async () => {
    try {
      const file = join(directory, 'config.yml');
      const settings = CONFIG.replaceAll('\n', '\n  ');
      await rename(file, `${file}.aside`);
      await writeFile(file, `dev:${settings}\nprod:${settings}`.replaceAll('./data', './other-data'));
      const notice =
        /SETTINGS_FLAVOR is not set: this is the flavor dev of .*config\.yml, which keeps everything in .*data;/;
      for (const args of [['token', 'create', 'ci', '-r', '*', '-a', 'pull'], ['user', 'remove', 'carol'], ['adopt']]) {
        assert.match((await stowage(args, '', {})).stderr, notice);
        for (const chosen of [{ SETTINGS_FLAVOR: 'prod' }, { DOCKER_REGISTRY_CONFIG: 'config.yml' }]) {
          assert.doesNotMatch((await stowage(args, '', chosen)).stderr, /is not set/);
        }
        assert.doesNotMatch((await stowage([...args, '-c', 'config.yml'], '', {})).stderr, /is not set/);
      }
      assert.doesNotMatch((await stowage(['token', 'list'], '', {})).stderr, /is not set/);
    } finally {
      await rename(join(directory, 'config.yml.aside'), join(directory, 'config.yml'));
    }
  });

  it('access explain prints which actions a caller may do, and the rule that decides each', async () => {
    assert.deepEqual((await stowage(['access', 'explain', 'alice', 'team/a'])).stdout.split('\n'), [
      'alice (devs) in team/a:',
      '  pull    yes  rule 1: {repositories: [team/*], groups: [devs], actions: [pull, push]}',
      '  push    yes  rule 1: {repositories: [team/*], groups: [devs], actions: [pull, push]}',
      '  delete  no   no rule matches',
      '',
    ]);
    const { stdout } = await stowage(['access', 'explain', 'anonymous', 'app']);
    assert.match(stdout, /^anonymous in library\/app:\n {2}pull {4}yes {2}rule 2: /);
    assert.match(
      (await stowage(['access', 'explain', 'oidc:https://token.example#x', 'team/a', '-g', 'devs'])).stdout,
      /push {4}yes {2}rule 1/,
    );
  });

  it('token: creates, lists and revokes', async () => {
    const created = await stowage(['token', 'create', 'ci', '-r', 'team/*', 'app', '-a', 'pull,push', '-e', '90d']);
    assert.match(
      created.stdout,
      /^stowage_[0-9a-f-]{36}_[A-Za-z0-9_-]{43}\n$/,
      'standard output holds the token alone, for scripts',
    );
    const data = join(directory, 'data');
    assert.ok(created.stderr.includes(`${data}.`) && /\brobot\b/.test(created.stderr), created.stderr);
    const robots = () => FilesDriver.open(data).then((driver) => new Robots(driver));
    const bearer = await (await robots()).find(created.stdout.trim());
    assert.deepEqual(bearer?.grants, [
      { pattern: 'team/*', actions: ['pull', 'push'] },
      { pattern: 'app', actions: ['pull', 'push'] },
    ]);
    const listed = (await stowage(['token', 'list'])).stdout;
    assert.match(listed, /^[0-9a-f-]{36} {2}ci {2}team\/\* app {2}pull,push {2}expires: 20\d\d-/);
    const id = listed.split(' ')[0] ?? '';
    const revoked = await stowage(['token', 'revoke', id]);
    assert.deepEqual([revoked.code, revoked.stderr], [0, `${id} was revoked in ${data}\n`]);
    assert.equal((await stowage(['token', 'list'])).stdout, '');
    assert.equal(await (await robots()).find(created.stdout.trim()), undefined);
  });
});
