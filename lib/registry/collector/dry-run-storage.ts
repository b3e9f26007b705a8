import type { ETag, StorageDriver } from '../../storage/driver.ts';
import { readsOf } from '../../storage/guarded-writes.ts';

const WRITTEN = '"dry-run"' as ETag;

/** The same storage without its writes: each answers as if its condition held. Multipart uploads are refused. */
export function dryRunStorage(driver: StorageDriver): StorageDriver {
  const refuse = async (): Promise<never> => {
    throw new Error('a dry run starts no multipart upload');
  };
  return {
    ...readsOf(driver),
    put: async () => WRITTEN,
    putStream: async () => WRITTEN,
    copyIfAbsent: async () => true,
    delete: async () => true,
    createMultipart: refuse,
    uploadPart: refuse,
    completeMultipart: refuse,
    abortMultipart: refuse,
    close: async () => undefined,
  };
}
