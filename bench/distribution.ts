// distribution, the peer that the aims name.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toolsDirectory } from '../test/e2e/programs.ts';
import { type BenchStorage, folderOf, REGION, type RegistryName } from './storage.ts';

export const DISTRIBUTION = {
  version: 'v3.1.1',
  path: join(toolsDirectory, 'bin/registry'),
  howToGet: '.ci/install-tools registry',
};

/**
 * The configuration of the image `registry:3`, on its file system driver or on S3, with deletions allowed, and without its health
 * check, whose requests would be counted. The part size of S3, 10 MiB, and the in-memory descriptor cache are its defaults.
 * https://github.com/distribution/distribution-library-image/blob/master/config-example.yml
 */
export async function distribution(
  name: RegistryName,
  port: number,
  { storage, directory }: { storage: BenchStorage; directory: string },
) {
  const config = {
    version: 0.1,
    log: { fields: { service: 'registry' } },
    storage: {
      ...storageOf(name, storage),
      ...(name === 'distribution' && { cache: { blobdescriptor: 'inmemory' } }),
      tag: { concurrencylimit: 8 },
      redirect: { disable: storage.kind === 'disk' || !storage.redirects },
      delete: { enabled: true },
    },
    http: { addr: `127.0.0.1:${port}`, headers: { 'X-Content-Type-Options': ['nosniff'] } },
  };
  const file = join(directory, 'distribution.yml');
  await writeFile(file, JSON.stringify(config)); // JSON is YAML
  return { command: DISTRIBUTION.path, args: ['serve', file], env: { OTEL_TRACES_EXPORTER: 'none' } };
}

function storageOf(name: RegistryName, storage: BenchStorage) {
  if (storage.kind === 'disk') return { filesystem: { rootdirectory: join(storage.directory, folderOf(name)) } };
  const { endpoint, bucket, credentials } = storage.bucket;
  return {
    s3: {
      accesskey: credentials.accessKeyId,
      secretkey: credentials.secretAccessKey,
      region: REGION,
      regionendpoint: endpoint,
      forcepathstyle: true,
      secure: false,
      bucket,
      rootdirectory: `/${folderOf(name)}`,
    },
  };
}
