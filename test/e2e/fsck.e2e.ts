// What an operator does about corrupt bytes: `stowage fsck --repair`, then a push of the same image by a real client.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { Key } from '../../lib/model/layout.ts';
import { backends } from './backends.ts';
import { useCleanup } from './cleanup.ts';
import { engineKinds, useEngines } from './engine.ts';
import { incompressible, makeImageOf, type TestImage } from './images.ts';
import { attempt, run } from './programs.ts';
import { type ScaledServer, startScaledServer } from './scaled-server.ts';
import { CLI, CONFIG } from './stowage.ts';

const execute = promisify(execFile);
const MiB = 1024 * 1024;

type Pusher = {
  name: string;
  push: (image: TestImage, reference: string) => Promise<unknown>;
  pushAgain: (image: TestImage, reference: string) => Promise<unknown>;
};

describe('corrupt bytes', () => {
  const engineNamed = useEngines();
  const atEnd = useCleanup();
  const pushByCrane = (image: TestImage, reference: string) => run('crane', ['push', image.layoutDirectory, reference]);
  const pushers: Pusher[] = [
    // Where the tag names the image, crane sends nothing.
    {
      name: 'crane, under another tag,',
      push: pushByCrane,
      pushAgain: (image, reference) => pushByCrane(image, `${reference}-again`),
    },
    ...engineKinds.map(({ name }): Pusher => {
      const push = async (image: TestImage, reference: string) => {
        const engine = engineNamed(name);
        await engine.docker('load', '-i', image.archive);
        await engine.docker('tag', image.name, reference);
        return await engine.docker('push', reference);
      };
      return { name, push, pushAgain: push };
    }),
  ];

  for (const { name, open } of backends) {
    describe(`on ${name}`, () => {
      const atSuiteEnd = useCleanup();
      let directory: string;
      let server: ScaledServer;

      before(async () => {
        directory = await mkdtemp(join(tmpdir(), 'fsck-e2e-'));
        atEnd(() => rm(directory, { recursive: true, force: true }));
        const backend = await open();
        atSuiteEnd(() => backend.close());
        server = await startScaledServer(backend);
        atSuiteEnd(() => server.stop());
      });

      const fsck = (...args: string[]) =>
        execute(process.execPath, [CLI, 'fsck', '--level', 'bytes', ...args, '--config', CONFIG], {
          env: { ...process.env, ...server.env },
        });

      for (const [index, { name: pusher, push, pushAgain }] of pushers.entries()) {
        for (const sizeBytes of [20_000, 5 * MiB]) {
          test(`of ${sizeBytes} bytes are served no more after a repair, and ${pusher} sends them again`, async () => {
            const title = `${name}-${index}-${sizeBytes}`;
            const image = await makeImageOf(join(directory, title), 'app:1', [
              [{ path: 'app', content: incompressible(sizeBytes, title) }],
            ]);
            const repository = `fsck/app${index}-${sizeBytes}`;
            const reference = `${server.host}/${repository}:1`;
            const other = `fsck/other${index}-${sizeBytes}`;
            await push(image, reference);
            await run('crane', ['copy', reference, `${server.host}/${other}:1`]);
            const manifest = JSON.parse(await run('crane', ['manifest', reference])) as {
              layers: { digest: string }[];
            };
            const digest = manifest.layers[0]?.digest ?? assert.fail('no layer');
            const link = await server.storage.read(
              `oci/repositories/${repository}/blobs/${digest.replace(':', '/')}` as Key,
            );
            const { key, size } = JSON.parse(Buffer.from(link?.bytes ?? []).toString()) as { key: Key; size: number };
            await server.storage.put(key, Buffer.alloc(size));

            await assert.rejects(fsck('--repair'), {
              code: 1,
              stdout: /link-to-corrupt-bytes.*next: push the image again/,
            });

            for (const holder of [repository, other]) {
              for (const method of ['HEAD', 'GET']) {
                const answer = await fetch(`${server.url}/v2/${holder}/blobs/${digest}`, { method });
                assert.equal(answer.status, 404, `${method} of ${holder}`);
              }
              const pulled = await attempt('crane', ['blob', `${server.host}/${holder}@${digest}`]);
              assert.match(pulled.stderr, /BLOB_UNKNOWN/);
            }
            for (const from of ['', `&from=${repository}`, `&from=${other}`]) {
              const mount = `${server.url}/v2/fsck/mounted/blobs/uploads/?mount=${digest}${from}`;
              assert.equal((await fetch(mount, { method: 'POST' })).status, 202, mount);
            }

            await pushAgain(image, reference);
            await run('crane', ['validate', '--remote', reference]);
            await fsck('--repair');
            await run('crane', ['validate', '--remote', `${server.host}/${other}:1`]);
            await fsck();
          });
        }
      }
    });
  }
});
