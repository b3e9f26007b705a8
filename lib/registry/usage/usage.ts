import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { type Key, layout } from '../../model/layout.ts';
import type { RepositoryName, Tag } from '../../model/names.ts';
import { AS_JSON, type StorageDriver } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import type { V1ImagesPolicy } from '../collector/image-reasons.ts';
import type { Tags } from '../tags/tags.ts';
import type { DeletionUsage, TagUsage } from './by-tag.ts';
import type { Ledger, RepositoryUsage, TotalUsage } from './ledger.ts';
import type { MeasureOptions } from './measure.ts';
import type { Quotas } from './quotas.ts';

/** What a repository took up at the time of a run. `totalBytes` is the sum of unique and shared ones. */
export type UsageSummary = RepositoryUsage & { totalBytes: number; at: string };

/**
 * `largest`: the repositories with the most unique bytes, largest first. `latest`: those that were pushed to last, the last one
 * first; absent in overviews of earlier versions.
 */
export type UsageOverview = TotalUsage & {
  at: string;
  repositories: number;
  largest: UsageSummary[];
  latest?: UsageSummary[];
};

/** Repositories in each list of the overview, so that it can be read in one piece. */
const MAX_LISTED = 1000;

/** What repositories take up. */
export class Usage {
  readonly #storage: StorageDriver;
  readonly #tags: Tags;
  readonly #quotas: Quotas;
  readonly #v1Images: V1ImagesPolicy;

  /**
   * @param storage without the merge of twice-quoted folders
   * @param options.v1Images of the collector: what it will remove is reclaimable. Default `keep`
   */
  constructor(
    storage: StorageDriver,
    { tags, quotas, v1Images = 'keep' }: { tags: Tags; quotas: Quotas; v1Images?: V1ImagesPolicy | undefined },
  ) {
    this.#storage = storage;
    this.#v1Images = v1Images;
    this.#tags = tags;
    this.#quotas = quotas;
  }

  /**
   * Counts, and stores a summary for each repository and one for all of storage, so that both are read by one request. The
   * storage requests of `measure`, one for each repository, and one for all quotas.
   * @param options.writes false to store nothing
   */
  async run({ writes = true, ...options }: Omit<MeasureOptions, 'v1Images'> & { writes?: boolean } = {}): Promise<{
    overview: UsageOverview;
    repositories: UsageSummary[];
  }> {
    const at = new Date().toISOString();
    const { measure } = await import('./measure.ts'); // loaded when needed: a pull does not wait for it
    const ledger = await measure(this.#storage, this.#tags, { ...options, v1Images: this.#v1Images });
    const repositories = summariesOf(ledger, at);
    const overview = {
      at,
      ...ledger.total,
      repositories: repositories.length,
      largest: repositories.toSorted((a, b) => b.uniqueBytes - a.uniqueBytes).slice(0, MAX_LISTED),
      latest: repositories.toSorted(byLastPush).slice(0, MAX_LISTED),
    };
    if (writes) {
      await mapConcurrently(repositories, (summary) => this.#put(layout.usageSummary(summary.repository), summary));
      await this.#put(layout.usageOverview(), overview);
      await this.#quotas.record(at, repositories);
    }
    return { overview, repositories };
  }

  async #put(key: Key, value: UsageSummary | UsageOverview): Promise<void> {
    await this.#storage.put(key, encodeText(JSON.stringify(value)), AS_JSON);
  }

  /** What each tag of a repository takes up now. See `usageByTag`. */
  async byTag(repository: RepositoryName): Promise<TagUsage[]> {
    const { usageByTag } = await import('./by-tag.ts');
    return await usageByTag(this.#storage, this.#tags, repository);
  }

  /** What the deletion of these tags frees. See `usageOfDeletion`. */
  async ofDeletion(repository: RepositoryName, tags: ReadonlySet<Tag>): Promise<DeletionUsage> {
    const { usageOfDeletion } = await import('./by-tag.ts');
    return await usageOfDeletion(this.#storage, this.#tags, repository, tags);
  }

  /** What the last run stored for a repository. One storage request. */
  async summary(repository: RepositoryName): Promise<UsageSummary | undefined> {
    return (await this.#read(layout.usageSummary(repository))) as UsageSummary | undefined;
  }

  /** What the last run stored for all of storage. One storage request. */
  async overview(): Promise<UsageOverview | undefined> {
    return (await this.#read(layout.usageOverview())) as UsageOverview | undefined;
  }

  async #read(key: Key): Promise<object | undefined> {
    const object = await this.#storage.read(key);
    const value = object && parseJson(object.bytes);
    return isJsonObject(value) ? value : undefined;
  }
}

/** The last one first. Times in ISO 8601 are ordered as texts. */
function byLastPush({ lastPush: a = '' }: UsageSummary, { lastPush: b = '' }: UsageSummary): number {
  return a < b ? 1 : a > b ? -1 : 0;
}

/** Repositories of which only the last summary is left are left out. */
function summariesOf({ repositories }: Ledger, at: string): UsageSummary[] {
  return repositories
    .filter(({ tags, manifests, uniqueBytes, sharedBytes }) => tags + manifests + uniqueBytes + sharedBytes > 0)
    .map((usage) => ({ ...usage, totalBytes: usage.uniqueBytes + usage.sharedBytes, at }));
}
