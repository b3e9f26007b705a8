// zot, the second peer.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toolsDirectory } from '../test/e2e/programs.ts';
import { type BenchStorage, folderOf, REGION } from './storage.ts';

export const ZOT = {
  version: 'v2.1.20',
  path: join(toolsDirectory, 'bin/zot'),
  howToGet: 'build ./cmd/zot of its source, with CGO_ENABLED=0 and GOEXPERIMENT=jsonv2',
};

/**
 * Its minimal build in its default configuration, with an access log. On S3 without deduplication, which needs a database there.
 * https://github.com/project-zot/zot/blob/main/examples/README.md
 */
export async function zot(port: number, { storage, directory }: { storage: BenchStorage; directory: string }) {
  const config = {
    distSpecVersion: '1.1.1',
    storage: storageOf(storage, directory),
    http: { address: '127.0.0.1', port: String(port) },
    log: { level: 'info' },
  };
  const file = join(directory, 'zot.json');
  await writeFile(file, JSON.stringify(config));
  return { command: ZOT.path, args: ['serve', file], env: {} };
}

function storageOf(storage: BenchStorage, directory: string) {
  if (storage.kind === 'disk') return { rootDirectory: join(storage.directory, folderOf('zot')) };
  const { endpoint, bucket, credentials } = storage.bucket;
  return {
    rootDirectory: join(directory, 'zot'),
    dedupe: false,
    storageDriver: {
      name: 's3',
      rootdirectory: `/${folderOf('zot')}`,
      region: REGION,
      regionendpoint: endpoint,
      forcepathstyle: true,
      secure: false,
      skipverify: false,
      bucket,
      accesskey: credentials.accessKeyId,
      secretkey: credentials.secretAccessKey,
    },
  };
}
