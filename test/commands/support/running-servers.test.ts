import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isRunning, startTimeFromPs, startTimeOf } from '../../../lib/commands/support/processes.ts';
import {
  findRunningServers,
  parseServerRecord,
  type RunningServer,
  runtimeFolders,
  writeServerRecord,
} from '../../../lib/commands/support/running-servers.ts';

/** No process has a pid above it. https://man7.org/linux/man-pages/man5/proc_sys_kernel.5.html */
const PID_MAX = 2 ** 22;
const NAME = `${process.pid}.json`;

describe('server records', () => {
  let directory: string;
  let folder: string;
  let own: RunningServer;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-records-'));
    own = {
      ...{ pid: process.pid, startedAt: await startTimeOf(process.pid), file: '/etc/config.yml', flavor: 'prod' },
      ...{ directory: '/srv', place: '/srv/data', users: '/srv/users', url: 'http://127.0.0.1:5000' },
    };
  });
  after(() => rm(directory, { recursive: true, force: true }));
  beforeEach(async () => {
    folder = join(await mkdtemp(join(directory, 'test-')), 'records');
  });

  const write = (record: object, name = NAME) => writeServerRecord([folder], name, JSON.stringify(record));

  it('can be read by their user alone, and are read as they were written', async () => {
    assert.equal(await write(own), join(folder, NAME));
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
    assert.equal((await stat(join(folder, NAME))).mode & 0o777, 0o600);
    assert.deepEqual(await findRunningServers([folder]), [own]);
    const open = { ...own, flavor: undefined, users: undefined };
    await write(open);
    assert.deepEqual(await findRunningServers([folder]), [open]);
    assert.deepEqual(await readdir(folder), [NAME]);
  });

  it('go to the next folder if the first cannot be used, and are read from all folders', async () => {
    const file = join(directory, 'file');
    await writeFile(file, '');
    assert.equal(
      await writeServerRecord([join(file, 'records'), folder], NAME, JSON.stringify(own)),
      join(folder, NAME),
    );
    assert.deepEqual(await findRunningServers([join(file, 'records'), folder]), [own]);
    await assert.rejects(writeServerRecord([join(file, 'records')], NAME, ''), /ENOTDIR/);
  });

  it('of a process that has ended are ignored and removed', async () => {
    const pid = await endedPid();
    await write({ ...own, pid }, `${pid}.json`);
    assert.deepEqual(await findRunningServers([folder]), []);
    assert.deepEqual(await readdir(folder), []);
  });

  it('of an earlier process with the same pid are ignored and removed', async () => {
    await write({ ...own, startedAt: `${own.startedAt}0` });
    assert.deepEqual(await findRunningServers([folder]), []);
    assert.deepEqual(await readdir(folder), []);
  });

  it('without a start time count as long as the pid is in use', async () => {
    await write({ ...own, startedAt: undefined });
    assert.equal((await findRunningServers([folder])).length, 1);
  });

  it('that are malformed, too large, no regular file or not named after their pid are ignored', async () => {
    await write(own);
    await writeFile(join(folder, '1.json'), JSON.stringify(own));
    await writeFile(join(folder, 'other.json'), JSON.stringify(own));
    await writeFile(join(folder, '2.json'), '{"pid":');
    await mkdir(join(folder, '3.json'));
    assert.deepEqual(await findRunningServers([folder]), [own]);
    await writeFile(join(folder, NAME), JSON.stringify({ ...own, more: 'x'.repeat(64 * 1024) }));
    assert.deepEqual(await findRunningServers([folder]), []);
    await rm(join(folder, NAME));
    await symlink(join(folder, '1.json'), join(folder, NAME));
    assert.deepEqual(await findRunningServers([folder]), []);
  });

  it('are read at most 256 per folder and call', async () => {
    for (let pid = PID_MAX + 1; pid <= PID_MAX + 300; pid++) await write({ ...own, pid }, `${pid}.json`);
    assert.deepEqual(await findRunningServers([folder]), []);
    assert.equal((await readdir(folder)).length, 300 - 256);
    assert.deepEqual(await findRunningServers([folder]), []);
    assert.deepEqual(await readdir(folder), []);
  });

  it('are neither read from nor written to a folder of another user, a link, or one that others can use', async () => {
    await write(own);
    const uid = process.getuid?.() ?? 0;
    assert.deepEqual(await findRunningServers([folder], uid + 1), []);
    assert.deepEqual(await findRunningServers([folder], uid), [own]);

    const link = join(directory, 'link');
    await symlink(folder, link);
    assert.deepEqual(await findRunningServers([link]), []);
    await assert.rejects(writeServerRecord([link], NAME, JSON.stringify(own)), /link is not a folder that only/);

    for (const mode of [0o750, 0o701, 0o777]) {
      await chmod(folder, mode);
      assert.deepEqual(await findRunningServers([folder]), []);
      await assert.rejects(writeServerRecord([folder], NAME, JSON.stringify(own)), /records is not a folder that only/);
      assert.equal((await stat(folder)).mode & 0o777, mode, 'it stays as it is');
    }
  });

  it('are absent without a folder, and reading creates none', async () => {
    assert.deepEqual(await findRunningServers([folder]), []);
    assert.equal(existsSync(folder), false);
  });

  for (const [title, change] of [
    ['without a pid', { pid: undefined }],
    ['with a pid that is a text', { pid: '1' }],
    ['with a pid that names a group of processes', { pid: -1 }],
    ['without a place', { place: undefined }],
    ['with a place that is a number', { place: 1 }],
    ['with a control character', { place: '/srv/\u001b[2J' }],
    ['with a flavor that is a map', { flavor: {} }],
  ] as const) {
    it(`a record ${title} is refused`, () => {
      assert.ok(parseServerRecord(JSON.stringify(own)));
      assert.equal(parseServerRecord(JSON.stringify({ ...own, ...change })), undefined);
    });
  }
  for (const json of ['', 'null', '[]', '"text"', '{}']) {
    it(`${JSON.stringify(json)} is refused as a record`, () => assert.equal(parseServerRecord(json), undefined));
  }

  it('are kept in STOWAGE_RUNTIME_DIR, nowhere if it is empty, else in XDG_RUNTIME_DIR or the folder for temporary files', () => {
    const temporary = join(tmpdir(), 'stowage-7');
    assert.deepEqual(runtimeFolders({ STOWAGE_RUNTIME_DIR: '/x/y', XDG_RUNTIME_DIR: '/run/user/7' }, 7), ['/x/y']);
    assert.deepEqual(runtimeFolders({ STOWAGE_RUNTIME_DIR: '', XDG_RUNTIME_DIR: '/run/user/7' }, 7), []);
    assert.deepEqual(runtimeFolders({ XDG_RUNTIME_DIR: '/run/user/7' }, 7), ['/run/user/7/stowage', temporary]);
    assert.deepEqual(runtimeFolders({ XDG_RUNTIME_DIR: 'relative' }, 7), [temporary]);
    assert.deepEqual(runtimeFolders({}, 7), [temporary]);
  });
});

