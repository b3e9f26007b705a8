import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

/** So long that only what never happens takes longer, on however slow a machine. */
const LIMIT_MS = 60_000;

/** Waits for something that is about to happen. @param problem the message of the error if it does not */
export async function until(isSo: () => boolean | Promise<boolean>, problem: string): Promise<void> {
  for (const started = performance.now(); !(await isSo()); await sleep(5)) {
    assert.ok(performance.now() - started < LIMIT_MS, problem);
  }
}
