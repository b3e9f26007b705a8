import { RegistryError } from '../model/errors.ts';
import type { StorageDriver } from './driver.ts';

/**
 * The same storage without its writes, which fail with UNSUPPORTED. So do reads of the registry that store what they have
 * worked out.
 */
export function readOnlyStorage(driver: StorageDriver): StorageDriver {
  return withCheckedWrites(driver, async () => false);
}

/** The same storage, whose writes fail with UNSUPPORTED once they are not allowed. @param isAllowed is called before each write */
export function guardWrites(driver: StorageDriver, isAllowed: () => Promise<boolean>): StorageDriver {
  return {
    ...withCheckedWrites(driver, isAllowed),
    ...(driver.findLimitations && { findLimitations: driver.findLimitations.bind(driver) }),
    ...(driver.checkRoom && { checkRoom: driver.checkRoom.bind(driver) }),
  };
}

function withCheckedWrites(driver: StorageDriver, isAllowed: () => Promise<boolean>): StorageDriver {
  const check = async () => {
    if (!(await isAllowed())) throw new RegistryError('UNSUPPORTED', 'this registry is read-only');
  };
  const guarded =
    <A extends unknown[], R>(write: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      await check();
      return await write(...args);
    };
  return {
    ...readsOf(driver),
    ...(driver.presign && { presign: driver.presign.bind(driver) }),
    ...(driver.deleteIf && { deleteIf: guarded(driver.deleteIf.bind(driver)) }),
    ...(driver.deleteMany && { deleteMany: guarded(driver.deleteMany.bind(driver)) }),
    close: () => driver.close(),
    put: guarded(driver.put.bind(driver)),
    putStream: guarded(driver.putStream.bind(driver)),
    copyIfAbsent: guarded(driver.copyIfAbsent.bind(driver)),
    delete: guarded(driver.delete.bind(driver)),
    createMultipart: guarded(driver.createMultipart.bind(driver)),
    uploadPart: guarded(driver.uploadPart.bind(driver)),
    completeMultipart: guarded(driver.completeMultipart.bind(driver)),
    abortMultipart: guarded(driver.abortMultipart.bind(driver)),
  };
}

/** The methods of a driver that read, for a driver with other writes. */
export function readsOf(driver: StorageDriver) {
  return {
    head: driver.head.bind(driver),
    get: driver.get.bind(driver),
    read: driver.read.bind(driver),
    etagOf: driver.etagOf.bind(driver),
    list: driver.list.bind(driver),
    listFolders: driver.listFolders.bind(driver),
    listParts: driver.listParts.bind(driver),
    honorsDeleteConditions: driver.honorsDeleteConditions.bind(driver),
  };
}
