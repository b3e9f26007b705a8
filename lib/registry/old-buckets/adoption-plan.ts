import type { ImageId, RepositoryName, Tag } from '../../model/names.ts';
import { Spill } from '../inventory/spill.ts';

/** A tag that names a v1 image. */
export type ImageTag = { repository: RepositoryName; tag: Tag };

/** A layer without a descriptor, so that it has to be read. */
export type UnreadLayer = { sizeBytes: number };

/**
 * What an adoption has to do. Its tags and layers are in temporary files beyond 8 MiB of each, so that a bucket of any size takes
 * up the memory of a 256th of it.
 */
export class AdoptionPlan {
  /** The tags by the image that they name. */
  readonly tags = new Spill<ImageTag>();
  readonly unread = new Spill<UnreadLayer>();
  repositoryCount = 0;
  tagCount = 0;
  /** All images of all ancestries. */
  imageCount = 0;
  unreadCount = 0;
  unreadBytes = 0;

  /** Deletes the temporary files. */
  async close(): Promise<void> {
    await Promise.all([this.tags.close(), this.unread.close()]);
  }
}

/** The records of a spill with their names, which here are image ids, a partition at a time. */
export async function* partitionsOf<T>(spill: Spill<T>): AsyncGenerator<{ id: ImageId; records: T[] }[]> {
  for (const partition of spill.partitions) {
    const records = await spill.read(partition);
    yield [...records].map(([id, found]) => ({ id: id as ImageId, records: found }));
  }
}
