import type { Measure, Metric } from './measures.ts';
import type { S3Requests } from './s3-requests.ts';
import type { Samples } from './samples.ts';
import type { BenchStorage, RegistryName } from './storage.ts';

export type Measured = { measure: Measure; samples: Map<RegistryName, Samples> };
export type Counted = Map<RegistryName, S3Requests[]>;

type Cell = string | number;

const HEADINGS: Record<BenchStorage['kind'], string> = { s3: 'on S3', disk: 'on disk' };

/** The tables of speed and of resources for each kind of storage that was measured. */
export function measuredTables(measured: readonly Measured[]): string[] {
  return Object.entries(HEADINGS).flatMap(([kind, heading]) => {
    const ofKind = measured.filter(({ measure }) => measure.storage === kind);
    return ofKind.length === 0 ? [] : [speedTable(heading, ofKind), resourcesTable(heading, ofKind)];
  });
}

/** Medians with the lowest and the highest sample; the ratio is above 1 where Stowage is better. */
function speedTable(heading: string, measured: readonly Measured[]): string {
  const rows = measured.flatMap(({ measure, samples }) =>
    measure.metrics.map((metric, index) => {
      const [stowage, peer] = bothOf(samples).map((taken) => taken?.values[index] ?? []);
      return [metric.title, metric.unit, spread(stowage), spread(peer), ratio(metric, stowage, peer)];
    }),
  );
  return table([heading, 'unit', 'Stowage', 'distribution', 'ratio'], rows);
}

/** CPU and memory of the server for one sample. */
function resourcesTable(heading: string, measured: readonly Measured[]): string {
  const rows = measured.map(({ measure, samples }) => {
    const [stowage, peer] = bothOf(samples);
    return [
      measure.metrics[0]?.title ?? measure.name,
      ...[stowage, peer].map((taken) => rounded(median(taken?.cpuSeconds ?? []))),
      ...[stowage, peer].map((taken) => rounded(Math.max(0, ...(taken?.peakMiB ?? [])))),
    ];
  });
  return table([heading, 'CPU s, Stowage', 'distribution', 'peak MiB, Stowage', 'distribution'], rows);
}

export function requestsTable(counted: Counted): string {
  const names = [...counted.keys()];
  const [first = []] = counted.values();
  const shown = (requests: S3Requests | undefined) =>
    requests ? `${requests.untilAnswer}${requests.behind > 0 ? ` + ${requests.behind} behind` : ''}` : '';
  const rows = first.map(({ operation }, index) => [
    operation,
    ...names.map((name) => shown(counted.get(name)?.[index])),
  ]);
  return table(['S3 requests', ...names], rows);
}

function bothOf(samples: Map<RegistryName, Samples>): [Samples | undefined, Samples | undefined] {
  return [samples.get('Stowage'), samples.get('distribution')];
}

function ratio({ better }: Metric, stowage: readonly number[] = [], peer: readonly number[] = []): string {
  if (stowage.length === 0 || peer.length === 0) return '';
  const quotient = median(stowage) / median(peer);
  return (better === 'more' ? quotient : 1 / quotient).toFixed(2);
}

function spread(values: readonly number[] = []): string {
  if (values.length === 0) return '';
  return `${rounded(median(values))} (${rounded(Math.min(...values))}–${rounded(Math.max(...values))})`;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle) - 1] ?? 0)) / 2;
}

/** Rounds to three significant digits, the precision of such measurements. */
function rounded(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3).replace(/\.?0+$/, '');
}

/** A Markdown table whose columns also align on a terminal. */
function table(head: readonly string[], rows: readonly Cell[][]): string {
  const cells = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`;
  const rule = `| ${widths.map((width, column) => '-'.repeat(Math.max(1, width - (column === 0 ? 0 : 1))) + (column === 0 ? '' : ':')).join(' | ')} |`;
  return [line(cells[0] ?? []), rule, ...cells.slice(1).map(line)].join('\n');
}
