import { execFile } from 'node:child_process';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { buildFunction } from '../../functions/build.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');

/**
 * Bundles a function as the source is now.
 * @param directory where it is put, in a folder of the function's name
 * @returns the folder of the bundle
 */
export async function bundleCurrent(name: string, directory: string): Promise<string> {
  const bundle = join(directory, name);
  await buildFunction(name, bundle);
  return bundle;
}

/**
 * Bundles functions as they were at a revision, with that revision's own build and with the packages that are installed now.
 * @param directory where the source and the bundles are put
 * @returns the folders of the bundles, in the order of `names`
 * @throws Error if git does not know the revision
 */
export async function bundleRevision(revision: string, names: readonly string[], directory: string): Promise<string[]> {
  const source = join(directory, 'source');
  await run('git', ['worktree', 'add', '--detach', source, revision], { cwd: ROOT });
  try {
    await symlink(join(ROOT, 'node_modules'), join(source, 'node_modules'));
    const bundles = names.map((name) => join(directory, name));
    for (const [index, name] of names.entries()) {
      await run(process.execPath, [join(source, 'functions/build.ts'), name, bundles[index] ?? '']);
    }
    return bundles;
  } finally {
    await run('git', ['worktree', 'remove', '--force', source], { cwd: ROOT });
  }
}
