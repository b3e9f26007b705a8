import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** What changes a file system; `write` is what is written through a handle. */
export type Change = 'mkdir' | 'open' | 'write' | 'sync' | 'link' | 'rename' | 'writeFile';

export const CHANGES: readonly Change[] = ['mkdir', 'open', 'write', 'sync', 'link', 'rename', 'writeFile'];

/**
 * While `task` runs, every change of this kind in this process is refused with `code`. Node's own functions are replaced, so
 * what imports them by name gets these, and no real disk has to be full.
 * @returns how many were refused
 */
export async function withFailing(change: Change, code: string, task: () => Promise<void>): Promise<number> {
  const { promises } = fs;
  const original = { ...promises };
  let refused = 0;
  const refuse = async (): Promise<never> => {
    refused++;
    throw Object.assign(new Error(`${code}: refused by the test, ${change}`), { code });
  };
  if (change === 'write' || change === 'sync') {
    promises.open = async (...args) => {
      const handle = await original.open(...args);
      const isForReading = args[1] === 'r';
      if (change === 'write') Object.assign(handle, { writeFile: refuse, write: refuse });
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
    syncBuiltinESMExports();
  }
  return refused;
}
