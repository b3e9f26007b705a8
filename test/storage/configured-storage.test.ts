import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { configuredStorage } from '../../lib/storage/open.ts';

const ROOT = join(import.meta.dirname, '../..');

describe('storage before it is opened', () => {
  it('on disk is a directory of one machine, with free copies', () => {
    const { open: _, ...storage } = configuredStorage({ driver: 'local', path: './data' });
    const directory = resolve('./data');
    assert.deepEqual(storage, { location: directory, directory, hasFreeCopies: true, isShared: false });
  });

  it('on S3 is a shared bucket, named without credentials', () => {
    const credentials = { accessKeyId: 'access', secretAccessKey: 'secret' };
    const options = { bucket: 'images', keyPrefix: 'registry/', endpoint: 'http://minio:9000', credentials };
    const { open: _, ...storage } = configuredStorage({ driver: 's3', options });
    const location = 'the bucket images at http://minio:9000, below registry/';
    assert.deepEqual(storage, { location, hasFreeCopies: false, isShared: true });
  });
});

it('only lib/storage and lib/config ask which kind of storage is configured', () => {
  const modules = ['lib', 'functions', 'bin'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path)),
  );
  const others = modules.filter((path) => path.endsWith('.ts') && !/^lib\/(storage|config)\//.test(path));
  assert.ok(others.length > 100);
  const asking = others.filter((path) => /\bdriver\s*[!=]==?\s*['"]/.test(readFileSync(join(ROOT, path), 'utf8')));
  assert.deepEqual(asking, []);
});
