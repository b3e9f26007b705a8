import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, it } from 'node:test';

const LIB = join(import.meta.dirname, '../lib');

/** A folder may import from those below it, and from the modules that lie in `lib/` itself. */
const ORDER = ['commands', 'config', 'v1', 'v2', 'auth', 'registry', 'tar', 'compression', 'storage', 'limits'];

describe('imports', () => {
  const modules = readdirSync(LIB, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));

  it('of folders point one way', () => {
    const wrong = modules.flatMap((module) => {
      const from = ORDER.indexOf(folderOf(module));
      return importsOf(module).filter((path) => path.includes('/') && ORDER.indexOf(folderOf(path)) < from);
    });
    assert.deepEqual(wrong, []);
  });

  it('name every folder there is', () => {
    const folders = new Set(modules.filter((path) => path.includes('/')).map(folderOf));
    assert.deepEqual([...folders].sort(), ORDER.toSorted());
  });
});

const folderOf = (module: string) => module.slice(0, Math.max(0, module.indexOf('/')));

/** What a module imports of `lib/`, types included, by path below it. */
function importsOf(module: string): string[] {
  const code = readFileSync(join(LIB, module), 'utf8');
  return [...code.matchAll(/(?:from|import\() ?'(\.[^']+)'/g)].map(([, path = '']) =>
    relative(LIB, join(LIB, module, '..', path)),
  );
}
