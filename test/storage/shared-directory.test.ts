// Several processes use one directory, as containers that share a volume or a rolling restart do.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FileLocks } from '../../lib/storage/file-locks.ts';
import { FilesDriver } from '../../lib/storage/files.ts';

const USER = fileURLToPath(new URL('./directory-user.ts', import.meta.url));

describe('processes that share a directory', { timeout: 120_000 }, () => {
  let root: string;
  let running: ChildProcess[];
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'stowage-shared-'));
    running = [];
  });
  afterEach(async () => {
    for (const child of running) child.kill('SIGKILL');
    await rm(root, { recursive: true });
  });

  /** The lines that the process has written when it ends. @throws if it fails */
  function startUser(task: string, rounds: number): { child: ChildProcess; acknowledged: Promise<unknown[]> } {
    const child = spawn(process.execPath, [USER, root, task, String(rounds)], { stdio: ['ignore', 'pipe', 'pipe'] });
    running.push(child);
    const acknowledged = Promise.all([textOf(child.stdout), textOf(child.stderr), once(child, 'exit')]).then(
      ([out, err, [code]]) => {
        assert.ok(code === 0 || code === null, err);
        return out.split('\n').flatMap((line): unknown[] => (line === '' ? [] : [JSON.parse(line)]));
      },
    );
    return { child, acknowledged };
  }

  test('no conditional write to one object is lost', async () => {
    const counts = await Promise.all(Array.from({ length: 3 }, () => startUser('count', 100).acknowledged));
    assert.equal(await readFile(join(root, 'counter/value'), 'utf8'), '300');
    assert.equal(new Set(counts.flat()).size, 300);
    assert.deepEqual(await readdir(join(root, '.tmp')), []);
  });

  test('a tag is there after its put, unless another process has deleted it with its ETag', async () => {
    const remover = startUser('remove', 0);
    const pushes = (await startUser('push', 300).acknowledged) as { etag: string; isThere: boolean }[];
    remover.child.kill('SIGKILL');
    const removals = (await remover.acknowledged) as { deleted: string }[];
    const deleted = new Set(removals.map((removal) => removal.deleted));
    assert.ok(deleted.size > 10, `${deleted.size} deletes`);
    const lost = pushes.filter(({ etag, isThere }) => !isThere && !deleted.has(etag));
    // The killed process may have deleted one without reporting it.
    assert.ok(lost.length <= 1, `${lost.length} of ${pushes.length} pushes are lost`);
  });

  test('puts, uploads and deletes succeed while their folders are made and removed', async () => {
    const users = await Promise.all(Array.from({ length: 3 }, () => startUser('flicker', 60).acknowledged));
    assert.deepEqual(users, [[60], [60], [60]]);
    assert.deepEqual(await readdir(root), ['.tmp']);
    assert.deepEqual(await readdir(join(root, '.tmp')), []);
  });

  test('an upload can be completed and aborted while another process writes to it', async () => {
    const meddlers = [startUser('meddle', 0), startUser('meddle', 0)];
    const shared = await startUser('share', 200).acknowledged;
    for (const { child } of meddlers) child.kill('SIGKILL');
    await Promise.all(meddlers.map(({ acknowledged }) => acknowledged)); // none has failed
    assert.equal(shared.at(-1), 100, 'every other upload is completed');
  });

  test('killed processes delay others for seconds at most, and lose no change', async () => {
    const steady = startUser('count', 150);
    const killed: Promise<unknown[]>[] = [];
    let isOver = false;
    void steady.acknowledged.finally(() => {
      isOver = true;
    });
    while (!isOver) {
      const { child, acknowledged } = startUser('count', 1e6);
      killed.push(acknowledged);
      await sleep(400 + Math.random() * 200);
      child.kill('SIGKILL');
      await acknowledged;
    }
    const counts = [...(await steady.acknowledged), ...(await Promise.all(killed)).flat()];
    const value = Number(await readFile(join(root, 'counter/value'), 'utf8'));
    assert.equal(new Set(counts).size, counts.length, 'no two were told the same number');
    // Each killed process may have counted once without reporting it.
    assert.ok(value >= counts.length && value <= counts.length + killed.length, `${value} of ${counts.length}`);
    assert.ok(killed.length > 1);
  });

  describe('locks', () => {
    let folder: string;
    let file: string;
    let path: string;
    beforeEach(async () => {
      folder = join(root, 'locks');
      file = join(folder, 'new');
      path = join(root, 'object');
      await mkdir(folder);
      await writeFile(file, 'new');
      await writeFile(path, 'old');
    });
    const open = () => new FileLocks(folder, { breakAfterMs: 50 });
    const content = () => readFile(path, 'utf8');
    const isOld = async (at: string) => (await readFile(at, 'utf8')) === 'old';

    for (const { title, act } of [
      { title: 'write', act: (locks: FileLocks, may: typeof isOld) => locks.replace('k', file, path, may) },
      { title: 'delete', act: (locks: FileLocks, may: typeof isOld) => locks.remove('k', path, may) },
    ]) {
      test(`a holder whose lock was broken does not ${title} because of what it read before`, async () => {
        const otherFile = join(folder, 'other');
        await writeFile(otherFile, 'other');
        const seen: boolean[] = [];
        await act(open(), async (at) => {
          const may = await isOld(at);
          seen.push(may);
          // Acts as if this process were paused between reading and changing, for longer than others wait.
          if (seen.length === 1) assert.equal(await open().replace('k', otherFile, path, isOld), true);
          return may;
        });
        assert.deepEqual(seen, [true, false]);
        assert.equal(await content(), 'other');
        assert.deepEqual((await readdir(folder)).toSorted(), ['new', 'other']);
      });
    }

    test('the entry of a killed holder is removed, also that of a delete it had begun', async () => {
      for (const entry of ['put-1', 'delete-1', 'delete-2/object']) {
        let lock = '';
        await open().replace('k', file, path, async () => {
          lock = (await readdir(folder)).find((name) => name.startsWith('lock-')) ?? assert.fail('no lock');
          return false;
        });
        if (entry === 'delete-1') await mkdir(join(folder, lock, entry), { recursive: true });
        else await mkdir(dirname(join(folder, lock, entry)), { recursive: true });
        if (entry !== 'delete-1') await writeFile(join(folder, lock, entry), 'x');
        await rm(path);
        await writeFile(path, 'old');
        assert.equal(await open().replace('k', file, path, isOld), true, entry);
        assert.equal(await content(), 'new');
        assert.deepEqual(await readdir(folder), ['new']);
      }
    });

    test('opening the directory removes locks that are minutes old', async () => {
      const temporary = join(root, '.tmp');
      const minutesBefore = Date.now() / 1000 - 120;
      await mkdir(join(temporary, 'lock-old', 'delete-1'), { recursive: true });
      await writeFile(join(temporary, 'lock-old', 'delete-1', 'object'), 'x');
      await utimes(join(temporary, 'lock-old'), minutesBefore, minutesBefore);
      await mkdir(join(temporary, 'lock-new'));
      await FilesDriver.open(root);
      assert.deepEqual(await readdir(temporary), ['lock-new']);
    });
  });
});

async function textOf(stream: AsyncIterable<Buffer> | null): Promise<string> {
  let text = '';
  for await (const chunk of stream ?? []) text += chunk.toString();
  return text;
}
