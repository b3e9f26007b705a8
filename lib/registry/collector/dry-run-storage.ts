import type { ETag, StorageDriver } from '../../storage/driver.ts';

const WRITTEN = '"dry-run"' as ETag;

/** The same storage without its writes: each answers as if its condition held. Multipart uploads are refused. */
export function dryRunStorage(driver: StorageDriver): StorageDriver {
  const refuse = async (): Promise<never> => {
    throw new Error('a dry run starts no multipart upload');
  };
  return {
    head: (key) => driver.head(key),
    get: (key, options) => driver.get(key, options),
    read: (key) => driver.read(key),
    etagOf: (bytes) => driver.etagOf(bytes),
    list: (prefix, options) => driver.list(prefix, options),
    listFolders: (prefix, options) => driver.listFolders(prefix, options),
    listParts: (upload) => driver.listParts(upload),
    honorsDeleteConditions: () => driver.honorsDeleteConditions(),
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
