import { Presets, SingleBar } from 'cli-progress';
import { MiB } from '../../streams/bytes.ts';

/** The counts of a run whose end is not known beforehand, on a terminal. */
export type Progress = {
  add(what: 'objects' | 'bytes', count?: number): void;
  count(what: 'objects' | 'bytes'): number;
  stop(): void;
};

/** @param verb what the command does: `checking` */
export function progressOf(verb: string): Progress {
  const counts = { objects: 0, bytes: 0 };
  const format = `${verb} {value} objects, {mebibytes} MiB read, {duration_formatted}`;
  const bar = new SingleBar({ format, clearOnComplete: true }, Presets.shades_classic);
  // Standard output is for findings.
  if (process.stderr.isTTY) bar.start(0, 0, { mebibytes: 0 });
  return {
    add(what, count = 1) {
      counts[what] += count;
      bar.update(counts.objects, { mebibytes: Math.round(counts.bytes / MiB) });
    },
    count: (what) => counts[what],
    stop: () => bar.stop(),
  };
}
