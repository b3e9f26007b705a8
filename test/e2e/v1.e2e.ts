import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { V1Client } from '../support/v1-client.ts';
import { TOP_ID, ubuntuChain } from '../v1/chain.ts';
import { backendsWithRedirects } from './backends.ts';
import { useCleanup } from './cleanup.ts';
import { pullByDockerRegistryClient } from './docker-registry-client.ts';
import { engineKinds, useEngines } from './engine.ts';
import { imageInEngine } from './image-in-engine.ts';
import { makeCentos, type TestImage } from './images.ts';
import { digestOf } from './oci-layout.ts';
import type { Stowage } from './stowage.ts';
import { useStowage } from './use-stowage.ts';
import { visibleIn } from './visible.ts';

describe('between v1 clients and engines', () => {
  const chain = ubuntuChain();
  const engineNamed = useEngines();
  const atSuiteEnd = useCleanup();
  let image: TestImage;

  before(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'v1-e2e-'));
    atSuiteEnd(() => rm(directory, { recursive: true }));
    image = await makeCentos(directory, 12);
  });

  for (const kind of backendsWithRedirects) {
    describe(`on ${kind.name}`, () => {
      const served = useStowage(kind);
      let stowage: Stowage;
      let v1: V1Client;

      before(async () => {
        stowage = served().stowage;
        v1 = new V1Client(new URL(stowage.url));
        await v1.push('ubuntu', chain, { '14.04': TOP_ID });
      });

      for (const { name: engineName } of engineKinds) {
        test(`${engineName} pulls what a v1 client pushed`, async () => {
          const engine = engineNamed(engineName);
          await engine.removeImages();
          const reference = `${stowage.host}/ubuntu:14.04`;
          await engine.docker('pull', reference);
          const { diffIds, content } = await imageInEngine(engine, reference, 'etc/issue');
          assert.deepEqual(
            diffIds,
            chain.map(({ layer }) => digestOf(inflated(layer))),
          );
          assert.equal(content, 'Ubuntu 14.04 LTS\n');
        });
      }

      test('the conversions of a v1 push are complete', async () => {
        assert.deepEqual(Object.keys(await visibleIn(stowage.url)), ['library/ubuntu:14.04']);
      });

      test('docker-registry-client pulls what a v1 client pushed', async () => {
        const pulled = await pullByDockerRegistryClient(stowage.host, 'library/ubuntu', '14.04');
        assert.deepEqual(
          pulled,
          chain.map(({ id, json, layer }) => ({ id, json: JSON.parse(Buffer.from(json).toString()), layer })),
        );
      });

      for (const { name: engineName } of engineKinds) {
        test(`v1 clients pull what ${engineName} pushed`, async () => {
          const engine = engineNamed(engineName);
          await engine.docker('load', '-i', image.archive);
          const reference = `${stowage.host}/views/centos:6.4`;
          await engine.docker('tag', image.name, reference);
          await engine.docker('push', reference);

          const pulled = await v1.pull('views/centos', '6.4');
          assert.deepEqual(
            pulled.map(({ layer }) => digestOf(inflated(layer))),
            image.layers.map(({ diffId }) => diffId),
          );
          assert.deepEqual(
            await pullByDockerRegistryClient(stowage.host, 'views/centos', '6.4'),
            pulled.map(({ id, json, layer }) => ({
              id,
              json: JSON.parse(Buffer.from(json).toString()),
              layer: Buffer.from(layer),
            })),
          );
        });
      }
    });
  }
});

const inflated = (layer: Uint8Array) => (layer[0] === 0x1f && layer[1] === 0x8b ? gunzipSync(layer) : layer);
