import { RegistryError } from '../model/errors.ts';
import type { StorageDriver } from './driver.ts';

const refuse = async (): Promise<never> => {
  throw new RegistryError('UNSUPPORTED', 'this registry is read-only');
};

/**
 * The same storage without its writes, which fail with UNSUPPORTED. So do reads of the registry that store what they have
 * worked out.
 */
export function readOnlyStorage(driver: StorageDriver): StorageDriver {
  return {
    head: (key) => driver.head(key),
    get: (key, options) => driver.get(key, options),
    read: (key) => driver.read(key),
    etagOf: (bytes) => driver.etagOf(bytes),
    list: (prefix, options) => driver.list(prefix, options),
    listFolders: (prefix, options) => driver.listFolders(prefix, options),
    listParts: (upload) => driver.listParts(upload),
    honorsDeleteConditions: () => driver.honorsDeleteConditions(),
    ...(driver.presign && { presign: driver.presign.bind(driver) }),
    close: () => driver.close(),
    put: refuse,
    putStream: refuse,
    copyIfAbsent: refuse,
    delete: refuse,
    createMultipart: refuse,
    uploadPart: refuse,
    completeMultipart: refuse,
    abortMultipart: refuse,
  };
}
