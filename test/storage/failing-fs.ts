import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** Operations that change a file system; `write` is a write through a file handle or a descriptor. */
export type Change = 'mkdir' | 'open' | 'write' | 'sync' | 'link' | 'rename' | 'writeFile' | 'copyFile';

export const CHANGES: readonly Change[] = ['mkdir', 'open', 'write', 'sync', 'link', 'rename', 'writeFile', 'copyFile'];

/**
 * Makes every change of this kind in this process fail with `code` while `task` runs. Node's own functions are replaced, also
 * for modules that import them by name.
 * @returns how many changes have failed
 */
export async function withFailing(change: Change, code: string, task: () => Promise<void>): Promise<number> {
  const { promises } = fs;
  const original = { ...promises };
  const { open, write, fsync } = fs;
  let refused = 0;
  const refusal = (): Error => {
    refused++;
    return Object.assign(new Error(`${code}: refused by the test, ${change}`), { code });
  };
  const refuse = async (): Promise<never> => {
    throw refusal();
  };
  failDescriptors(change, refusal);
  if (change === 'write' || change === 'sync') {
    promises.open = async (...args) => {
      const handle = await original.open(...args);
      const isForReading = args[1] === 'r';
      if (change === 'write') Object.assign(handle, { writeFile: refuse, write: refuse, writev: refuse });
      else if (!isForReading) Object.assign(handle, { sync: refuse });
      return handle;
    };
  } else if (change === 'open') {
    promises.open = async (...args) => (args[1] === 'r' ? await original.open(...args) : await refuse());
  } else {
    Object.assign(promises, { [change]: refuse });
  }
  syncBuiltinESMExports();
  try {
    await task();
  } finally {
    Object.assign(promises, original);
    Object.assign(fs, { open, write, fsync });
    syncBuiltinESMExports();
  }
  return refused;
}

/** What `withFailing` does for functions with a callback, as far as the product uses them. Directories are opened for reading, and synced. */
function failDescriptors(change: Change, refusal: () => Error): void {
  const { open, fsync } = fs;
  const forReading = new Set<number>();
  type Done = (error: Error | null, file?: number) => void;
  const openOrFail = (path: string, flags: string, done: Done) => {
    if (change === 'open' && flags !== 'r') return done(refusal());
    open(path, flags, (error, file) => {
      if (flags === 'r') forReading.add(file);
      else forReading.delete(file);
      done(error, file);
    });
  };
  const syncOrFail = (file: number, done: Done) => (forReading.has(file) ? fsync(file, done) : done(refusal()));
  if (change === 'open' || change === 'sync') Object.assign(fs, { open: openOrFail });
  if (change === 'sync') Object.assign(fs, { fsync: syncOrFail });
  if (change === 'write') Object.assign(fs, { write: (...args: unknown[]) => (args.at(-1) as Done)(refusal()) });
}