describe('whether a process still runs', () => {
  it('depends on its pid and its start time', async () => {
    const startedAt = await startTimeOf(process.pid);
    assert.ok(startedAt);
    assert.equal(await isRunning(process.pid, startedAt), true);
    assert.equal(await isRunning(process.pid, 'Thu Jan  1 00:00:00 1970'), false);
    assert.equal(await isRunning(await endedPid(), startedAt), false);
    assert.equal(await startTimeOf(await endedPid()), undefined);
  });

  const hasProc = existsSync('/proc/self/stat');
  it('is false for a zombie: a process that has ended, and whose parent has not read its exit code', {
    skip: !hasProc,
  }, async () => {
    // The child ends after `exec`: before it, the shell would read the exit code.
    const parent = spawn('sh', ['-c', 'sleep 0.5 & echo $!; exec sleep 30']);
    try {
      const pid = Number(String((await once(parent.stdout, 'data'))[0]));
      while (!(await readFile(`/proc/${pid}/stat`, 'utf8')).includes(') Z ')) await delay(10);
      assert.equal(await isRunning(pid, '1'), false);
    } finally {
      parent.kill();
    }
  });

  it('depends on ps without /proc, independently of language and time zone', async () => {
    const variables = { TZ: process.env.TZ, LC_ALL: process.env.LC_ALL };
    try {
      const startedAt = await startTimeFromPs(process.pid);
      assert.match(startedAt ?? '', /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$/);
      Object.assign(process.env, { TZ: 'Asia/Tokyo', LC_ALL: 'de_DE.UTF-8' });
      assert.equal(await startTimeFromPs(process.pid), startedAt);
      assert.equal(await startTimeFromPs(PID_MAX + 1), undefined);
    } finally {
      for (const [name, value] of Object.entries(variables)) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    }
  });
});

async function endedPid(): Promise<number> {
  const child = spawn(process.execPath, ['--version']);
  await once(child, 'exit');
  return child.pid ?? assert.fail();
}
