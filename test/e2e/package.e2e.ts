// The package as `npm publish` would send it, installed into another project.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { transform } from 'esbuild';

const ROOT = join(import.meta.dirname, '../..');
const run = promisify(execFile);

describe('the package', () => {
  let directory: string;
  /** Of a project that has the package among its dependencies. */
  let project: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'package-'));
    const clone = join(directory, 'clone');
    for (const name of ['package.json', 'bin', 'tsconfig.json', 'tsconfig.build.json', 'config.yml', 'lib']) {
      await cp(join(ROOT, name), join(clone, name), { recursive: true });
    }
    await symlink(join(ROOT, 'node_modules'), join(clone, 'node_modules'));
    await run('npm', ['pack', '--silent', '--pack-destination', directory], { cwd: clone });
    project = join(directory, 'project');
    const modules = join(project, 'node_modules');
    await mkdir(modules, { recursive: true });
    for (const name of await readdir(join(ROOT, 'node_modules'))) {
      await symlink(join(ROOT, 'node_modules', name), join(modules, name));
    }
    const [archive = ''] = (await readdir(directory)).filter((name) => name.endsWith('.tgz'));
    await mkdir(join(modules, 'stowage'));
    await run('tar', ['-xzf', join(directory, archive), '-C', join(modules, 'stowage'), '--strip-components=1']);
    await writeFile(join(project, 'package.json'), '{ "type": "module" }');
  });
  after(() => rm(directory, { recursive: true, force: true }));

  it('runs every example of docs/embedding.md', async () => {
    const text = await readFile(join(ROOT, 'docs/embedding.md'), 'utf8');
    const examples = [...text.matchAll(/```js\n(.*?)```/gs)].map(([, code = '']) => code);
    const outputs: string[] = [];
    for (const [index, code] of examples.entries()) {
      const file = join(project, `example-${index}.js`);
      await writeFile(file, code);
      const { stdout, stderr } = await run(process.execPath, [file], { cwd: project });
      assert.equal(stderr, '');
      outputs.push(stdout);
    }
    assert.match(outputs[0] ?? '', /^docker push 127\.0\.0\.1:\d+\/app\n$/);
    assert.deepEqual(outputs.slice(1), ['201 a layer\n', '']);
  });

  it('needs a Node version of `engines`, which the README names, and prints an error on older versions', async () => {
    const { engines } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { engines: { node: string } };
    const nodes = [...engines.node.matchAll(/(\d+)\.(\d+)\.0/g)].map(([, major, minor]) => `${major}.${minor}`);
    const command = join(project, 'node_modules/stowage/bin/stowage.js');
    const versionUnder = async (node: string) => {
      const versions = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${node}' } })`;
      return await run(process.execPath, ['--import', `data:text/javascript,${versions}`, command, '--version']);
    };
    const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
    assert.ok(readme.includes(`Node.js ${nodes.join(', ')} or newer`), 'README names the versions of engines');
    for (const node of ['22.15.0', '22.99.0', '23.8.0', '24.0.0', '30.1.0']) await versionUnder(node);
    for (const node of ['12.22.12', '20.20.2', '22.14.0', '23.7.0']) {
      const message = `stowage: needs Node ${nodes.join(', ')} or newer; this is ${node}\n`;
      await assert.rejects(versionUnder(node), { code: 1, stderr: message });
    }
  });

  it('starts with a file that Node 12 can parse', async () => {
    const code = await readFile(join(ROOT, 'bin/stowage.js'), 'utf8');
    assert.doesNotMatch(code, /^import /m);
    const parsedFor = async (target: string) => (await transform(code, { target, format: 'esm' })).code;
    assert.equal(await parsedFor('node12.22'), await parsedFor('esnext'));
  });

  it('has types, which a strict program compiles against', async () => {
    await writeFile(
      join(project, 'program.ts'),
      `import { createServer } from 'node:http';
import { createRegistry, type EmbeddedRegistry, type FetchOptions, type StorageDriver, StorageFullError } from 'stowage';
export async function start(storage: StorageDriver): Promise<EmbeddedRegistry> {
  const registry = await createRegistry({ storage, config: { standalone: true } });
  createServer(registry.listener);
  const client: FetchOptions = { clientAddress: '192.0.2.1' };
  const response: Response = await registry.fetch(new Request('http://registry.test/v2/'), client);
  if (!response.ok) throw new StorageFullError('no room');
  return registry;
}
`,
    );
    const options = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2024', '--types', 'node'];
    await run(join(ROOT, 'node_modules/.bin/tsc'), [...options, 'program.ts'], { cwd: project });
  });
});
