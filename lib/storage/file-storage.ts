import { resolve } from 'node:path';
import type { ConfiguredStorage } from './configured-storage.ts';

/** Objects as files below a directory. */
export function fileStorage(path: string): ConfiguredStorage {
  const directory = resolve(path);
  return {
    location: directory,
    directory,
    hasFreeCopies: true, // hard links
    isShared: false,
    async open() {
      const { FilesDriver } = await import('./files.ts');
      return await FilesDriver.open(path);
    },
  };
}
