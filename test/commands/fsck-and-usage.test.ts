import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { layout } from '../../lib/model/layout.ts';
import { parseRepositoryName, parseTag } from '../../lib/model/names.ts';
import { FilesDriver } from '../../lib/storage/files.ts';
import { type FullRegistry, fillRegistry } from '../registry/fsck/full-registry.ts';

const CLI = fileURLToPath(new URL('../../bin/stowage.js', import.meta.url));

describe('the commands', () => {
  let directory: string;
  let driver: FilesDriver;
  let full: FullRegistry;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-fsck-'));
    driver = await FilesDriver.open(join(directory, 'data'));
    full = await fillRegistry({ driver, leftovers: async () => [], close: async () => {} });
  });
  after(() => rm(directory, { recursive: true, force: true }));

  const stowage = (args: string[], folder = 'data', more: NodeJS.ProcessEnv = {}) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      const env = { PATH: process.env.PATH, STOWAGE_RUNTIME_DIR: '', STORAGE_PATH: join(directory, folder), ...more };
      const child = execFile(process.execPath, [CLI, ...args], { env }, (_, stdout, stderr) =>
        resolve({ code: child.exitCode ?? -1, stdout, stderr }),
      );
    });
  const linesOf = (stdout: string) =>
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  describe('fsck', () => {
    it('exits with 0 if there are warnings only, and repairs them if told to', async () => {
      const { code, stdout } = await stowage(['fsck', '--json']);
      assert.equal(code, 0, stdout);
      assert.deepEqual(
        linesOf(stdout).map(({ kind }) => kind),
        ['no-layout-record', undefined],
      );
      const dryRun = await stowage(['fsck', '--repair', '--dry-run']);
      assert.match(dryRun.stdout, /^warning no-layout-record oci\/layout\.json/);
      assert.equal(await driver.head(layout.layoutVersion()), undefined);
      const repaired = await stowage(['fsck', '--repair', '--json']);
      assert.partialDeepStrictEqual(linesOf(repaired.stdout).at(-1), { errors: 0, warnings: 0, repaired: 1 });
      assert.ok(await driver.head(layout.layoutVersion()));
    });

    it('knows the users file that is configured, where it lies in storage', async () => {
      const findings = async (more: NodeJS.ProcessEnv) =>
        linesOf((await stowage(['fsck', '--json'], 'data', more)).stdout).flatMap(({ kind, key }) =>
          kind === 'unknown-key' ? [key] : [],
        );
      const file = join(directory, 'data', 'users');
      await writeFile(file, '');
      assert.deepEqual(await findings({}), ['users']);
      assert.deepEqual(await findings({ AUTH: JSON.stringify({ htpasswd: file }) }), []);
      await rm(file);
    });

    it('exits with 1 if there is an error', async () => {
      const key = layout.tag(parseRepositoryName('team/app'), parseTag('lost'));
      await driver.put(key, Buffer.from('ab'.repeat(32)));
      const { code, stdout } = await stowage(['fsck', '--json']);
      assert.equal(code, 1);
      assert.partialDeepStrictEqual(linesOf(stdout)[0], { kind: 'dangling-tag', severity: 'error', key });
      await driver.delete(key);
    });

    it('hashes bytes, or a sample of them', async () => {
      const all = await stowage(['fsck', '--level', 'bytes', '--json']);
      assert.equal(all.code, 0, all.stdout);
      const hashedBy = async (...sample: string[]) => {
        const { code, stdout } = await stowage(['fsck', '--level', 'bytes', '--json', ...sample]);
        assert.equal(code, 0, stdout);
        return Number(linesOf(stdout).at(-1)?.hashed);
      };
      const hashed = await hashedBy();
      assert.ok(hashed > 5);
      for (const sample of ['100', '100%']) assert.equal(await hashedBy('--sample', sample), hashed);
      for (const sample of ['50', '50%', '50.0']) {
        const inSample = await hashedBy('--sample', sample);
        assert.equal(inSample, await hashedBy('--sample', '50%'));
        assert.ok(inSample < hashed);
      }
      const shown = await stowage(['fsck', '--level', 'bytes', '--sample', '100']);
      assert.match(shown.stdout, new RegExp(` objects, ${hashed} of them hashed: 0 errors`));
      assert.match((await stowage(['fsck', '--help'])).stdout, /default: 100%/);
    });

    it('warns of a storage without a repository, where a server may have run, and names it', async () => {
      const elsewhere = await FilesDriver.open(join(directory, 'elsewhere'));
      await elsewhere.put(layout.layoutVersion(), Buffer.from('{"layout": 2, "minWriter": 2}'));
      const { stderr } = await stowage(['fsck'], 'elsewhere');
      assert.match(stderr, /no repository in .*elsewhere/);
      assert.doesNotMatch((await stowage(['fsck'])).stderr, /no repository/);
    });

    it('refuses a sample that is no percentage, and a level that does not exist', async () => {
      for (const sample of ['0', '0%', '101', 'half', '1%%']) {
        assert.equal((await stowage(['fsck', '--sample', sample])).code, 1, sample);
      }
      assert.equal((await stowage(['fsck', '--level', 'all'])).code, 1);
    });
  });

  describe('usage', () => {
    it('prints repositories, tags and layers, and stores the summaries', async () => {
      const { code, stdout } = await stowage(['usage', '--json', '--price', '1000000']);
      assert.equal(code, 0);
      const lines = linesOf(stdout);
      const big = lines.find(({ repository }) => repository === 'team/big');
      assert.partialDeepStrictEqual(big, { uniqueBytes: 5 * 2 ** 20 + 2, tags: 1, dollars: 4882.81 });
      const last = linesOf((await stowage(['usage', '--last', '--json', 'team/big'])).stdout);
      assert.partialDeepStrictEqual(last, [{ repository: 'team/big', uniqueBytes: 5 * 2 ** 20 + 2 }]);

      const tags = linesOf((await stowage(['usage', '--by', 'tag', '--json', 'team/big'])).stdout);
      assert.partialDeepStrictEqual(tags, [{ tag: '1.0', uniqueBytes: 5 * 2 ** 20 + 2 }]);
      const layers = linesOf((await stowage(['usage', '--by', 'layer', '--top', '1', '--json'])).stdout);
      const sizeBytes = 5 * 2 ** 20;
      assert.deepEqual(layers[0], { layer: full.big, sizeBytes, storedBytes: sizeBytes, repositories: ['team/big'] });
    });

    it('exits with 1 for a repository that does not exist', async () => {
      const { code, stderr } = await stowage(['usage', 'nosuch']);
      assert.equal(code, 1);
      assert.match(stderr, /library\/nosuch/);
    });
  });

  for (const command of ['fsck', 'usage']) {
    it(`${command} exits with 1 if the directory does not exist, and does not create it`, async () => {
      assert.equal((await stowage([command], 'dtaa')).code, 1);
      assert.equal(existsSync(join(directory, 'dtaa')), false);
    });
  }
});
