// The same pushes to the stack behind API Gateway and to the Node server leave the same objects.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KeyPrefix } from '../../lib/layout.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { S3Driver } from '../../lib/storage/s3.ts';
import { BASIC, type Deployment, deploy, PASSWORD, USER } from '../gateway/deployment.ts';
import { TOP_ID, ubuntuChain } from '../v1/chain.ts';
import { V1Client } from '../v1-client.ts';
import { type Backend, backends } from './backends.ts';
import { useCleanup } from './cleanup.ts';
import { engineKinds, useEngines } from './engine.ts';
import { makeCentos } from './images.ts';
import { run } from './programs.ts';
import { type Stowage, startStowage } from './stowage.ts';

describe('the bucket behind API Gateway and that of a Node server', () => {
  const atEnd = useCleanup();
  const engineNamed = useEngines();
  let directory: string;
  let deployment: Deployment;
  let backend: Backend;
  let server: Stowage;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tree-e2e-'));
    atEnd(() => rm(directory, { recursive: true }));
    deployment = await deploy();
    atEnd(() => deployment.stop());
    const s3 = backends.find(({ name }) => name === 's3') ?? assert.fail('no backend s3');
    backend = await s3.open();
    atEnd(() => backend.close());
    server = await startStowage(backend);
    atEnd(() => server.stop());
  });

  test('are the same after the same pushes', async () => {
    const image = await makeCentos(directory, 24);
    for (const host of [deployment.gateway.host, server.host]) {
      for (const { name } of engineKinds) {
        const engine = engineNamed(name);
        const docker = (...args: string[]) => engine.docker('--config', join(directory, 'docker'), ...args);
        if (host !== server.host) await docker('login', '-u', USER, '-p', PASSWORD, host);
        const reference = `${host}/tree/${name.replace(/\W/g, '').toLowerCase()}:6.4`;
        await docker('load', '-i', image.archive);
        await docker('tag', image.name, reference);
        await docker('push', reference);
      }
      const env = { DOCKER_CONFIG: join(directory, 'crane') };
      if (host !== server.host) await run('crane', ['auth', 'login', '-u', USER, '-p', PASSWORD, host], { env });
      await run('crane', ['push', image.layoutDirectory, `${host}/tree/a/b/c:1`], { env });
    }
    await new V1Client(deployment.gateway.url, { basic: BASIC }).push('tree/ubuntu', ubuntuChain(), {
      '14.04': TOP_ID,
    });
    await new V1Client(new URL(server.url)).push('tree/ubuntu', ubuntuChain(), { '14.04': TOP_ID });

    const onLambda = new S3Driver({ ...deployment.minio.driverOptions, keyPrefix: 'registry/' });
    const onNode = await backend.openDriver();
    // Views are made behind the pushes: by events there, by the process itself here.
    const deadline = Date.now() + 20_000;
    let [actual, expected] = await Promise.all([treeOf(onLambda), treeOf(onNode)]);
    while (actual.join() !== expected.join() && Date.now() < deadline) {
      await sleep(200);
      [actual, expected] = await Promise.all([treeOf(onLambda), treeOf(onNode)]);
    }
    await Promise.all([onLambda.close(), onNode.close()]);
    assert.deepEqual(actual, expected);
    assert(actual.length > 60, `${actual.length} objects`);
    assert.deepEqual(deployment.events.errors, []);
  });
});

/** Key and size of every object; what is named at random is named alike. */
async function treeOf(driver: StorageDriver): Promise<string[]> {
  const objects = await Array.fromAsync(driver.list('' as KeyPrefix));
  return objects
    .map(({ key, sizeBytes }) => `${key.replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/, '<uuid>')} ${sizeBytes}`)
    .toSorted();
}
