import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, it } from 'node:test';

const directory = mkdtempSync(join(tmpdir(), 'stowage-running-test-'));
after(() => rmSync(directory, { recursive: true }));

/** A test, as a source text, which awaits `before` and then runs `act` and goes on for a moment. */
const source = (title: string, act: string) =>
  `test('${title}', async () => { await readFile('/dev/null'); ${act}; await setTimeout(20); });`;

it('an error that no test awaits, and a nested hook, belong to the test that caused them', () => {
  const file = join(directory, 'errors.test.mjs');
  const lines = [
    "import assert from 'node:assert/strict';",
    "import { after, describe, it, test } from 'node:test';",
    "import { readFile } from 'node:fs/promises';",
    "import { setTimeout } from 'node:timers/promises';",
    source('rejects', "void setTimeout(1).then(() => { throw new Error('a rejection') })"),
    source('throws', "globalThis.setTimeout(() => { throw new Error('an exception') }, 1)"),
    'const order = [];',
    source('cleans up', "after(() => order.push('cleaned up'))"),
    "describe('a suite', () => { it('comes later', () => assert.deepEqual(order, ['cleaned up'])); });",
  ];
  writeFileSync(file, lines.join('\n'));
  const { NODE_TEST_CONTEXT, ...env } = process.env;
  const options = ['--test-reporter=tap', `--import=${resolve('test/running-test.ts')}`, file];
  const { stdout, status } = spawnSync(process.execPath, options, { encoding: 'utf8', env });

  const results = stdout.split('\n').filter((line) => /^ *(not )?ok /.test(line));
  assert.deepEqual(
    results.map((line) => line.trim()),
    ['not ok 1 - rejects', 'not ok 2 - throws', 'ok 3 - cleans up', 'ok 1 - comes later', 'ok 4 - a suite'],
    stdout,
  );
  assert.match(stdout, /a rejection/);
  assert.match(stdout, /an exception/);
  assert.equal(status, 1);
});
