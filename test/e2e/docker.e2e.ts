import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { type Backend, backendsWithRedirects } from './backends.ts';
import { useCleanup } from './cleanup.ts';
import { engineKinds, useEngines } from './engine.ts';
import { imageInEngine } from './image-in-engine.ts';
import { makeCentos, type TestImage } from './images.ts';
import type { Stowage } from './stowage.ts';
import { useStowage } from './use-stowage.ts';
import { visibleIn } from './visible.ts';
import { openWire, type Wire } from './wire.ts';

const KiB = 1024;

describe('docker push and docker pull of centos:6.4', () => {
  const engineNamed = useEngines();
  const atEnd = useCleanup();
  let image: TestImage;

  before(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'docker-e2e-'));
    atEnd(() => rm(directory, { recursive: true }));
    image = await makeCentos(directory, 304);
  });

  for (const kind of backendsWithRedirects) {
    describe(`on ${kind.name}`, () => {
      const served = useStowage(kind);
      const atSuiteEnd = useCleanup();
      let backend: Backend;
      let stowage: Stowage;
      let wire: Wire;
      /** What a user types after `docker push`. */
      let reference: string;

      before(async () => {
        ({ backend, stowage } = served());
        wire = await openWire(stowage.port);
        atSuiteEnd(() => wire.close());
        reference = `127.0.0.1:${wire.port}/centos:6.4`;
      });

      for (const { name: pusherName } of engineKinds) {
        let digest: string;

        test(`${pusherName} pushes`, async () => {
          const pusher = engineNamed(pusherName);
          await pusher.docker('load', '-i', image.archive);
          await pusher.docker('tag', image.name, reference);
          const output = await pusher.docker('push', reference);
          digest = /6\.4: digest: (sha256:[0-9a-f]{64})/.exec(output)?.[1] ?? assert.fail(output);
          assert.deepEqual(await visibleIn(stowage.url), { 'library/centos:6.4': digest });
          assert.deepEqual(await backend.openUploads(), []);
        });

        test(`${pusherName} pushes again and sends no layer`, async () => {
          const before = wire.bytesSent();
          const output = await engineNamed(pusherName).docker('push', reference);
          assert.equal(output.match(/Layer already exists/g)?.length, image.layers.length, output);
          assert(wire.bytesSent() - before < 64 * KiB, `${wire.bytesSent() - before} bytes sent`);
          assert.deepEqual(await visibleIn(stowage.url), { 'library/centos:6.4': digest });
        });

        for (const { name: pullerName } of engineKinds) {
          test(`${pullerName} pulls what ${pusherName} pushed`, async () => {
            const puller = engineNamed(pullerName);
            await puller.removeImages();
            const output = await puller.docker('pull', reference);
            assert.doesNotMatch(output, /Already exists/);
            assert.deepEqual(await imageInEngine(puller, reference, 'etc/centos-release'), {
              id: pullerName === 'Docker 29' ? digest : image.configDigest,
              repoDigests: [`127.0.0.1:${wire.port}/centos@${digest}`],
              configDigest: image.configDigest,
              diffIds: image.layers.map(({ diffId }) => diffId),
              content: 'CentOS release 6.4 (Final)\n',
            });
          });
        }
      }

      for (const { name: engineName } of engineKinds) {
        test(`${engineName} pulls from localhost and by digest`, async () => {
          const engine = engineNamed(engineName);
          const repository = `localhost:${stowage.port}/library/centos`;
          const { 'library/centos:6.4': digest } = await visibleIn(stowage.url);
          await engine.docker('pull', `${repository}:6.4`);
          const output = await engine.docker('pull', `${repository}@${digest}`);
          assert.match(output, /up to date/);
        });
      }
    });
  }
});
