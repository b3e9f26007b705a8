// The links of the documents lead to files and headings that exist.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');
const DOCUMENTS = [
  ...readdirSync(ROOT),
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' }).map((name) => join('docs', name)),
  'infra/README.md',
].filter((name) => name.endsWith('.md'));

/** The anchors of the headings, as GitHub makes them. */
function anchorsOf(path: string): Set<string> {
  const text = readFileSync(path, 'utf8').replaceAll(/^```.*?^```$/gms, '');
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading.toLowerCase());
  return new Set(headings.map((heading) => heading.replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-')));
}

for (const document of DOCUMENTS) {
  test(`the links of ${document} lead somewhere`, () => {
    const text = readFileSync(join(ROOT, document), 'utf8');
    for (const [, link = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [file = '', anchor] = link.split('#');
      const path = file === '' ? join(ROOT, document) : join(ROOT, dirname(document), file);
      assert.ok(existsSync(path), link);
      if (anchor !== undefined) assert.ok(anchorsOf(path).has(anchor), link);
    }
  });
}
