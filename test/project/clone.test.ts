// The command as the package and a clone have it, as far as that can be tried without a network.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import manifest from '../../package.json' with { type: 'json' };

const ROOT = join(import.meta.dirname, '../..');
const run = promisify(execFile);

describe('npx stowage', () => {
  let directory: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'clone-'));
    for (const name of ['package.json', 'bin', 'tsconfig.json', 'tsconfig.build.json', 'config.yml', 'lib', 'tools']) {
      await cp(join(ROOT, name), join(directory, name), { recursive: true });
    }
    await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  });
  after(() => rm(directory, { recursive: true, force: true }));

  const stowage = async (args: string[], env: NodeJS.ProcessEnv = {}): Promise<string> => {
    const own = { npm_config_cache: join(directory, '.npm'), npm_config_offline: 'true', ...env };
    const options = { cwd: directory, env: { ...process.env, ...own } };
    return (await run('npx', ['--no-install', 'stowage', ...args], options)).stdout;
  };

  test('runs the command of a clone without a build and without a download', async () => {
    assert.equal(await stowage(['--version']), `${manifest.version}\n`);
    const config = await stowage(['config'], { SETTINGS_FLAVOR: 's3', AWS_BUCKET: 'acme-images' });
    assert.match(config, /acme-images/);
  });

  test('runs the command of the package, which has no source', async () => {
    await run('npm', ['run', 'build'], { cwd: directory });
    await rm(join(directory, 'lib'), { recursive: true });
    assert.equal(await stowage(['--version']), `${manifest.version}\n`);
  });
});
