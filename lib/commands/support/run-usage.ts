import type { Config } from '../../config/config.ts';
import { parseV1RepositoryName, type RepositoryName } from '../../model/names.ts';
import { sizeText } from '../../model/size.ts';
import { mayWrite } from '../../registry/condemned/layout-record.ts';
import type { Registry } from '../../registry/registry.ts';
import { Largest } from '../../registry/usage/largest.ts';
import type { LayerUsage } from '../../registry/usage/measure.ts';
import type { UsageOverview, UsageSummary } from '../../registry/usage/usage.ts';
import { GiB } from '../../streams/bytes.ts';
import { openForCommand } from './open-for-command.ts';
import { progressOf } from './progress.ts';

export type RunUsageOptions = {
  /** Repository names as a client writes them; an empty list means all. */
  repositories: string[];
  by: 'repository' | 'tag' | 'layer';
  /** Dollars a month for a GiB. */
  price: number;
  /** How many lines are shown. */
  top: number;
  last: boolean;
  dryRun: boolean;
  json: boolean;
};

/** A line of the table; each group has fields of its own. */
type Row = Record<string, string | number | readonly string[]>;

/**
 * Prints what repositories, tags or layers take up.
 * @throws Error if storage cannot be used, a named repository is not there, or with `last` if nothing was counted yet
 */
export async function usage(config: Config, options: RunUsageOptions): Promise<void> {
  const only = options.repositories.map(parseV1RepositoryName);
  const { registry, storage, location, close } = await openForCommand(config);
  try {
    const print = printerOf(options);
    if (options.by === 'tag') {
      for (const repository of only.length > 0 ? only : await registry.catalog.all()) {
        print(await tagRows(registry, repository, options));
      }
      return;
    }
    const layers = new Largest<LayerUsage>(options.top, ({ sizeBytes }) => sizeBytes);
    const wanted = new Set<string>(only);
    const counted = options.last
      ? await readLast(registry, only, options.top)
      : await count(registry, {
          writes: !options.dryRun && (await mayWrite(storage)),
          ...(options.by === 'layer' && {
            onLayer: (layer: LayerUsage) => {
              if (wanted.size === 0 || layer.repositories.some((name) => wanted.has(name))) layers.add(layer);
            },
          }),
        });
    const { overview, repositories } = counted;
    const shown = repositories.filter(({ repository }) => wanted.size === 0 || wanted.has(repository));
    for (const name of only) {
      if (!shown.some(({ repository }) => repository === name)) throw new Error(`there is no repository ${name}`);
    }
    print(options.by === 'layer' ? layers.items.map(layerRow) : repositoryRows(shown, options));
    if (overview) printTotal(overview, { ...options, location });
  } finally {
    await close();
  }
}

async function count(registry: Registry, options: { writes: boolean; onLayer?: (layer: LayerUsage) => void }) {
  const progress = progressOf('counting');
  try {
    return await registry.usage.run({
      ...options,
      onObject: () => progress.add('objects'),
    });
  } finally {
    progress.stop();
  }
}

async function readLast(
  { usage: stored }: Registry,
  only: readonly RepositoryName[],
  top: number,
): Promise<{ overview?: UsageOverview; repositories: UsageSummary[] }> {
  const overview = await stored.overview();
  if (!overview) throw new Error('nothing was counted yet: run stowage usage without --last');
  if (only.length === 0) return { overview, repositories: overview.largest.slice(0, top) };
  const summaries = await Promise.all(only.map((repository) => stored.summary(repository)));
  return { repositories: summaries.filter((summary) => summary !== undefined) };
}

async function tagRows(registry: Registry, repository: RepositoryName, options: RunUsageOptions): Promise<Row[]> {
  const tags = (await registry.usage.byTag(repository)).toSorted((a, b) => b.uniqueBytes - a.uniqueBytes);
  return tags.slice(0, options.top).map(({ tag, totalBytes, uniqueBytes }) => ({
    repository,
    tag,
    totalBytes,
    uniqueBytes,
    dollars: dollarsOf(uniqueBytes, options),
  }));
}

function layerRow({ layer, sizeBytes, storedBytes, repositories }: LayerUsage): Row {
  return { layer, sizeBytes, storedBytes, repositories };
}

function repositoryRows(summaries: readonly UsageSummary[], options: RunUsageOptions): Row[] {
  const largest = summaries.toSorted((a, b) => b.uniqueBytes - a.uniqueBytes).slice(0, options.top);
  return largest.map(({ repository, uniqueBytes, sharedBytes, tags, manifests, lastPush }) => ({
    repository,
    uniqueBytes,
    sharedBytes,
    tags,
    manifests,
    lastPush: lastPush ?? '',
    dollars: dollarsOf(uniqueBytes, options),
  }));
}

/** A month's price of these bytes, to the cent. */
function dollarsOf(bytes: number, { price }: Pick<RunUsageOptions, 'price'>): number {
  return Number(((bytes / GiB) * price).toFixed(2));
}

function printerOf({ json }: RunUsageOptions): (rows: readonly Row[]) => void {
  return (rows) => {
    if (json) for (const row of rows) console.log(JSON.stringify(row));
    else printTable(rows);
  };
}

function printTable(rows: readonly Row[]): void {
  const [first] = rows;
  if (!first) return;
  const names = Object.keys(first);
  const lines = [names, ...rows.map((row) => names.map((name) => cellOf(name, row[name])))];
  const widths = names.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  for (const line of lines) {
    console.log(
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
  }
}

function cellOf(name: string, value: Row[string] | undefined): string {
  if (typeof value === 'number') return name.endsWith('Bytes') ? sizeText(value) : String(value);
  return Array.isArray(value) ? `${value.slice(0, 3).join(' ')}${value.length > 3 ? ' …' : ''}` : String(value ?? '');
}

function printTotal(
  { largest: _, ...total }: UsageOverview,
  { json, location, price }: RunUsageOptions & { location: string },
): void {
  const dollars = dollarsOf(total.totalBytes, { price });
  if (json) {
    console.log(JSON.stringify({ ...total, dollars }));
    return;
  }
  const { totalBytes, uniqueBytes, sharedBytes, reclaimableBytes, keptBytes, metadataBytes } = total;
  const parts = [
    `${sizeText(uniqueBytes)} unique`,
    `${sizeText(sharedBytes)} shared`,
    `${sizeText(reclaimableBytes)} reclaimable`,
    ...(keptBytes > 0 ? [`${sizeText(keptBytes)} of v1 images without a tag`] : []),
    `${sizeText(metadataBytes)} metadata`,
  ];
  console.log(`${sizeText(totalBytes)} in ${total.objects} objects: ${parts.join(', ')}; $${dollars} a month`);
  console.log(`noncurrent versions are not counted; in ${location}, ${total.at}`);
}
