import type { ReportDocument } from './report.ts';

/** What is worth an alarm or a graph of a run that has ended. */
export type RunFigures = { durationSeconds: number; removedBytes: number };

/** @param run as `CollectionOutcome` and `EndedRun` tell of it. The start is by the clock of storage, the end by that of a process */
export function figuresOf({
  startedAt,
  endedAt,
  report,
}: {
  startedAt: Date | string;
  endedAt: Date | string;
  report: ReportDocument;
}): RunFigures {
  const durationMs = new Date(endedAt).getTime() - new Date(startedAt).getTime();
  const removed = Object.values(report.actions.remove ?? {});
  return {
    durationSeconds: Math.max(0, Math.round(durationMs / 1000)),
    removedBytes: removed.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}
