import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/** Operations that change a file system; `write` is a write through a file handle. */
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
  let refused = 0;
  const refuse = async (): Promise<never> => {
    refused++;
    throw Object.assign(new Error(`${code}: refused by the test, ${change}`), { code });
  };
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
    syncBuiltinESMExports();
  }
  return refused;
}
