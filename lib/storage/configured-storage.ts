import type { ReadWriteLocks } from '../concurrency/key-locks.ts';
import type { StorageDriver } from './driver.ts';

export type OpenStorageOptions = Partial<StorageSharing> & {
  /**
   * False where the start of a process must not wait for a request that only checks storage: a bucket that cannot be used then fails the
   * first request to it. Default: true.
   */
  verifies?: boolean;
};

/** What is known of a storage before it is opened, without loading its driver. */
export type ConfiguredStorage = {
  /** Where the objects are, to follow "in": `/srv/data`, `the bucket my-images, below registry/`. Holds no credentials. */
  location: string;
  /** The absolute path, where storage is a directory whose files other programs can read. */
  directory?: string;
  /** A copy within this storage takes no room: `v1_layers` is then `copy` by default. */
  hasFreeCopies: boolean;
  /** Processes on several machines serve the same storage, so what one of them signs has to be valid for the others. */
  isShared: boolean;
  /** @throws Error that says what is wrong with the directory or bucket, and what to do */
  open(options?: OpenStorageOptions): Promise<StorageDriver>;
};

/** What several workers of one server share. */
export type StorageSharing = {
  /** Locks on keys that hold for all workers, for storage that cannot decide conditions of deletes itself. */
  locks: ReadWriteLocks;
};
