import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { KeyPrefix } from '../../lib/model/layout.ts';
import { S3Driver } from '../../lib/storage/s3-driver.ts';
import { loadKeys } from '../config/load-text.ts';
import { type Minio, startMinio } from '../support/minio.ts';
import { type RegistryServer, startRegistry } from '../support/registry-server.ts';
import { V1Client } from '../support/v1-client.ts';
import { newImage } from './use-registry.ts';

describe('storage_path in a bucket', () => {
  let minio: Minio;
  let wholeBucket: S3Driver;
  before(async () => {
    minio = await startMinio();
    wholeBucket = new S3Driver(minio.driverOptions);
  });
  after(async () => {
    await wholeBucket.close();
    await minio.stop();
  });

  const keysInBucket = async () =>
    (await Array.fromAsync(wholeBucket.list('' as KeyPrefix))).map(({ key }) => key as string);
  const prefixOf = (storagePath: string) => {
    const { storage } = loadKeys({ storage: 's3', boto_bucket: minio.bucket, storage_path: storagePath }).config;
    assert.ok(storage.driver === 's3');
    return storage.options.keyPrefix;
  };

  it('//x puts objects below "/x/"', () => {
    assert.equal(prefixOf('//x'), '/x/'); // and no further: MinIO, unlike S3, takes a slash away from the front of a key
  });

  for (const [storagePath, prefix] of [
    ['/registry', 'registry/'],
    ['registry', 'registry/'],
    ['registry/', 'registry/'],
    ['/registry/', 'registry/'],
    ['/', ''],
    ['a/b', 'a/b/'],
    ['', 'test/'],
  ] as const) {
    it(`${storagePath || 'none'} puts objects below "${prefix}" and finds them there`, async () => {
      assert.equal(prefixOf(storagePath), prefix);
      const driver = new S3Driver({ ...minio.driverOptions, keyPrefix: prefix });
      let server: RegistryServer | undefined;
      try {
        server = await startRegistry(driver, { hasSearch: true });
        const client = new V1Client(server.url);
        const image = newImage();
        const before = await keysInBucket();
        const repository = `ns/${image.id.slice(0, 16)}`;
        await client.push(repository, [image], { latest: image.id });
        const added = (await keysInBucket()).filter((key) => !before.includes(key));
        assert.deepEqual(
          added.filter((key) => !key.startsWith(`${prefix}oci/`)),
          [
            ...['_checksum', 'ancestry', 'json', 'layer'].map((part) => `${prefix}images/${image.id}/${part}`),
            ...['_index_images', 'json', 'tag_latest', 'taglatest_json'].map(
              (part) => `${prefix}repositories/${repository}/${part}`,
            ),
          ],
        );
        assert.deepEqual(
          (await client.pull(repository, 'latest')).map(({ id }) => id),
          [image.id],
        );
        const search = await fetch(new URL(`/v1/search?q=${repository}`, server.url));
        assert.partialDeepStrictEqual(await search.json(), { results: [{ name: repository }] });
      } finally {
        await server?.stop();
        await driver.close();
      }
    });
  }
});
