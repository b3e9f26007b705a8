import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ObjectSource } from '../../../lib/auth/passwords/object-source.ts';
import type { Key } from '../../../lib/model/layout.ts';
import { S3Driver } from '../../../lib/storage/s3-driver.ts';
import { type Minio, startMinio } from '../../support/minio.ts';

describe('a text in an object of S3', () => {
  let minio: Minio;
  let driver: S3Driver;
  before(async () => {
    minio = await startMinio();
    driver = new S3Driver(minio.driverOptions);
  });
  after(async () => {
    await driver.close();
    await minio.stop();
  });

  it('is transferred again only if it has changed', async () => {
    const source = new ObjectSource(minio.bucket, 'auth/htpasswd', minio.driverOptions);
    await assert.rejects(source.read(), { name: 'MissingTextError', message: /put an object there/ });
    await driver.put('auth/htpasswd' as Key, Buffer.from('one'));
    const first = await source.read();
    assert.equal(first?.text, 'one');
    assert.equal(await source.read(first?.version), undefined);
    await driver.put('auth/htpasswd' as Key, Buffer.from('two'));
    assert.equal((await source.read(first?.version))?.text, 'two');
  });
});
