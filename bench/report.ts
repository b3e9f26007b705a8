import type { Measure, Metric } from './measures.ts';
import type { S3Requests } from './s3-requests.ts';
import type { Samples } from './samples.ts';
import { median } from './statistics.ts';
import type { BenchStorage, RegistryName } from './storage.ts';

export type Measured = { measure: Measure; samples: Map<RegistryName, Samples> };
export type Counted = Map<RegistryName, S3Requests[]>;

type Cell = string | number;

const HEADINGS: Record<BenchStorage['kind'], string> = { s3: 'on S3', disk: 'on disk' };

/** The tables of speed and of resources for each kind of storage that was measured. */
export function measuredTables(measured: readonly Measured[]): string[] {
  return Object.entries(HEADINGS).flatMap(([kind, heading]) => {
    const ofKind = measured.filter(({ measure }) => measure.storage === kind);
    if (ofKind.length === 0) return [];
    const shown = { measured: ofKind, hasZot: ofKind.some(({ samples }) => samples.has('zot')) };
    return [speedTable(heading, shown), resourcesTable(heading, shown)];
  });
}

type Shown = { measured: readonly Measured[]; hasZot: boolean };

/** Medians with the lowest and the highest sample; a ratio is above 1 where Stowage is better. */
function speedTable(heading: string, { measured, hasZot }: Shown): string {
  const rows = measured.flatMap(({ measure, samples }) =>
    measure.metrics.map((metric, index) => {
      const [stowage, distribution, zot] = NAMES.map((name) => samples.get(name)?.values[index] ?? []);
      const toDistribution = ratio(metric, stowage, distribution);
      return [
        ...[metric.title, metric.unit, spread(stowage), spread(distribution), toDistribution?.toFixed(2) ?? ''],
        aim(metric.aim, toDistribution, (least) => toDistribution === undefined || toDistribution >= least),
        ...(hasZot ? [spread(zot), ratio(metric, stowage, zot)?.toFixed(2) ?? ''] : []),
      ];
    }),
  );
  const zot = hasZot ? ['zot', 'ratio'] : [];
  return table([heading, 'unit', 'Stowage', 'distribution', 'ratio', 'aim: at least', ...zot], rows);
}

/** CPU and memory of the server for one sample. */
function resourcesTable(heading: string, { measured, hasZot }: Shown): string {
  const names = hasZot ? NAMES : NAMES.slice(0, 2);
  const rows = measured.map(({ measure, samples }) => {
    const cpu = names.map((name) => samples.get(name)).map((taken) => taken && median(taken.cpuSeconds));
    const peak = names.map((name) => samples.get(name)).map((taken) => taken && Math.max(...taken.peakMiB));
    const aimOfCpu = measure.aimsAtCpu ? cpu[1] : undefined;
    const shown = (values: readonly (number | undefined)[]) =>
      values.map((value) => (value === undefined ? '' : rounded(value)));
    return [
      measure.metrics[0]?.title ?? measure.name,
      ...[...shown(cpu), atMost(aimOfCpu, cpu[0])],
      ...[...shown(peak), atMost(measure.aimMiB, peak[0])],
    ];
  });
  const [stowage = '', ...peers] = names;
  const head = [`CPU s, ${stowage}`, ...peers, 'at most', `peak MiB, ${stowage}`, ...peers, 'at most'];
  return table([heading, ...head], rows);
}

/** The requests of each operation, and of how many Stowage sends no more than half of what distribution sends without its cache. */
export function requestsTable(counted: Counted): string {
  const names = [...counted.keys()];
  const stowage = counted.get('Stowage') ?? [];
  const peer = counted.get('distribution without cache');
  const shown = (requests: S3Requests | undefined) =>
    requests ? `${requests.untilAnswer}${requests.behind > 0 ? ` + ${requests.behind} behind` : ''}` : '';
  const rows = stowage.map((own, index) => {
    const aims = [
      { most: Math.min(own.aim?.untilAnswer ?? Infinity, peer?.[index]?.untilAnswer ?? Infinity), is: own.untilAnswer },
      { most: own.aim?.inAll ?? Infinity, is: own.untilAnswer + own.behind, suffix: ' in all' },
    ].filter(({ most }) => most < Infinity);
    return [
      own.operation,
      ...names.map((name) => shown(counted.get(name)?.[index])),
      aims.map(({ most, is, suffix = '' }) => `${atMost(most, is)}${suffix}`).join(', '),
    ];
  });
  const halves = stowage.filter(({ untilAnswer }, index) => untilAnswer <= (peer?.[index]?.untilAnswer ?? 0) / 2);
  const summary = `${halves.length} of ${stowage.length} operations take at most half of the requests of distribution without cache.`;
  return [table(['S3 requests', ...names, 'at most'], rows), ...(peer ? [summary] : [])].join('\n\n');
}

const NAMES = ['Stowage', 'distribution', 'zot'] as const;
const MISSED = ': **missed**';

/** @param isReached of the aim */
function aim(wanted: number | undefined, is: number | undefined, isReached: (wanted: number) => boolean): string {
  if (wanted === undefined) return '';
  return `${rounded(wanted)}${is === undefined || isReached(wanted) ? '' : MISSED}`;
}

function atMost(most: number | undefined, is: number | undefined): string {
  return aim(most, is, (wanted) => (is ?? 0) <= wanted);
}

function ratio({ better }: Metric, stowage: readonly number[] = [], peer: readonly number[] = []): number | undefined {
  if (stowage.length === 0 || peer.length === 0) return undefined;
  const quotient = median(stowage) / median(peer);
  return better === 'more' ? quotient : 1 / quotient;
}

function spread(values: readonly number[] = []): string {
  if (values.length === 0) return '';
  return `${rounded(median(values))} (${rounded(Math.min(...values))}–${rounded(Math.max(...values))})`;
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
