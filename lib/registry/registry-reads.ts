import type { Background } from '../concurrency/background.ts';
import { NO_PEERS, type Peers } from '../concurrency/peers.ts';
import type { RepositoryName } from '../model/names.ts';
import type { StorageDriver } from '../storage/driver.ts';
import { Blobs } from './blobs/blobs.ts';
import { ReusableBytes } from './blobs/reusable-bytes.ts';
import type { CollectionTimes } from './condemned/times.ts';
import { TagHistory } from './history/tag-history.ts';
import { type ConvertImage, ManifestReads } from './manifests/manifest-reads.ts';
import { Referrers } from './manifests/referrers.ts';
import { StoredManifests } from './manifests/stored-manifests.ts';
import { mergeTwiceQuoted } from './old-buckets/merge-twice-quoted.ts';
import { repositoryExists } from './repositories/repository-exists.ts';
import { PullRecords } from './retention/pull-records.ts';
import { NO_RETENTION, type RetentionSettings } from './retention/settings.ts';
import { type IsImmutable, Tags } from './tags/tags.ts';
import { lookAtImage } from './v1-images/image-cell.ts';

/** What pulls by v2 need of a registry. The rest of it builds on this, and can be assembled later. */
export type RegistryReads = {
  /** The storage, with objects under twice-quoted keys where the other ones are. */
  storage: StorageDriver;
  blobs: Blobs;
  history: TagHistory;
  pulls: PullRecords;
  referrers: Referrers;
  reusable: ReusableBytes;
  stored: StoredManifests;
  tags: Tags;
};

export type RegistryReadsOptions = {
  /**
   * Runs what no request waits for: projections, tag metadata and `_index_images` after a tag change. Without it another
   * process does that, or the first v1 request.
   */
  background?: Background;
  /** Tags that no push may move. Default none. */
  isImmutable?: IsImmutable;
  /** Default: this process serves alone. */
  peers?: Peers;
  /** Default: no rules, so that no tag is ever deleted by one. */
  retention?: RetentionSettings;
  /** The times of the collector: the operator chooses the grace period, tests the others. Default `COLLECTION_TIMES`. */
  times?: CollectionTimes;
};

/** @param opened the storage */
export function assembleReads(
  opened: StorageDriver,
  { background, isImmutable, peers = NO_PEERS, retention = NO_RETENTION, times }: RegistryReadsOptions,
): RegistryReads {
  const storage = mergeTwiceQuoted(opened);
  const reusable = new ReusableBytes(storage, {
    lookAtImage: (id, look) => lookAtImage(storage, id, { look }),
    times,
  });
  const history = new TagHistory(storage, { background, peers });
  const referrers = new Referrers(storage);
  const { rules, ignorePullsBy: ignored } = retention;
  return {
    storage,
    blobs: new Blobs(storage, reusable),
    history,
    pulls: new PullRecords(storage, { rules, ignored, background }),
    referrers,
    reusable,
    stored: new StoredManifests(storage, referrers, times),
    tags: new Tags(storage, { isImmutable, recordMove: history.record }),
  };
}

/** What the routes of pulls call. */
export type PullRegistry = {
  blobs: Blobs;
  manifests: Pick<ManifestReads, 'get'>;
  pulls: PullRecords;
  repositories: { exists(repository: RepositoryName): Promise<boolean> };
  tags: Tags;
};

/** @param convert gives the conversions of v1 images, which are part of the rest of the registry */
export function pullRegistryOf(
  { storage, blobs, pulls, stored, tags }: RegistryReads,
  convert: ConvertImage,
): PullRegistry {
  return {
    blobs,
    manifests: new ManifestReads({ tags, stored, convert }),
    pulls,
    repositories: { exists: (repository) => repositoryExists(storage, repository) },
    tags,
  };
}
