import { mapConcurrently } from '../concurrency.ts';
import { layout } from '../layout.ts';
import type { ImageId, RepositoryName } from '../names.ts';
import type { StorageDriver } from '../storage/driver.ts';

/** Which repositories use an image of v1: images have no repository of their own, so who may read them is asked here. */
export class ImageOwners {
  readonly #storage: StorageDriver;

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /** Notes that the repository uses these images. One storage request for each, side by side. */
  async add(repository: RepositoryName, images: readonly ImageId[]): Promise<void> {
    await mapConcurrently(images, (id) => this.#storage.put(layout.imageOwner(id, repository), new Uint8Array()));
  }
}
