// A command that writes, beside a server that runs from the same configuration file.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FilesDriver } from '../../lib/storage/files.ts';
import { oldBucket } from '../old-buckets/generator.ts';
import { storeBucket } from '../old-buckets/in-storage.ts';

const CLI = fileURLToPath(new URL('../../bin/stowage.js', import.meta.url));

const CONFIG = `
dev:
  storage: local
  storage_path: _env:STORAGE_PATH:./data
  auth: {htpasswd: _env:USERS:./users}
prod:
  storage: local
  loglevel: _env:LOGLEVEL
  storage_path: _env:STORAGE_PATH:./prod-data
  auth: {htpasswd: ./prod-users}
shared:
  storage: local
  storage_path: ./link-to-prod-data
  auth: {htpasswd: ./users}
open:
  storage: local
  loglevel: _env:LOGLEVEL
  storage_path: ./open-data
bucket:
  storage: s3
  boto_bucket: images
  storage_path: /registry
  boto_host: 127.0.0.1
  boto_port: 9000
  s3_secure: no
  s3_access_key: key-of-the-bucket
  s3_secret_key: secret-of-the-bucket
  auth: {htpasswd: s3:///users}
`;
const MOUNT = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"';
const CREATE = ['token', 'create', 'ci', '-r', '*', '-a', 'pull'];
const ADD = ['user', 'add', 'alice'];

type Result = { code: number; stdout: string; stderr: string };

