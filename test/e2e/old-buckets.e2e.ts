import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { isV2Name, isV2Tag, type RepositoryName } from '../../lib/model/names.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { filesOfImage } from '../old-buckets/files-of-image.ts';
import { type OldBucket, oldBucket } from '../old-buckets/generator.ts';
import { hashAll, hashesOf, storeBucket } from '../old-buckets/in-storage.ts';
import { type Backend, backends } from './backends.ts';
import { useCleanup } from './cleanup.ts';
import { type Engine, engineKinds, useEngines } from './engine.ts';
import { run } from './programs.ts';
import { CLI, CONFIG, reportLogOfFailure, type Stowage, startStowage } from './stowage.ts';

const execute = promisify(execFile);

/** What Docker keeps of a v1 JSON, under the same names. */
const INSPECTED_FIELDS = ['Cmd', 'Env', 'Entrypoint', 'Labels', 'WorkingDir', 'User'] as const;

for (const { name, open } of backends) {
  for (const version of ['0.6.5', '0.9.1'] as const) {
    describe(`a bucket of docker-registry ${version} on ${name}`, () => {
      const engineNamed = useEngines();
      const atEnd = useCleanup();
      const bucket = oldBucket(version);
      let backend: Backend;
      let driver: StorageDriver;
      let stowage: Stowage;

      before(async () => {
        backend = await open();
        atEnd(() => backend.close());
        driver = await backend.openDriver();
        atEnd(() => driver.close());
        await storeBucket(driver, bucket);
        stowage = await startStowage(backend);
        atEnd(() => stowage.stop());
      });
      afterEach((t) => reportLogOfFailure(t, stowage));

      const pullAll = async (engine: Engine, isWanted: (tag: OldTag) => boolean) => {
        await engine.removeImages();
        const digests: Record<string, string> = {};
        const checked = new Set<string>();
        for (const { repository, tag, id } of tagsForV2(bucket).filter(isWanted)) {
          const reference = `${stowage.host}/${repository}:${tag}`;
          const output = await engine.docker('pull', reference);
          digests[`${repository}:${tag}`] = /Digest: (sha256:[0-9a-f]{64})/.exec(output)?.[1] ?? assert.fail(output);
          if (checked.has(id)) continue;
          checked.add(id);
          await assertInspected(engine, reference, bucket, id);
          await assertFiles(engine, reference, bucket, id);
        }
        return digests;
      };

      // 0.9 quoted such names once more than Stowage looks for, until they are adopted.
      const isFoundAtOnce = ({ repository }: OldTag) => version === '0.6.5' || repository.split('/').length === 2;
      const digests: Record<string, string>[] = [];
      for (const state of ['as it was left', 'after adopt'] as const) {
        for (const { name: engineName } of engineKinds) {
          test(`${engineName} pulls every tag, ${state}`, async () => {
            const isWanted = state === 'after adopt' ? () => true : isFoundAtOnce;
            digests.push(await pullAll(engineNamed(engineName), isWanted));
            assert.partialDeepStrictEqual(digests.at(-1), digests[0]);
          });
        }
        if (state === 'after adopt') continue;
        test('adopt converts the remaining images', async () => {
          const { stdout } = await execute(process.execPath, [CLI, 'adopt', '--config', CONFIG], {
            env: { ...process.env, ...backend.env },
          });
          assert.match(stdout, / 0 failures, /);
        });
      }

      test('no old object has changed', async () => {
        const now = await hashAll(driver);
        for (const [key, hash] of hashesOf(bucket)) assert.equal(now.get(key), hash, key);
      });
    });
  }
}

type OldTag = { repository: string; tag: string; id: string };

function tagsForV2({ repositories }: OldBucket): OldTag[] {
  return repositories
    .filter((repository) => isV2Name(repository.name as RepositoryName))
    .flatMap((repository) =>
      Object.entries(repository.tags)
        .filter(([tag]) => isV2Tag(tag))
        .map(([tag, id]) => ({ repository: repository.name, tag, id })),
    );
}

/** The engine says of the image what its old JSON says. */
async function assertInspected(engine: Engine, reference: string, { images }: OldBucket, id: string): Promise<void> {
  const [inspected] = JSON.parse(await engine.docker('image', 'inspect', reference));
  const json = JSON.parse(Buffer.from(images.get(id)?.json ?? []).toString());
  for (const field of INSPECTED_FIELDS) {
    assert.deepEqual(inspected.Config?.[field] || null, json.config?.[field] || null, `${field} of ${id}`);
  }
  assert.equal(Date.parse(inspected.Created), Date.parse(json.created), `created of ${id}`);
}

/** A container of the image would see the files that its layers add up to. */
async function assertFiles(engine: Engine, reference: string, bucket: OldBucket, id: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'exported-'));
  try {
    const container = (await engine.docker('create', '--network=none', reference, '/bin/true')).trim();
    const archive = join(directory, 'exported.tar');
    await engine.docker('export', '-o', archive, container);
    await engine.docker('rm', container);
    const root = join(directory, 'root');
    await run('busybox', ['mkdir', root]);
    await run('tar', ['-C', root, '-xf', archive]);
    const expected = filesOfImage(bucket, id);
    for (const [path, content] of expected) {
      assert.ok((await readFile(join(root, path))).equals(content), `${path} of ${id}`);
    }
    // Docker puts a few empty files of its own into every container.
    const found = await readdir(root, { recursive: true, withFileTypes: true });
    for (const entry of found.filter((each) => each.isFile())) {
      const path = join(entry.parentPath, entry.name);
      if (!expected.has(relative(root, path))) assert.equal((await readFile(path)).length, 0, `${path} of ${id}`);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
