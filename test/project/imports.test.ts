import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, it } from 'node:test';

const LIB = join(import.meta.dirname, '../../lib');

/** The directories that hold modules, top first. A module imports only from its own directory and from those further down. */
const ORDER = [
  'commands',
  'commands/support',
  'embed',
  'workers',
  'server',
  'config',
  'v1',
  'v2',
  'v2/stowage',
  'ui',
  'ui/pages',
  'ui/session',
  'ui/data',
  'ui/data/signatures',
  'ui/html',
  'auth',
  'auth/tokens',
  'auth/oidc',
  'auth/passwords',
  'auth/rules',
  'auth/callers',
  'http',
  'registry',
  'registry/retention',
  'registry/fsck',
  'registry/usage',
  'registry/collector',
  'registry/old-buckets',
  'registry/repositories',
  'registry/history',
  'registry/manifests',
  'registry/v2-to-v1',
  'registry/v1-to-v2',
  'registry/uploads',
  'registry/v1-pushes',
  'registry/v1-images',
  'registry/tags',
  'registry/inventory',
  'registry/blobs',
  'registry/condemned',
  'tar',
  'compression',
  'storage',
  'limits',
  'concurrency',
  'streams',
  'model',
];

describe('imports of lib/', () => {
  const modules = readdirSync(LIB, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));

  it('point down the order of directories, type imports included', () => {
    const wrong = modules.flatMap((module) =>
      importsOf(module)
        .filter((path) => ORDER.indexOf(dirname(path)) < ORDER.indexOf(dirname(module)))
        .map((path) => `${module} imports ${path}`),
    );
    assert.deepEqual(wrong, []);
  });

  it('are judged for every module: each lies in a directory of the order, and none in lib/ itself', () => {
    const directories = new Set(modules.map((module) => dirname(module)));
    assert.deepEqual([...directories].sort(), ORDER.toSorted());
  });

  it('form no cycle, type imports included', () => {
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (module: string, path: readonly string[]): void => {
      if (path.includes(module)) cycles.push([...path.slice(path.indexOf(module)), module].join(' → '));
      if (path.includes(module) || done.has(module)) return;
      for (const imported of importsOf(module)) visit(imported, [...path, module]);
      done.add(module);
    };
    for (const module of modules) visit(module, []);
    assert.deepEqual(cycles, []);
  });
});

/** What a module imports of `lib/`, types included, as paths below it. */
function importsOf(module: string): string[] {
  return resolved(module, /(?:from|import\(|import) ?'(\.[^']+)'/g);
}

function resolved(module: string, pattern: RegExp): string[] {
  const code = readFileSync(join(LIB, module), 'utf8');
  return [...code.matchAll(pattern)].map(([, path = '']) => relative(LIB, join(LIB, dirname(module), path)));
}