describe('a command that writes, beside a running server', () => {
  let home: string;
  let directory: string;
  let records: string;
  const running: ChildProcess[] = [];

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'stowage-place-'));
  });
  after(() => rm(home, { recursive: true, force: true }));
  beforeEach(async () => {
    directory = await mkdtemp(join(home, 'test-'));
    records = join(directory, 'records');
    await writeFile(join(directory, 'config.yml'), CONFIG);
    for (const users of ['users', 'prod-users']) await writeFile(join(directory, users), '');
    for (const folder of ['data', 'prod-data']) await mkdir(join(directory, folder));
    await symlink('prod-data', join(directory, 'link-to-prod-data'));
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((child) => stop(child, 'SIGKILL')));
  });

  /** With IS_READ_ONLY, the process sees the folder of the records as part of a read-only file system. */
  const start = (args: string[], env: NodeJS.ProcessEnv, cwd = directory) => {
    const node = [process.execPath, CLI, ...args];
    const [command = '', ...rest] = env.IS_READ_ONLY
      ? ['unshare', '--mount', 'sh', '-c', MOUNT, records, ...node]
      : node;
    return spawn(command, rest, { cwd, env: { PATH: process.env.PATH, STOWAGE_RUNTIME_DIR: records, ...env } });
  };

  const stowage = async (args: string[], env: NodeJS.ProcessEnv = {}, cwd = directory): Promise<Result> => {
    const child = start(args, env, cwd);
    const output = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk) => (output.stdout += String(chunk)));
    child.stderr.on('data', (chunk) => (output.stderr += String(chunk)));
    child.stdin.end('password\n');
    const [code] = await once(child, 'close');
    return { code, ...output };
  };

  const serve = async (env: NodeJS.ProcessEnv, args: string[] = [], cwd = directory) => {
    const child = start(['serve', '--port', '0', ...args], env, cwd);
    running.push(child);
    let output = '';
    const url = await new Promise<string>((resolve, reject) => {
      child.once('exit', () => reject(new Error(output)));
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
      child.stdout.on('data', () => {
        const [, origin] = /"message":"listening","url":"([^"]+)"/.exec(output) ?? [];
        if (origin !== undefined) resolve(origin);
      });
    });
    return { child, url, pid: child.pid ?? assert.fail(), log: () => output };
  };

  /** One line that holds all of the texts, and nothing on standard output. */
  const assertRefused = ({ code, stdout, stderr }: Result, ...texts: string[]) => {
    assert.deepEqual([code, stdout], [1, ''], stderr);
    assert.match(stderr, /^stowage: nothing was written: .*--anyway.*\n$/);
    for (const text of texts) assert.ok(stderr.includes(text), `${text} is not in ${stderr}`);
  };
  const at = (...parts: string[]) => join(directory, ...parts);
  const robotsIn = async (folder: string) =>
    await readdir(at(folder, 'oci/robots')).then(
      (names) => names.length,
      () => 0,
    );

  it('token: is refused without the flavor of the server, and names that flavor', async () => {
    const { pid, url } = await serve({ SETTINGS_FLAVOR: 'prod' });
    const texts = ['flavor prod', at('prod-data'), `pid ${pid}`, url, 'flavor dev', at('data'), 'SETTINGS_FLAVOR=prod'];
    assertRefused(await stowage(CREATE), ...texts);
    assertRefused(await stowage(['token', 'revoke', 'x']), ...texts);
    assertRefused(await stowage([...CREATE, '--config', 'config.yml']), ...texts);
    assert.equal(await robotsIn('data'), 0);

    const created = await stowage(CREATE, { SETTINGS_FLAVOR: 'prod' });
    assert.equal(created.code, 0);
    const authorization = `Basic ${Buffer.from(`robot:${created.stdout.trim()}`).toString('base64')}`;
    const answer = await fetch(`${url}/v2/`, { headers: { authorization } });
    assert.equal(answer.status, 200, 'the server accepts the token');
  });

  it('token: writes with --anyway, names the place, and the server refuses the token', async () => {
    const { url } = await serve({ SETTINGS_FLAVOR: 'prod' });
    const { code, stdout, stderr } = await stowage([...CREATE, '--anyway']);
    assert.deepEqual([code, await robotsIn('data'), await robotsIn('prod-data')], [0, 1, 0]);
    assert.ok(stderr.includes(`kept in ${at('data')}`));
    const authorization = `Basic ${Buffer.from(`robot:${stdout.trim()}`).toString('base64')}`;
    assert.equal((await fetch(`${url}/v2/`, { headers: { authorization } })).status, 401);
    const id = (await readdir(at('data/oci/robots')))[0]?.slice(0, 36) ?? '';
    assert.equal((await stowage(['token', 'revoke', id, '--anyway'])).code, 0);
  });

  it('user: is refused if the server has another htpasswd file', async () => {
    const { pid } = await serve({ SETTINGS_FLAVOR: 'prod' });
    const texts = ['flavor prod', at('prod-users'), `pid ${pid}`, at('users'), 'SETTINGS_FLAVOR=prod'];
    assertRefused(await stowage(ADD), ...texts);
    assertRefused(await stowage(['user', 'remove', 'alice']), ...texts);
    assert.equal(await readFile(at('users'), 'utf8'), '');
    assert.equal((await stowage(ADD, { SETTINGS_FLAVOR: 'prod' })).code, 0);
    assert.match(await readFile(at('prod-users'), 'utf8'), /^alice:/);
    assert.equal((await stowage([...ADD, '--anyway'])).code, 0);
    assert.equal((await stowage(['user', 'remove', 'alice', '--anyway'])).code, 0);
  });

  it('user: compares the htpasswd file, not the storage', async () => {
    await serve({ SETTINGS_FLAVOR: 'shared' });
    assert.equal((await stowage(ADD)).code, 0);
    assertRefused(await stowage(CREATE), 'SETTINGS_FLAVOR=shared');
  });

  it('user: is refused if a server of another flavor has no users, but not if auth was added to the file of the same flavor', async () => {
    await serve({ SETTINGS_FLAVOR: 'open' });
    assertRefused(await stowage(ADD), 'no htpasswd', 'SETTINGS_FLAVOR=open');
    await writeFile(at('config.yml'), `${CONFIG}`.replace('./open-data', './open-data\n  auth: {htpasswd: ./users}'));
    assert.equal((await stowage(ADD, { SETTINGS_FLAVOR: 'open' })).code, 0);
  });

  it('user: is refused if the server has the users in a bucket, and the error holds no credentials', async () => {
    await serve({ SETTINGS_FLAVOR: 'prod' });
    const refused = await stowage(ADD, { SETTINGS_FLAVOR: 'bucket' });
    assertRefused(refused, 's3://images/users at http://127.0.0.1:9000', at('prod-users'));
    const token = await stowage(CREATE, { SETTINGS_FLAVOR: 'bucket' });
    assertRefused(token, 'the bucket images at http://127.0.0.1:9000, below registry/', at('prod-data'));
    for (const { stderr } of [refused, token]) assert.doesNotMatch(stderr, /-of-the-bucket/);
  });

  it('adopt: is refused without the flavor of the server, but not as a dry run', async () => {
    await storeBucket(await FilesDriver.open(at('data')), oldBucket('0.9.1'));
    await cp(at('data'), at('prod-data'), { recursive: true });
    const { pid } = await serve({ SETTINGS_FLAVOR: 'prod' });
    assertRefused(await stowage(['adopt']), at('prod-data'), at('data'), `pid ${pid}`, 'SETTINGS_FLAVOR=prod');
    assert.equal((await stowage(['adopt', '--dry-run'])).code, 0);
    assert.equal((await stowage(['adopt', 'ubuntu'], { SETTINGS_FLAVOR: 'prod' })).code, 0);
    assert.equal((await stowage(['adopt', 'ubuntu', '--anyway'])).code, 0);
  });

  it('is refused with the same flavor if a variable or the working directory leads to another place', async () => {
    const other = at('other');
    await mkdir(other);
    await serve({ STORAGE_PATH: at('elsewhere') });
    assertRefused(await stowage(CREATE), at('elsewhere'), `working directory of the server (${directory})`);
    assert.equal((await stowage(CREATE, { STORAGE_PATH: 'elsewhere' })).code, 0);
    assertRefused(await stowage([...ADD, '-c', '../config.yml'], {}, other), at('other/users'), at('users'));
  });

  it('finds the place of the server behind a symbolic link', async () => {
    await serve({ SETTINGS_FLAVOR: 'shared' });
    assert.equal((await stowage(CREATE, { SETTINGS_FLAVOR: 'prod' })).code, 0);
    await symlink('config.yml', at('link.yml'));
    assertRefused(await stowage([...CREATE, '-c', 'link.yml']), 'SETTINGS_FLAVOR=shared');
  });

  it('prints no notice about the default if a running server confirms it', async () => {
    assert.match((await stowage(CREATE)).stderr, /SETTINGS_FLAVOR is not set/);
    await serve({});
    const { code, stderr } = await stowage(CREATE);
    assert.equal(code, 0);
    assert.doesNotMatch(stderr, /SETTINGS_FLAVOR is not set/);
  });

  it('writes to the place of either of two servers, and names both if it uses neither', async () => {
    const [first, second] = [await serve({ SETTINGS_FLAVOR: 'prod' }), await serve({ SETTINGS_FLAVOR: 'open' })];
    assert.equal((await stowage(CREATE, { SETTINGS_FLAVOR: 'prod' })).code, 0);
    const texts = [`pid ${first.pid}`, `pid ${second.pid}`, 'SETTINGS_FLAVOR=prod', 'SETTINGS_FLAVOR=open'];
    assertRefused(await stowage(CREATE), ...texts);
    await serve({});
    assert.equal((await stowage(CREATE)).code, 0);
  });

  it('writes if the servers run from another file', async () => {
    await writeFile(at('other.yml'), CONFIG);
    await serve({ SETTINGS_FLAVOR: 'prod' }, ['--config', 'other.yml']);
    assert.equal((await stowage(CREATE)).code, 0);
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`writes after ${signal}, which removes the record`, async () => {
      const { child, pid } = await serve({ SETTINGS_FLAVOR: 'prod' });
      assert.deepEqual(await readdir(records), [`${pid}.json`]);
      await stop(child, signal);
      assert.deepEqual(await readdir(records), []);
      assert.equal((await stowage(CREATE)).code, 0);
    });
  }

  it('writes after SIGKILL, and removes the record that stayed', async () => {
    const { child, pid } = await serve({ SETTINGS_FLAVOR: 'prod' });
    await stop(child, 'SIGKILL');
    assert.deepEqual(await readdir(records), [`${pid}.json`]);
    assert.equal((await stowage(CREATE)).code, 0);
    assert.deepEqual(await readdir(records), []);
  });

  it('ignores the record of a server whose pid another process has now', async () => {
    const { child, pid } = await serve({ SETTINGS_FLAVOR: 'prod' });
    const record = JSON.parse(await readFile(join(records, `${pid}.json`), 'utf8'));
    await stop(child, 'SIGKILL');
    await writeFile(join(records, `${process.pid}.json`), JSON.stringify({ ...record, pid: process.pid }));
    assert.equal((await stowage(CREATE)).code, 0);
    assert.deepEqual(await readdir(records), []);
  });

  it('keeps no record if STOWAGE_RUNTIME_DIR is empty', async () => {
    await serve({ SETTINGS_FLAVOR: 'prod', STOWAGE_RUNTIME_DIR: '', XDG_RUNTIME_DIR: directory });
    assert.equal((await readdir(directory)).includes('stowage'), false);
    assert.equal((await stowage(CREATE)).code, 0);
  });

  it('finds the record in the folder of the session', async () => {
    const session = { STOWAGE_RUNTIME_DIR: undefined, XDG_RUNTIME_DIR: directory };
    const { pid } = await serve({ SETTINGS_FLAVOR: 'prod', ...session });
    assert.deepEqual(await readdir(at('stowage')), [`${pid}.json`]);
    assertRefused(await stowage(CREATE, session), `pid ${pid}`);
  });

  it('finds the record in the folder for temporary files, though its own session has a folder', async () => {
    const temporary = { STOWAGE_RUNTIME_DIR: undefined, TMPDIR: directory };
    const { pid } = await serve({ SETTINGS_FLAVOR: 'prod', ...temporary });
    assert.deepEqual(await readdir(at(`stowage-${process.getuid?.()}`)), [`${pid}.json`]);
    assertRefused(await stowage(CREATE, { ...temporary, XDG_RUNTIME_DIR: at('data') }), `pid ${pid}`);
  });

  for (const [title, prepare] of [
    ['a link', (folder: string) => symlink('data', folder)],
    ['a file', (folder: string) => writeFile(folder, '')],
    ['one that others can write to', (folder: string) => mkdir(folder).then(() => chmod(folder, 0o777))],
    ['of another user', (folder: string) => mkdir(folder, { mode: 0o700 }).then(() => chown(folder, 4711, 4711))],
  ] as const) {
    const skip =
      title === 'of another user' && process.getuid?.() !== 0 && 'needs root, to change the owner of the folder';
    it(`serves and writes without records if their folder is ${title}`, { skip }, async () => {
      await prepare(records);
      const { url, child, log } = await serve({ SETTINGS_FLAVOR: 'prod', LOGLEVEL: 'debug' });
      assert.match(log(), /"level":"debug","message":"commands on this machine cannot see that this server runs"/);
      assert.equal((await fetch(`${url}/healthz`)).status, 200);
      assert.equal((await stowage(CREATE)).code, 0);
      assert.deepEqual(await stop(child, 'SIGTERM'), [0, null]);
    });
  }

  const isRootOnLinux = process.platform === 'linux' && process.getuid?.() === 0;
  it('serves, reads and refuses with a read-only folder of records', { skip: !isRootOnLinux && 'mounts' }, async () => {
    const readOnly = { IS_READ_ONLY: 'yes', LOGLEVEL: 'debug' };
    const { pid } = await serve({ SETTINGS_FLAVOR: 'prod' });
    await writeFile(
      join(records, '5000000.json'),
      (await readFile(join(records, `${pid}.json`), 'utf8')).replace(`${pid}`, '5000000'),
    );
    assertRefused(await stowage(CREATE, readOnly), `(pid ${pid}`);
    const { url, log } = await serve({ ...readOnly, SETTINGS_FLAVOR: 'open' });
    assert.match(log(), /cannot see that this server runs.*EROFS/);
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
    assert.deepEqual((await readdir(records)).sort(), ['5000000.json', `${pid}.json`].sort());
  });
});

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<unknown[]> {
  if (child.exitCode !== null || child.signalCode !== null) return [];
  const exited = once(child, 'exit');
  child.kill(signal);
  return await exited;
}
