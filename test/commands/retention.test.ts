import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FilesDriver } from '../../lib/storage/files.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';

const CLI = fileURLToPath(new URL('../../bin/stowage.js', import.meta.url));

const configWith = (rule: string) =>
  `storage: local\nstorage_path: ./data\nretention:\n  rules:\n    - {repositories: 'team/*', ${rule}}\n`;

describe('stowage retention', () => {
  let directory: string;
  let server: RegistryServer;
  let client: V2Client;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-retention-'));
    server = await startRegistry(await FilesDriver.open(join(directory, 'data')), { runsBackgroundWork: false });
    client = new V2Client(server.url);
    await writeFile(join(directory, 'config.yml'), configWith("tags: 'v*', keep: {newest_of_each: major}"));
    for (const tag of ['v1.0', 'v1.1', 'v2.0', 'latest']) await pushImage(client, 'team/app', tag, { contents: [tag] });
  });
  after(async () => {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  });

  const stowage = async (...args: string[]) => {
    const env = { PATH: process.env.PATH, STOWAGE_RUNTIME_DIR: '', SETTINGS_FLAVOR: '' };
    const child = spawn(process.execPath, [CLI, ...args], { cwd: directory, env });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk) => (stdout += String(chunk)));
    child.stderr.on('data', (chunk) => (stderr += String(chunk)));
    const [code] = await once(child, 'close');
    return { code, stdout, stderr };
  };
  const tags = async () => {
    const answer = await client.send('GET', '/v2/team/app/tags/list');
    return ((await answer.json()) as { tags: string[] }).tags;
  };
  const plans = async () => (await stowage('retention', 'list', '--json')).stdout.trim().split('\n').filter(Boolean);

  it('prints what would go, and stores no plan, with --dry-run', async () => {
    const { code, stdout } = await stowage('retention', 'plan', '--dry-run');
    assert.equal(code, 0);
    assert.deepEqual(stdout.trim().split('\n'), [
      'delete  team/app:v1.0  rule 1: 2nd highest of 1',
      'keep    team/app:v1.1  rule 1: highest of 1',
      'keep    team/app:v2.0  rule 1: highest of 2',
    ]);
    assert.deepEqual(await plans(), []);
    const now = await stowage('retention', 'apply', '--now', '--dry-run');
    assert.deepEqual(now.stdout.trim().split('\n'), ['delete  team/app:v1.0  rule 1: 2nd highest of 1']);
    assert.equal((await tags()).length, 4);
  });

  it('makes a plan, applies it, and takes it back', async () => {
    const made = await stowage('retention', 'plan', '--json');
    const lines = made.stdout.trim().split('\n');
    const record = JSON.parse(lines.pop() ?? '') as { id: string; counts: object };
    assert.deepEqual(record.counts, { repositories: 1, tags: 4, listed: 3, keep: 2, delete: 1 });
    assert.equal(lines.length, 3);
    assert.equal((await tags()).length, 4);

    const applied = await stowage('retention', 'apply', record.id);
    assert.deepEqual([applied.code, applied.stdout], [0, `plan ${record.id}: 1 tags deleted, 0 left alone\n`]);
    assert.deepEqual(await tags(), ['latest', 'v1.1', 'v2.0']);

    const undone = await stowage('retention', 'undo', record.id);
    assert.deepEqual([undone.code, undone.stdout], [0, `plan ${record.id}: 1 tags restored, 0 left alone\n`]);
    assert.deepEqual(await tags(), ['latest', 'v1.0', 'v1.1', 'v2.0']);
    assert.match((await stowage('retention', 'list')).stdout, /1 to delete, 1 deleted, 1 restored\n$/);
  });

  it('takes rules from a file of their own, and refuses a wrong one with its line', async () => {
    await writeFile(join(directory, 'rules.yml'), "- repositories: ['team/*']\n  keep: {last: 9}\n");
    const { stdout } = await stowage('retention', 'plan', '--dry-run', '--rules', 'rules.yml');
    assert.equal(stdout.trim().split('\n').length, 4);
    const section = "  retention:\n    undo: 14d\n    rules:\n      - {repositories: ['team/*'], keep: {last: 9}}\n";
    await writeFile(join(directory, 'rules.yml'), section);
    assert.equal((await stowage('retention', 'plan', '--dry-run', '--rules', 'rules.yml')).stdout, stdout);
    for (const unknown of [`${section}  quotas: []\n`, section.replace('undo', 'undoo'), 'retention:\n  undo: 1d\n']) {
      await writeFile(join(directory, 'rules.yml'), unknown);
      const refused = await stowage('retention', 'plan', '--dry-run', '--rules', 'rules.yml');
      assert.deepEqual([refused.code, refused.stdout], [1, ''], unknown);
      assert.match(
        refused.stderr,
        /rules\.yml.*(?:has quotas|has undoo|has no retention\.rules); allowed: a list of rules/,
      );
    }
    await writeFile(join(directory, 'rules.yml'), "- repositories: ['team/*']\n  keep: {lst: 9}\n");
    const wrong = await stowage('retention', 'plan', '--rules', 'rules.yml');
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /rules\.yml:2: rule 1 has in keep lst; did you mean last\?/);
  });

  it('refuses a plan that does not exist, and apply without a plan', async () => {
    const unknown = await stowage('retention', 'apply', '20260101T000000000Z-00000000');
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /there is no plan/);
    assert.equal((await stowage('retention', 'apply')).code, 1);
  });

  for (const [wrong, rule] of Object.entries({
    misspelt: 'kep: {last: 1}',
    empty: 'keep: {}',
    contradictory: 'keep: {last: 1}, untagged: 14d',
  })) {
    it(`neither starts a server nor deletes anything by a rule that is ${wrong}`, async () => {
      await writeFile(join(directory, 'config.yml'), configWith(rule));
      const before = await tags();
      for (const args of [['serve'], ['retention', 'apply', '--now']]) {
        const { code, stderr } = await stowage(...args);
        assert.equal(code, 1, args.join(' '));
        assert.match(stderr, /config\.yml:5: retention\.rules: rule 1 /);
      }
      assert.deepEqual(await tags(), before);
    });
  }
});
