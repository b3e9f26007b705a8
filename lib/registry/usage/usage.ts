import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { type Key, layout } from '../../model/layout.ts';
import type { RepositoryName, Tag } from '../../model/names.ts';
import { AS_JSON, type Condition, type ETag, type StorageDriver } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import type { V1ImagesPolicy } from '../collector/image-reasons.ts';
import type { Tags } from '../tags/tags.ts';
import type { DeletionUsage, TagUsage } from './by-tag.ts';
import type { Ledger, RepositoryUsage, TotalUsage } from './ledger.ts';
import type { MeasureOptions } from './measure.ts';
import type { Quotas } from './quotas.ts';
import { parseSharedLayers, type SharedLayers, type StoredSharedLayers } from './shared-layers.ts';

/** What a repository took up at the time of a run. `totalBytes` is the sum of unique and shared ones. */
export type UsageSummary = RepositoryUsage & { totalBytes: number; at: string };

/**
 * `sharedLayers`: which tags of the repository share a layer was `found` for this state of it, or is stored for an earlier one, if at
 * all; absent where it was never looked for.
 */
type StoredSummary = UsageSummary & { sharedLayers?: 'found' | 'outdated' };

/** `etag` of the summary that this run has stored. */
type Changed = { summary: UsageSummary; etag: ETag | undefined };

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
export const MAX_READ_MANIFESTS = 10_000;

/** Repositories in which one run looks for shared layers, those that were pushed to last first. */
const MAX_SEARCHED = 2000;

/** Repositories that are searched at once: the manifests and tags of each are in memory. Larger ones are searched one by one. */
const SEARCHED_AT_ONCE = 4;
const MAX_BESIDE_OTHERS = { manifests: 2000, tags: 10_000 };

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
   * storage requests of `measure`, two for each repository, one for all quotas, and for up to 2,000 repositories with several tags
   * that have changed since the last run two and those of `findSharedLayers`. That is the last step: a run that ends before it has
   * counted everything.
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
      const changed = await this.#putSummaries(repositories);
      await this.#put(layout.usageOverview(), overview);
      await this.#quotas.record(at, repositories);
      await this.#findLayers(changed, options);
    }
    return { overview, repositories };
  }

  /** @returns the repositories of which it is to be found anew which tags share a layer */
  async #putSummaries(summaries: readonly UsageSummary[]): Promise<Changed[]> {
    const changed = await mapConcurrently(summaries, async (summary) => {
      const before = await this.#storedSummary(summary.repository);
      const isFound = before?.sharedLayers === 'found' && isSameState(before, summary);
      const isSearched = !isFound && (summary.tags > 1 || before?.sharedLayers !== undefined);
      const sharedLayers: StoredSummary['sharedLayers'] = isFound ? 'found' : isSearched ? 'outdated' : undefined;
      const key = layout.usageSummary(summary.repository);
      const etag = await this.#put(key, { ...summary, ...(sharedLayers && { sharedLayers }) });
      return isSearched ? [{ summary, etag }] : [];
    });
    return changed.flat();
  }

  /** Stores which tags share a layer: for a repository that is too large no list, where manifests are left to read a part of it. */
  async #findLayers(changed: readonly Changed[], { onObject }: Pick<MeasureOptions, 'onObject'>): Promise<void> {
    const { findSharedLayers } = await import('./find-shared-layers.ts');
    let readCount = 0;
    const options = { ...(onObject && { onObject }), mayRead: () => readCount++ < MAX_READ_MANIFESTS };
    const search = async ({ summary, etag }: Changed): Promise<void> => {
      const { repository, at } = summary;
      const found = await findSharedLayers({ storage: this.#storage, tags: this.#tags }, summary, { ...options, at });
      await this.#put(layout.sharedLayers(repository), found?.shared ?? { at });
      // Another run may have counted meanwhile.
      const unchanged = etag === undefined ? {} : { ifMatch: etag };
      if (!found || found.isWhole)
        await this.#put(layout.usageSummary(repository), { ...summary, sharedLayers: 'found' }, unchanged);
    };
    const latest = changed.toSorted((a, b) => byLastPush(a.summary, b.summary)).slice(0, MAX_SEARCHED);
    const isLarge = ({ summary: { manifests, tags } }: Changed) =>
      manifests > MAX_BESIDE_OTHERS.manifests || tags > MAX_BESIDE_OTHERS.tags;
    const small = latest.filter((each) => !isLarge(each));
    await mapConcurrently(small, search, SEARCHED_AT_ONCE);
    await mapConcurrently(latest.filter(isLarge), search, 1);
  }

  async #put(
    key: Key,
    value: StoredSummary | UsageOverview | StoredSharedLayers,
    condition: Condition = {},
  ): Promise<ETag | undefined> {
    return await this.#storage.put(key, encodeText(JSON.stringify(value)), { ...AS_JSON, ...condition });
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
    const stored = await this.#storedSummary(repository);
    if (!stored) return undefined;
    const { sharedLayers: _, ...summary } = stored;
    return summary;
  }

  async #storedSummary(repository: RepositoryName): Promise<StoredSummary | undefined> {
    return (await this.#read(layout.usageSummary(repository))) as StoredSummary | undefined;
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
