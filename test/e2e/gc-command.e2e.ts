// `stowage gc` as operators run it: beside a server that runs, and in a directory whose server has stopped.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, stat, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { CollectionOutcome } from '../../lib/registry/collector/collector.ts';
import { COLLECTION_TIMES } from '../../lib/registry/condemned/times.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { useCleanup } from './cleanup.ts';
import { CLI, CONFIG, type Stowage, startStowage } from './stowage.ts';

const execute = promisify(execFile);

type Report = Extract<CollectionOutcome, { report: unknown }>;

describe('stowage gc, with a directory', () => {
  const atEnd = useCleanup();
  let root: string;
  let server: Stowage;
  let blob: string;
  const env = () => ({ STORAGE_PATH: root, GC: 'off' });

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'gc-'));
    atEnd(() => rm(root, { recursive: true, force: true }));
    server = await startStowage({ env: env() });
    atEnd(() => server.stop());
    const client = new V2Client(new URL(server.url));
    await pushImage(client, 'team/app', '1.0', { contents: ['kept'] });
    blob = (await client.pushBlob('team/app', Buffer.from('no manifest names this'))).digest;
  });

  const gc = async (...args: string[]): Promise<Report> => {
    const options = { env: { ...process.env, STOWAGE_RUNTIME_DIR: '', ...env() } };
    const { stdout } = await execute(process.execPath, [CLI, 'gc', '--json', ...args, '--config', CONFIG], options);
    return JSON.parse(stdout) as Report;
  };
  const listOf = ({ report }: Report) =>
    report.list?.actions.map(({ action, kind, key }) => `${action} ${kind} ${key}`);
  const filesOf = async () => {
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  };
  /** As if all of it had been written a grace period and more ago. */
  const letGraceEnd = async () => {
    for (const path of await filesOf()) {
      const { mtimeMs } = await stat(path);
      const before = new Date(mtimeMs - COLLECTION_TIMES.graceMs - 60_000);
      await utimes(path, before, before);
    }
  };
  const link = () => `oci/repositories/team/app/blobs/${blob.replace(':', '/')}`;
  const get = (path: string) => fetch(new URL(path, server.url));

  test('beside a server: does what its dry run has listed, and what it condemns is served', async () => {
    const planned = await gc('--dry-run');
    assert.deepEqual(listOf(planned), [`condemn link ${link()}`]);
    assert.deepEqual(listOf(await gc()), listOf(planned));
    assert.equal(await get(`/v2/team/app/blobs/${blob}`).then(({ status }) => status), 200);
    assert.deepEqual(listOf(await gc()), listOf(planned), 'a client that may push has read it, so it was live again');
    const { last } = (await (await get('/v2/_stowage/gc')).json()) as { last: Report };
    assert.equal(last.report.actions.condemn?.link?.count, 1, 'the server tells of the run of the command');
  });

  test('in a stopped directory: frees the bytes after the grace periods, and nothing else', async () => {
    await server.kill();
    await letGraceEnd();
    const removing = await gc();
    assert.equal(removing.report.actions.remove?.link?.count, 1);
    assert.equal(removing.report.actions.mark?.bytes?.count, 1);
    await letGraceEnd();
    assert.equal((await gc()).report.actions.remove?.bytes?.bytes, 'no manifest names this'.length);
    assert.deepEqual(
      (await filesOf()).filter((path) => path.includes(blob.slice('sha256:'.length))),
      [],
    );
    await server.restart();
    assert.equal(await get(`/v2/team/app/blobs/${blob}`).then(({ status }) => status), 404);
    const { layers } = (await (await get('/v2/team/app/manifests/1.0')).json()) as { layers: { digest: string }[] };
    for (const { digest } of layers) {
      assert.equal(await get(`/v2/team/app/blobs/${digest}`).then(({ status }) => status), 200);
    }
  });
});
