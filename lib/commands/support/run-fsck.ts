import { readFile, writeFile } from 'node:fs/promises';
import type { Config } from '../../config/config.ts';
import { hasCode } from '../../model/has-code.ts';
import type { Finding, FindingKind } from '../../registry/fsck/findings.ts';

import type { FsckLevel } from '../../registry/fsck/levels.ts';
import { openForCommand } from './open-for-command.ts';
import { progressOf } from './progress.ts';

export type RunFsckOptions = {
  level: FsckLevel;
  repair: boolean;
  dryRun: boolean;
  json: boolean;
  /** The part of the bytes that is hashed, 0 to 1. */
  sample: number;
  /** A file with the position of a run that hashed bytes. */
  state?: string;
};

/** Findings of one kind that are printed one by one without `--json`. */
const MAX_SHOWN = 20;

/** How often the position is written, in milliseconds. */
const STATE_INTERVAL = 10_000;

/** Checks storage, and prints the findings. @returns the number of errors that are not repaired */
export async function fsck(config: Config, options: RunFsckOptions): Promise<number> {
  const { level, repair, dryRun, json, sample, state } = options;
  const started = performance.now();
  const { registry, location, close } = await openForCommand(config, { writes: repair && !dryRun });
  const progress = progressOf('checking');
  const shown = new Map<FindingKind, number>();
  const after = state === undefined ? undefined : await readState(state);
  let hashed = 0;
  let writtenAt = performance.now();
  try {
    const result = await registry.fsck.run({
      level,
      repair: repair ? (dryRun ? 'plan' : 'on') : 'off',
      allowsMissingChildren: config.indexChildren !== 'required',
      onObject: () => progress.add('objects'),
      onFinding: (finding) => {
        if (json) console.log(JSON.stringify(finding));
        else showFinding(finding, shown);
      },
      bytes: {
        sample,
        ...(after !== undefined && { after }),
        onHashed: () => hashed++,
        onBytes: (sizeBytes) => progress.add('bytes', sizeBytes),
        onPosition: async (key) => {
          if (state === undefined || performance.now() - writtenAt < STATE_INTERVAL) return;
          writtenAt = performance.now();
          await writeFile(state, key);
        },
      },
    });
    progress.stop();
    if (state !== undefined) await writeFile(state, '');
    const seconds = Number(((performance.now() - started) / 1000).toFixed(1));
    const objects = progress.count('objects');
    if (await registry.catalog.isEmpty()) {
      console.error(`there is no repository in ${location}: check that storage and storage_path name the right place`);
    }
    const hashes = level === 'bytes';
    if (json) console.log(JSON.stringify({ ...result, objects, ...(hashes && { hashed }), seconds }));
    else {
      for (const [kind, count] of shown) {
        if (count > MAX_SHOWN) console.log(`and ${count - MAX_SHOWN} more of ${kind}; --json prints all`);
      }
      const { errors, warnings, repaired } = result;
      console.log(
        `${objects} objects${hashes ? `, ${hashed} of them hashed` : ''}: ${errors} errors, ${warnings} warnings, ${repaired} repaired; ${seconds} s, in ${location}`,
      );
    }
    return result.errors;
  } finally {
    progress.stop();
    await close();
  }
}

function showFinding({ kind, severity, key, detail, advice, repair }: Finding, shown: Map<FindingKind, number>): void {
  const count = (shown.get(kind) ?? 0) + 1;
  shown.set(kind, count);
  if (count > MAX_SHOWN) return;
  const after = repair?.needsPush ? `; next: ${advice.slice(advice.indexOf('push'))}` : '';
  const next = repair ? `${repair.isDone ? 'repaired' : 'a repair would'}: ${repair.action}${after}` : advice;
  console.log(`${severity} ${kind} ${key}: ${detail} (${next})`);
}

/** The position of an earlier run; empty after one that ended. */
async function readState(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')) || undefined;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}
