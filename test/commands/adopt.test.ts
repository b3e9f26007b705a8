import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FilesDriver } from '../../lib/storage/files.ts';
import { oldBucket } from '../old-buckets/generator.ts';
import { hashAll, hashesOf, storeBucket } from '../old-buckets/in-storage.ts';

const CLI = fileURLToPath(new URL('../../bin/stowage.js', import.meta.url));

describe('the command adopt', () => {
  const bucket = oldBucket('0.9.1');
  let directory: string;
  let driver: FilesDriver;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-adopt-'));
    driver = await FilesDriver.open(join(directory, 'data'));
    await storeBucket(driver, bucket);
  });
  after(() => rm(directory, { recursive: true, force: true }));

  const adopt = (args: string[], folder = 'data') =>
    new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      const env = { PATH: process.env.PATH, STOWAGE_RUNTIME_DIR: '', STORAGE_PATH: join(directory, folder) };
      const child = execFile(process.execPath, [CLI, 'adopt', ...args], { env }, (_, stdout, stderr) =>
        resolve({ code: child.exitCode ?? -1, stdout, stderr }),
      );
    });

  it('writes nothing in a dry run', async () => {
    const { code, stdout } = await adopt(['--dry-run']);
    assert.equal(code, 0);
    assert.match(stdout, /^5 repositories, .* layers to read/);
    assert.deepEqual(await hashAll(driver), hashesOf(bucket));
  });

  it('counts in a dry run the tags that a run adopts', async () => {
    await cp(join(directory, 'data'), join(directory, 'copy'), { recursive: true });
    const { stdout: dryRun } = await adopt(['--dry-run'], 'copy');
    const [, tags, further] = /, (\d+) tags .*?(?:, (\d+) of them further tags)?$/m.exec(dryRun) ?? [];
    assert.ok(Number(further) > 0, dryRun);
    const { stdout } = await adopt([], 'copy');
    assert.equal(/^(\d+) tags, 0 failures/m.exec(stdout)?.[1], String(Number(tags) + Number(further)), stdout);
  });

  it('accepts the name of a repository whose objects have twice-quoted names and are not copied yet', async () => {
    assert.equal((await adopt(['a/b/c', '--dry-run'])).code, 0);
  });

  for (const name of ['nosuch', 'a//b', 'ubuntu/ubuntu']) {
    it(`exits with 1 and writes nothing for a repository that does not exist: ${name}`, async () => {
      const { code, stdout, stderr } = await adopt(['ubuntu', name]);
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, new RegExp(`^stowage: .*\\s\\S*${name}: .*\\n$`));
      assert.deepEqual(await hashAll(driver), hashesOf(bucket));
    });
  }

  it('exits with 1 if the directory does not exist, and does not create it', async () => {
    const { code, stdout, stderr } = await adopt([], 'dtaa');
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /^stowage: .*\/dtaa: .*storage_path.*\n$/);
    assert.equal(existsSync(join(directory, 'dtaa')), false);
  });

  it('exits with 1 if the storage holds no repository', async () => {
    await FilesDriver.open(join(directory, 'empty'));
    const { code, stderr } = await adopt([], 'empty');
    assert.equal(code, 1);
    assert.match(stderr, /^stowage: .*\/empty: .*storage_path.*\n$/);
  });

  it('adopts a repository; a second run reads no layer and shows no progress bar', async () => {
    const first = await adopt(['ubuntu']);
    assert.deepEqual([first.code, /reading layers/.test(first.stderr + first.stdout)], [0, true]);
    const second = await adopt(['ubuntu']);
    assert.deepEqual([second.code, second.stderr], [0, '']);
    assert.match(
      second.stdout,
      /^1 repositories, .* 0 layers to read .*\n\d+ tags, 0 failures, \S+ s, in \/.*\/data\n$/,
    );
  });
});
