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
import { parseSharedLayers, type SharedLayers } from './shared-layers.ts';

/**
 * What a repository took up at the time of a run. `totalBytes` is the sum of unique and shared ones. `knowsLayers`: which of its tags
 * share a layer was found for this state of the repository.
 */
export type UsageSummary = RepositoryUsage & { totalBytes: number; at: string; knowsLayers?: true };

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

/** Manifests that one run reads which no run has read before: the next run goes on. */
const MAX_READ_MANIFESTS = 10_000;

/** Repositories whose shared layers are found at once: the manifests of each are in memory. */
const FOUND_AT_ONCE = 4;

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
   * storage requests of `measure`, two for each repository, those of `findSharedLayers` and one more for each that has changed since
   * the last run and has several tags, and one for all quotas.
   * @param options.writes false to store nothing
   */
  async run({ writes = true, ...options }: Omit<MeasureOptions, 'v1Images'> & { writes?: boolean } = {}): Promise<{
    overview: UsageOverview;
    repositories: UsageSummary[];
  }> {
    const at = new Date().toISOString();
    const { measure } = await import('./measure.ts'); // loaded when needed: a pull does not wait for it
    const ledger = await measure(this.#storage, this.#tags, { ...options, v1Images: this.#v1Images });
    const measured = summariesOf(ledger, at);
    const repositories = writes ? await this.#findLayers(measured) : measured;
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

  /** Stores which tags share a layer. A repository that has not changed is left as the last run found it. */
  async #findLayers(summaries: readonly UsageSummary[]): Promise<UsageSummary[]> {
    const { findSharedLayers } = await import('./find-shared-layers.ts');
    let readCount = 0;
    const mayRead = () => readCount++ < MAX_READ_MANIFESTS;
    const find = async (summary: UsageSummary): Promise<UsageSummary> => {
      const { repository, at } = summary;
      const before = await this.summary(repository);
      if (before?.knowsLayers && isSameState(before, summary)) return { ...summary, knowsLayers: true };
      if (Math.max(summary.tags, before?.tags ?? 0) < 2) return summary;
      const found = await findSharedLayers({ storage: this.#storage, tags: this.#tags }, repository, { at, mayRead });
      if (!found) return summary;
      await this.#put(layout.sharedLayers(repository), found.shared);
      return found.isWhole ? { ...summary, knowsLayers: true } : summary;
    };
    return await mapConcurrently(summaries, find, FOUND_AT_ONCE);
  }

  async #put(key: Key, value: UsageSummary | UsageOverview | SharedLayers): Promise<void> {
    await this.#storage.put(key, encodeText(JSON.stringify(value)), AS_JSON);
  }

  /** What each tag of a repository takes up now. See `usageByTag`. */
  async byTag(repository: RepositoryName): Promise<TagUsage[]> {
    const { usageByTag } = await import('./by-tag.ts');
    return await usageByTag(this.#storage, this.#tags, repository);
  }

  /** What the deletion of these tags frees. See `usageOfDeletion`. */
  async ofDeletion(repository: RepositoryName, chosen: ReadonlySet<Tag>): Promise<DeletionUsage | undefined> {
    const { usageOfDeletion } = await import('./by-tag.ts');
    return await usageOfDeletion(this.#storage, this.#tags, repository, { chosen });
  }

  /** What the last run stored for a repository. One storage request. */
  async summary(repository: RepositoryName): Promise<UsageSummary | undefined> {
    return (await this.#read(layout.usageSummary(repository))) as UsageSummary | undefined;
  }

  /** Which tags share a layer, as the last run found it. One storage request. */
  async sharedLayers(repository: RepositoryName): Promise<SharedLayers | undefined> {
    const object = await this.#storage.read(layout.sharedLayers(repository));
    return object && parseSharedLayers(object.bytes);
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

/** A push, a deletion and a move each change one of these. */
function isSameState(a: UsageSummary, b: UsageSummary): boolean {
  return a.tags === b.tags && a.manifests === b.manifests && a.lastPush === b.lastPush;
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
