// The same pushes to the stack behind API Gateway and to the Node server leave the same objects.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hashPassword } from '../../lib/auth/passwords/bcrypt.ts';
import { type KeyPrefix, layout } from '../../lib/model/layout.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { MiB } from '../../lib/streams/bytes.ts';
import { BASIC, type Deployment, deploy, PASSWORD, USER } from '../gateway/deployment.ts';
import { V1Client } from '../support/v1-client.ts';
import { TOP_ID, ubuntuChain } from '../v1/chain.ts';
import { V2Client } from '../v2/client.ts';
import { pushImage } from '../v2/image.ts';
import { type Backend, backends } from './backends.ts';
import { useCleanup } from './cleanup.ts';
import { pullByDockerRegistryClient } from './docker-registry-client.ts';
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
    // The same users, because the pusher record of a v1 image names its user.
    const htpasswd = join(directory, 'htpasswd');
    await writeFile(htpasswd, `${USER}:${await hashPassword(PASSWORD)}\n`);
    const AUTH = `{htpasswd: ${htpasswd}}`;
    server = await startStowage({ ...backend, env: { ...backend.env, AUTH, SECRET_KEY: 'a secret of the tests' } });
    atEnd(() => server.stop());
  });

  test('have the same objects after the same pushes', async () => {
    const image = await makeCentos(directory, 24);
    for (const host of [deployment.gateway.host, server.host]) {
      for (const { name } of engineKinds) {
        const engine = engineNamed(name);
        const docker = (...args: string[]) => engine.docker('--config', join(directory, 'docker'), ...args);
        await docker('login', '-u', USER, '-p', PASSWORD, host);
        const reference = `${host}/tree/${name.replace(/\W/g, '').toLowerCase()}:6.4`;
        await docker('load', '-i', image.archive);
        await docker('tag', image.name, reference);
        await docker('push', reference);
      }
      const env = { DOCKER_CONFIG: join(directory, 'crane') };
      await run('crane', ['auth', 'login', '-u', USER, '-p', PASSWORD, host], { env });
      await run('crane', ['push', image.layoutDirectory, `${host}/tree/a/b/c:1`], { env });
    }
    const contents = ['small', randomBytes(5 * MiB).toString('base64')];
    const config = { history: [{ created_by: 'small' }, { created_by: 'large' }] };
    for (const url of [deployment.gateway.url, new URL(server.url)]) {
      const client = new V2Client(url, { Authorization: `Basic ${BASIC}` });
      await pushImage(client, 'tree/zstd', 'latest', { contents, compression: 'zstd', config });
      await new V1Client(url, `Basic ${BASIC}`).push('tree/ubuntu', ubuntuChain(), { '14.04': TOP_ID });
    }

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
    assert(actual.some((object) => object.startsWith('repositories/tree/zstd/taglatest_json ')));
    assert(actual.length > 60, `${actual.length} objects`);
    assert.deepEqual(deployment.events.errors, []);
  });

  test('a v1 client of another project pulls what Docker pushed', async () => {
    const { gateway } = deployment;
    const login = { username: USER, password: PASSWORD };
    const images = await pullByDockerRegistryClient(gateway.host, 'tree/docker29', '6.4', login);
    assert.equal(images.length, 4);
    const layers = gateway.passed.filter(({ path }) => path.endsWith('/layer'));
    assert(layers.length >= 4 && layers.every(({ status }) => status === 302));
  });
});

/**
 * Keys and sizes, without what differs by chance and time. The layout record has a time where the bucket was written to before the
 * record was: behind API Gateway only the projection worker and the collector may write it.
 */
async function treeOf(driver: StorageDriver): Promise<string[]> {
  const objects = await Array.fromAsync(driver.list('' as KeyPrefix));
  return objects
    .map(({ key, sizeBytes }) => {
      const name = key
        .replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/, '<uuid>')
        .replace(/(\/history\/[^/]+)\/\d{13}-/, '$1/<time>-');
      return key === layout.layoutVersion() ? name : `${name} ${sizeBytes}`;
    })
    .toSorted();
}
