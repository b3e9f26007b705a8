import { execFile } from 'node:child_process';
import { readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { buildFunction } from '../../functions/build.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');

/** `nodeOptions` is what the template of the same revision sets for all functions. */
export type Bundles = { directories: string[]; nodeOptions: string };

/**
 * Bundles functions as the source is now.
 * @param directory where they are put, each in a folder of its name
 */
export async function bundleCurrent(names: readonly string[], directory: string): Promise<Bundles> {
  const directories = names.map((name) => join(directory, name));
  for (const [index, name] of names.entries()) await buildFunction(name, directories[index] ?? '');
  return { directories, nodeOptions: await nodeOptionsOf(ROOT) };
}

/**
 * Bundles functions as they were at a revision, with that revision's own build and with the packages that are installed now.
 * @param directory where the source and the bundles are put
 * @throws Error if git does not know the revision
 */
export async function bundleRevision(revision: string, names: readonly string[], directory: string): Promise<Bundles> {
  const source = join(directory, 'source');
  await run('git', ['worktree', 'add', '--detach', source, revision], { cwd: ROOT });
  try {
    await symlink(join(ROOT, 'node_modules'), join(source, 'node_modules'));
    const directories = names.map((name) => join(directory, name));
    for (const [index, name] of names.entries()) {
      await run(process.execPath, [join(source, 'functions/build.ts'), name, directories[index] ?? '']);
    }
    return { directories, nodeOptions: await nodeOptionsOf(source) };
  } finally {
    await run('git', ['worktree', 'remove', '--force', source], { cwd: ROOT });
  }
}

async function nodeOptionsOf(root: string): Promise<string> {
  const template = await readFile(join(root, 'template.yaml'), 'utf8');
  return /^ +NODE_OPTIONS: (.+)$/m.exec(template)?.[1] ?? '';
}
