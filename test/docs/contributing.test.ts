// What CONTRIBUTING.md, SECURITY.md and the templates of issues name is there.
import assert from 'node:assert/strict';
import { accessSync, constants, existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { CORE_SCHEMA, load } from 'js-yaml';

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

describe('CONTRIBUTING.md', () => {
  const text = read('CONTRIBUTING.md');

  it('names files that are there', () => {
    const files = [...text.matchAll(/`((?:lib|functions|test|docs|bench|\.ci)\/[\w./-]*)`/g)].map(
      ([, file = '']) => file,
    );
    const links = [...text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link = '']) => link);
    assert.ok(files.length > 20);
    for (const file of [...files, ...links]) assert.ok(existsSync(join(ROOT, file)), file);
  });

  it('names scripts that are there, among them each kind of test', () => {
    const named = [...text.matchAll(/npm (?:run (?:--silent )?)?(start|test|[a-z]+(?::[a-z]+)?)\b/g)].map(
      ([, name = '']) => name,
    );
    const ofNpm = ['ci', 'audit', 'version', 'publish', 'pack'];
    for (const name of named.filter((name) => !ofNpm.includes(name))) assert.ok(name in scripts, name);
    const kinds = Object.keys(scripts).filter((name) => /^test:[a-z0-9]+$/.test(name));
    for (const kind of kinds) assert.match(text, new RegExp(`^\\|.*\`npm run ${kind}\` \\|$`, 'm'));
  });

  it('says the floors of coverage, which CI holds', () => {
    const floors = [...read('test/run.ts').matchAll(/--test-coverage-(lines|branches)=(\d+)/g)];
    assert.equal(floors.length, 2);
    for (const [, what, percent] of floors) assert.match(text, new RegExp(`\\b${percent} % of ${what}`));
    assert.equal(scripts.coverage, 'npm test -- --coverage');
    assert.match(read('.ci/run'), /npm ci && npm test -- --coverage\b/);
  });
});

describe('npm run test:unit', () => {
  const [, pattern = ''] = /"([^"]+)"$/.exec(scripts['test:unit'] ?? '') ?? [];
  const files = globSync(pattern, { cwd: ROOT });

  /** The modules below test/ that a test loads, itself included. */
  function loadedBy(file: string, seen = new Set<string>()): Set<string> {
    if (seen.has(file) || !file.startsWith('test/')) return seen;
    seen.add(file);
    for (const [, path = ''] of read(file).matchAll(/from '(\.[^']+\.ts)'/g)) loadedBy(join(dirname(file), path), seen);
    return seen;
  }

  it('starts no registry and no other process', () => {
    assert.ok(files.length > 20);
    for (const file of files.filter((name) => !import.meta.filename.endsWith(name))) {
      for (const module of loadedBy(file)) {
        assert.doesNotMatch(
          read(module),
          /\b(?:startNodeServer|startRegistry|node:child_process)\b/,
          `${file}: ${module}`,
        );
      }
    }
  });
});

describe('SECURITY.md', () => {
  it('is what docs/security.md points to', () => {
    assert.match(read('docs/security.md'), /\]\(\.\.\/SECURITY\.md\)/);
    assert.match(read('SECURITY.md'), /\]\(docs\/security\.md\)/);
  });
});

describe('templates of issues', () => {
  for (const path of globSync('.github/ISSUE_TEMPLATE/*.yml', { cwd: ROOT })) {
    it(`${path} has the fields that GitHub wants`, () => {
      const form = load(read(path), { schema: CORE_SCHEMA }) as Record<string, unknown>;
      if (path.endsWith('config.yml')) return assert.equal(form.blank_issues_enabled, false);
      const body = form.body as { type: string; id?: string; attributes: Record<string, unknown> }[];
      assert.ok(form.name && form.description);
      for (const { type, id, attributes } of body) {
        assert.ok(['markdown', 'textarea', 'input', 'dropdown', 'checkboxes'].includes(type), type);
        assert.ok(type === 'markdown' ? attributes.value : id && attributes.label);
        if (type === 'dropdown') assert.ok(Array.isArray(attributes.options));
      }
    });
  }
});

describe('the hook before a commit', () => {
  it('can be run, and runs scripts that are there', () => {
    accessSync(join(ROOT, '.githooks/pre-commit'), constants.X_OK);
    for (const [, name = ''] of read('.githooks/pre-commit').matchAll(/npm run (?:--silent )?([\w:]+)/g)) {
      assert.ok(name === 'hooks' || name in scripts, name);
    }
    assert.equal(scripts.hooks, 'git config core.hooksPath .githooks');
  });
});
