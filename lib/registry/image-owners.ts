import { createHash } from 'node:crypto';
import { mapConcurrently } from '../concurrency.ts';
import { lastPartOf, layout } from '../layout.ts';
import { type ImageId, type RepositoryName, unquotePlus } from '../names.ts';
import type { StorageDriver } from '../storage/driver.ts';

/** Which repositories use an image of v1: images have no repository of their own, so who may read them is asked here. */
export class ImageOwners {
  readonly #storage: StorageDriver;

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /** One storage request. */
  async list(id: ImageId): Promise<RepositoryName[]> {
    const owners: RepositoryName[] = [];
    for await (const { key } of this.#storage.list(layout.imageOwners(id))) {
      const name = unquotePlus(lastPartOf(key));
      if (name !== undefined) owners.push(name as RepositoryName);
    }
    return owners;
  }

  /** Whether this user has pushed the image. One storage request. */
  async isPusher(pusher: string, id: ImageId): Promise<boolean> {
    return (await this.#storage.head(layout.imagePusher(id, markOf(pusher)))) !== undefined;
  }

  /** One storage request. */
  async addPusher(pusher: string, id: ImageId): Promise<void> {
    await this.#storage.put(layout.imagePusher(id, markOf(pusher)), new Uint8Array());
  }

  /** One storage request. */
  async removePusher(pusher: string, id: ImageId): Promise<void> {
    await this.#storage.delete(layout.imagePusher(id, markOf(pusher)));
  }

  /** Notes that the repository uses these images. One storage request for each, side by side. */
  async add(repository: RepositoryName, images: readonly ImageId[]): Promise<void> {
    await mapConcurrently(images, (id) => this.#storage.put(layout.imageOwner(id, repository), new Uint8Array()));
  }
}

/** Names that identity providers give may be longer than a key, and hold anything. */
function markOf(pusher: string): string {
  return createHash('sha256').update(pusher).digest('hex');
}
