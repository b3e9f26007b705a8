import { DAY_MS } from '../../model/duration.ts';
import type { RetentionRule } from './rules.ts';

/** `undoMs` in milliseconds. `ignorePullsBy`: patterns of callers and programs whose pulls do not count. */
export type RetentionSettings = { rules: readonly RetentionRule[]; undoMs: number; ignorePullsBy: readonly string[] };

export const NO_RETENTION: RetentionSettings = { rules: [], undoMs: 14 * DAY_MS, ignorePullsBy: [] };
