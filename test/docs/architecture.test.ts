// docs/architecture.md and docs/decisions/ name what is there.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');
const ARCHITECTURE = 'docs/architecture.md';
const DECISIONS = readdirSync(join(ROOT, 'docs/decisions')).map((name) => `docs/decisions/${name}`);

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const architecture = read(ARCHITECTURE);
const diagrams = [...architecture.matchAll(/^```mermaid\n(.*?)^```$/gms)].map(([, code = '']) => code);

/** `a/{b,c}` to `a/b` and `a/c`. */
function expandBraces(key: string): string[] {
  const [, before = '', choices, after = ''] = /^(.*)\{(.+)\}(.*)$/.exec(key) ?? [];
  return choices === undefined ? [key] : choices.split(',').map((choice) => before + choice + after);
}

describe('docs/architecture.md', () => {
  const directories = readdirSync(join(ROOT, 'lib'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ parentPath, name }) => join(parentPath, name).slice(join(ROOT, 'lib/').length));

  it('describes each directory of lib/, and no other', () => {
    const rows = architecture.split('\n').filter((line) => line.startsWith('| `lib/'));
    const described = rows.flatMap((row) => [...(row.split(' | ')[0] ?? '').matchAll(/`lib\/([^`]+)`/g)]);
    assert.deepEqual(described.map(([, directory = '']) => directory).sort(), directories.toSorted());
  });

  it('draws each directory of lib/ but those within auth/ and commands/', () => {
    const [flowchart = ''] = diagrams;
    for (const directory of directories.filter((name) => !/^(auth|commands)\//.test(name))) {
      const name = directory.replace('registry/', '');
      assert.match(flowchart, new RegExp(`(?<![\\w/-])${name}(?![\\w/-])`), directory);
    }
  });

  it('shows four flows, in lines that Mermaid reads', () => {
    const flows = diagrams.filter((code) => code.startsWith('sequenceDiagram\n'));
    assert.equal(flows.length, 4);
    // A semicolon would end a statement.
    const statement = /^ *(?:participant [A-Z] as [^;]+|[A-Z](?:->>|-->>|-\))[A-Z]: [^;]+|(?:loop|alt|par) [^;]+|end)$/;
    for (const flow of flows) for (const line of flow.trim().split('\n').slice(1)) assert.match(line, statement);
  });

  it('lists the object keys that the header of lib/model/layout.ts lists', () => {
    const header = read('lib/model/layout.ts').split('\nimport ')[0] ?? '';
    const keys = [...header.matchAll(/^\/\/ {2}(.+?)(?: {2,}.*)?$/gm)].flatMap(([, key = '']) => expandBraces(key));
    assert.ok(keys.length > 25);
    const [, objects = ''] = architecture.split('\n## Objects\n');
    let folder = '';
    const drawn = [...objects.matchAll(/^ {4}( *)(.+?)(?: {2,}.*)?$/gm)].flatMap(([, indent, key = '']) => {
      if (indent === '') folder = key.endsWith('/') ? key : '';
      return key.endsWith('/') ? [] : expandBraces(indent === '' ? key : folder + key);
    });
    assert.deepEqual(drawn.sort(), keys.sort());
  });

  it('has a test for each consistency rule', () => {
    const [, rules = ''] = architecture.split('\n## Consistency rules\n');
    const rows = rules.split('\n').filter((line) => line.startsWith('| ') && !line.startsWith('| rule |'));
    assert.ok(rows.length >= 15);
    for (const row of rows) assert.match(row, /\| `test\/[^|]+ \|$/);
  });
});

describe('what docs/architecture.md and docs/decisions/ name', () => {
  for (const path of [ARCHITECTURE, ...DECISIONS]) {
    it(`is there: ${path}`, () => {
      const files = [...read(path).matchAll(/`((?:lib|test|infra|bin)\/[\w./-]+)`/g)].map(([, file = '']) => file);
      const links = [...read(path).matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link = '']) =>
        join(path, '..', link),
      );
      for (const file of [...files, ...links]) assert.ok(existsSync(join(ROOT, file)), file);
    });
  }

  it('is every decision, in the table of docs/decisions/README.md', () => {
    const listed = [...read('docs/decisions/README.md').matchAll(/^\| \[[^\]]+\]\(([^)]+)\)/gm)].map(
      ([, file]) => file,
    );
    const records = DECISIONS.map((path) => path.slice('docs/decisions/'.length)).filter(
      (name) => name !== 'README.md',
    );
    assert.deepEqual(listed.sort(), records.sort());
    for (const record of records) {
      const headings = [...read(`docs/decisions/${record}`).matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
      assert.deepEqual(headings, ['Context', 'Decision', 'Consequences'], record);
    }
  });
});
