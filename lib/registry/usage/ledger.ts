// The books of a usage run: who uses how many bytes.
import type { RepositoryName } from '../../model/names.ts';

/** What one repository takes up. */
export type RepositoryUsage = {
  repository: RepositoryName;
  /** Of bytes that only this repository uses: what its deletion frees. */
  uniqueBytes: number;
  /** Of bytes that other repositories use too. */
  sharedBytes: number;
  /** Of manifests, links, tags and other small objects. */
  metadataBytes: number;
  tags: number;
  manifests: number;
  /** When a tag or manifest was written last, in ISO 8601. */
  lastPush?: string;
};

/** What all of storage takes up. The sum of the parts is `totalBytes`. Bytes that are stored once for several objects count once. */
export type TotalUsage = {
  totalBytes: number;
  /** Used by one repository. */
  uniqueBytes: number;
  /** Used by several repositories; each byte is counted once. */
  sharedBytes: number;
  /** Condemned, without a link, or left by uploads: the collector frees them. */
  reclaimableBytes: number;
  /** Of v1 images that no tag leads to, and which the collector keeps. */
  keptBytes: number;
  metadataBytes: number;
  objects: number;
};

/** A repository, by the order in which the run came to it. */
export type RepositoryIndex = number;

/** Adds up the bytes of storage, each of them once. */
export class Ledger {
  readonly total: TotalUsage = {
    totalBytes: 0,
    uniqueBytes: 0,
    sharedBytes: 0,
    reclaimableBytes: 0,
    keptBytes: 0,
    metadataBytes: 0,
    objects: 0,
  };
  readonly repositories: RepositoryUsage[] = [];

  addRepository(repository: RepositoryName): RepositoryIndex {
    this.repositories.push({
      repository,
      uniqueBytes: 0,
      sharedBytes: 0,
      metadataBytes: 0,
      tags: 0,
      manifests: 0,
    });
    return this.repositories.length - 1;
  }

  at(index: RepositoryIndex): RepositoryUsage {
    const usage = this.repositories[index];
    if (!usage) throw new Error(`no repository ${index}`);
    return usage;
  }

  /** An object without the bytes of a blob or layer. */
  addMetadata(sizeBytes: number, index?: RepositoryIndex): void {
    this.#count(sizeBytes);
    this.total.metadataBytes += sizeBytes;
    if (index !== undefined) this.at(index).metadataBytes += sizeBytes;
  }

  /**
   * Stored bytes of a blob or layer.
   * @param users the repositories that use them, each once
   * @param options.isKept whether they stay where no repository uses them
   * @param options.objects the number of objects that share them
   */
  addBytes(
    sizeBytes: number,
    users: readonly RepositoryIndex[],
    { isKept = false, objects = 1 }: { isKept?: boolean; objects?: number } = {},
  ): void {
    this.#count(sizeBytes, objects);
    const [first] = users;
    if (first === undefined) this.total[isKept ? 'keptBytes' : 'reclaimableBytes'] += sizeBytes;
    else if (users.length === 1) {
      this.total.uniqueBytes += sizeBytes;
      this.at(first).uniqueBytes += sizeBytes;
    } else {
      this.total.sharedBytes += sizeBytes;
      for (const index of users) this.at(index).sharedBytes += sizeBytes;
    }
  }

  #count(sizeBytes: number, objects = 1): void {
    this.total.objects += objects;
    this.total.totalBytes += sizeBytes;
  }
}
