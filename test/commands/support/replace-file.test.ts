import assert from 'node:assert/strict';
import { chmod, chown, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { replaceFile } from '../../../lib/commands/support/replace-file.ts';

/** The uid of an unprivileged user. */
const UNPRIVILEGED = 65_534;

const skip = process.getuid?.() === 0 ? false : 'only root can change the owner of a file';

describe('a file that is replaced', () => {
  let directory: string;
  let path: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-replace-'));
    path = join(directory, 'users');
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const content = () => readFile(path, 'utf8');
  const modeOf = async () => (await stat(path)).mode & 0o7777;

  it('can be read by its owner alone if there was none before', async () => {
    await replaceFile(path, 'new');
    assert.deepEqual([await content(), await modeOf()], ['new', 0o600]);
  });

  it('keeps its mode, independently of the umask', async () => {
    await writeFile(path, 'old');
    const mask = process.umask(0o077);
    try {
      for (const mode of [0o640, 0o664, 0o600]) {
        await chmod(path, mode);
        await replaceFile(path, 'new');
        assert.deepEqual([await content(), await modeOf()], ['new', mode]);
      }
    } finally {
      process.umask(mask);
    }
  });

  it('is replaced although a process with the same id was killed while it replaced the file', async () => {
    await writeFile(`${path}.${process.pid}`, 'unfinished');
    await replaceFile(path, 'new');
    assert.equal(await content(), 'new');
  });

  it('is complete at every read, and no other file remains', async () => {
    await writeFile(path, 'old');
    const reads = Promise.all(Array.from({ length: 50 }, content));
    await replaceFile(path, 'new');
    for (const text of await reads) assert.match(text, /^(?:old|new)$/);
    assert.deepEqual(await readdir(directory), ['users']);
  });

  it('is the target of a symbolic link, which stays a link', async () => {
    await writeFile(join(directory, 'real'), 'old');
    await symlink('real', path);
    await replaceFile(path, 'new');
    assert.equal(await readFile(join(directory, 'real'), 'utf8'), 'new');
    assert.equal(await readlink(path), 'real');
  });

  it('keeps its owner and group, so that the server can still read it', { skip }, async () => {
    await writeFile(path, 'old');
    await chown(path, UNPRIVILEGED, UNPRIVILEGED);
    await chmod(path, 0o640);
    await replaceFile(path, 'new');
    const { uid, gid } = await stat(path);
    assert.deepEqual([uid, gid, await modeOf(), await content()], [UNPRIVILEGED, UNPRIVILEGED, 0o640, 'new']);
  });

  it('is unchanged if its owner cannot be kept, and the error names the owner', { skip }, async () => {
    await writeFile(path, 'old');
    await chmod(directory, 0o777);
    process.seteuid?.(UNPRIVILEGED);
    try {
      await assert.rejects(replaceFile(path, 'new'), /users belongs to the user 0 .*root/);
    } finally {
      process.seteuid?.(0);
    }
    assert.equal(await content(), 'old');
    assert.deepEqual(await readdir(directory), ['users']);
  });
});
