import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { layout } from '../../lib/model/layout.ts';
import { FilesDriver } from '../../lib/storage/files.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { digestOf, V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';

const CLI = fileURLToPath(new URL('../../bin/stowage.js', import.meta.url));

describe('the command tag', () => {
  let directory: string;
  let server: RegistryServer;
  let client: V2Client;
  let first: string;
  let second: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-tag-'));
    server = await startRegistry(await FilesDriver.open(join(directory, 'data')));
    client = new V2Client(server.url);
    first = (await pushImage(client, 'prod/app', '1.0', { contents: ['first'] })).digest;
    second = (await pushImage(client, 'prod/app', '1.0', { contents: ['second'] })).digest;
    await client.send('DELETE', '/v2/prod/app/manifests/1.0');
    await pushImage(client, 'prod/app', 'once', { contents: ['first'] });
    await server.idle();
  });
  after(async () => {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  });

  const stowage = (...args: string[]) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      const env = { PATH: process.env.PATH, STOWAGE_RUNTIME_DIR: '', STORAGE_PATH: join(directory, 'data') };
      const child = execFile(process.execPath, [CLI, ...args], { env }, (_, stdout, stderr) =>
        resolve({ code: child.exitCode ?? -1, stdout, stderr }),
      );
    });
  const tag = (...args: string[]) => stowage('tag', ...args);
  const digestOfTag = async () => {
    const response = await client.send('GET', '/v2/prod/app/manifests/1.0');
    return response.status === 200 ? digestOf(new Uint8Array(await response.arrayBuffer())) : response.status;
  };

  it('lists the moves of a tag, the newest first', async () => {
    const { code, stdout } = await tag('history', 'prod/app:1.0');
    assert.equal(code, 0);
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/));
    const short = (digest: string) => digest.slice(0, 19);
    assert.deepEqual(
      rows.map(([number, , ...others]) => [number, ...others]),
      [
        ['#', 'who', 'from', 'to'],
        ['1', 'anonymous', short(second), 'deleted'],
        ['2', 'anonymous', short(first), short(second)],
        ['3', 'anonymous', '-', short(first)],
      ],
    );
  });

  it('lists as many as it is told, as JSON', async () => {
    const { stdout } = await tag('history', 'prod/app:1.0', '-n', '2', '--json');
    const moves = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      moves.map(({ from, to }) => [from, to]),
      [
        [second, null],
        [first, second],
      ],
    );
  });

  it('says in a dry run what it would restore, and writes nothing', async () => {
    const { code, stdout } = await tag('restore', 'prod/app:1.0', '--dry-run', '--json');
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(stdout), { repository: 'prod/app', tag: '1.0', from: null, to: second, dryRun: true });
    assert.equal(await digestOfTag(), 404);
  });

  it('restores what the tag named before, a move by its number, a digest, and a time, while the server runs', async () => {
    const { stdout } = await tag('history', 'prod/app:1.0', '--json');
    const [, , oldest] = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    for (const [args, digest] of [
      [[], second],
      // Each restoration is a move itself: 1 is the last one, 4 the first push.
      [['--to', '4'], first],
      [['--to', second], second],
      [['--to', oldest.at], first],
    ] as const) {
      const { code, stderr } = await tag('restore', 'prod/app:1.0', ...args);
      assert.equal(code, 0, stderr);
      assert.equal(await digestOfTag(), digest, args.join(' '));
    }
    const { stdout: after } = await tag('history', 'prod/app:1.0', '-n', '1', '--json');
    assert.match(JSON.parse(after).by, /^operator/);
  });

  it('restores nothing, and repairs nothing, in storage that a newer version writes', async () => {
    const driver = await FilesDriver.open(join(directory, 'data'));
    const record = layout.layoutVersion();
    const before = await driver.read(record);
    await driver.put(record, Buffer.from('{"layout": 3, "minWriter": 3}'));
    const named = await digestOfTag();
    for (const args of [
      ['tag', 'restore', 'prod/app:1.0'],
      ['fsck', '--repair'],
    ]) {
      const { code, stderr } = await stowage(...args);
      assert.equal(code, 1);
      assert.match(stderr, /newer version/);
    }
    assert.equal(await digestOfTag(), named);
    assert.equal((await stowage('fsck')).code, 0);
    if (before) await driver.put(record, before.bytes);
    else await driver.delete(record);
  });

  it('exits with 1 for what the history does not show', async () => {
    for (const [args, message] of [
      [['prod/app'], /prod\/app is not a repository and a tag/],
      [['prod/app:1.0', '--to', '99'], /has no move 99/],
      [['prod/app:1.0', '--to', digestOf('none')], /does not show this/],
      [['prod/app:1.0', '--to', '2026-99-01'], /2026-99-01 is not a time/],
      [['prod/app:once'], /once of prod\/app has a history without an earlier move/],
      [['prod/app:none'], /none of prod\/app has no history/],
    ] as const) {
      const { code, stdout, stderr } = await tag('restore', ...args);
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, message);
    }
  });
});
