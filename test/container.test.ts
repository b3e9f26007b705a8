// The container image, as far as it can be tried without building one.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { answers, freePort, ServerProcess } from './e2e/server-process.ts';

const ROOT = join(import.meta.dirname, '..');
const run = promisify(execFile);

describe('the container image', () => {
  let dockerfile: string[];
  let directory: string;

  before(async () => {
    const text = await readFile(join(ROOT, 'Dockerfile'), 'utf8');
    dockerfile = text.replaceAll('\\\n', '').split('\n');
    directory = await mkdtemp(join(tmpdir(), 'image-'));
  });
  after(() => rm(directory, { recursive: true, force: true }));

  const instructions = (name: string) =>
    dockerfile.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1).trim());

  test('is made of files that are there, and that .dockerignore lets through', async () => {
    const ignore = (await readFile(join(ROOT, '.dockerignore'), 'utf8')).trim().split('\n');
    assert.equal(ignore[0], '*');
    const sources = instructions('COPY')
      .filter((line) => !line.startsWith('--from'))
      .flatMap((line) => line.split(/\s+/).slice(0, -1));
    assert(sources.length >= 5);
    for (const source of sources) {
      assert(ignore.includes(`!${source}`), `${source} is ignored`);
      await cp(join(ROOT, source), join(directory, source), { recursive: true });
    }
  });

  test('has the Node that package-lock.json has, and runs without root', async () => {
    const lock = JSON.parse(await readFile(join(ROOT, 'package-lock.json'), 'utf8'));
    for (const from of instructions('FROM')) {
      assert.match(from, new RegExp(`^node:${lock.packages['node_modules/node'].version}-`));
    }
    assert.deepEqual(instructions('USER'), ['1000:1000']);
  });

  test('starts from what is built, and its own check finds it healthy', async () => {
    await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
    await run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], { cwd: directory });
    const [entrypoint = ''] = instructions('ENTRYPOINT');
    const [, ...args] = JSON.parse(entrypoint) as string[];
    const port = String(await freePort());
    const env = { REGISTRY_PORT: port, REGISTRY_HOST: '127.0.0.1', STORAGE_PATH: join(directory, 'data') };
    const server = await ServerProcess.start({
      command: process.execPath,
      args: [...args.map((argument) => argument.replace('dist/', join(directory, 'dist/'))), 'serve'],
      env: { ...env, DOCKER_REGISTRY_CONFIG: join(directory, 'config.yml') },
      log: join(directory, 'server.log'),
      isReady: () => answers(`http://127.0.0.1:${port}/healthz`),
    });
    try {
      const [check = ''] = instructions('HEALTHCHECK');
      const [, ...command] = JSON.parse(check.slice(check.indexOf('['))) as string[];
      await run(process.execPath, command, { env: { REGISTRY_PORT: port } });
      await assert.rejects(run(process.execPath, command, { env: { REGISTRY_PORT: '1' } }));
    } finally {
      await server.stop();
    }
  });
});
