import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { FilesDriver } from '../../lib/storage/files.ts';

export type OpenedStorage = { driver: StorageDriver; close(): Promise<void> };

/** A directory of its own, gone when it is closed. */
export async function openFiles(): Promise<OpenedStorage> {
  const root = await mkdtemp(join(tmpdir(), 'stowage-'));
  return { driver: await FilesDriver.open(root), close: () => rm(root, { recursive: true, force: true }) };
}
