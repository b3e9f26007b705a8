import { mapConcurrently } from '../concurrency.ts';
import { layout, parseImageMark } from '../layout.ts';
import type { ImageId, RepositoryName } from '../names.ts';
import type { StorageDriver } from '../storage/driver.ts';

/** Pushed by a client of v1, or the view of a manifest. */
export type ImageKind = 'pushed' | 'view';

/** Who has a right to an image. */
export type ImageUse = { kind: ImageKind; owners: RepositoryName[]; pushers: string[] };

/**
 * Which repositories use an image of v1: images have no repository of their own, so who may read them is asked here.
 *
 * Clients choose the ids of the images that they push, so somebody may push one under an id that will be that of a view.
 * The right to that image is none to the view: it has marks of its own, written only for repositories that hold what it
 * shows. From when it is marked as a view, which is before anything of it is there, no other mark counts.
 */
export class ImageOwners {
  readonly #storage: StorageDriver;

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /**
   * Who may read what was read of the image before this was called. One storage request, in the order of whose answer an
   * image that is becoming a view is seen as one, whatever of its older marks was seen before.
   */
  async find(id: ImageId): Promise<ImageUse> {
    const pushed: ImageUse = { kind: 'pushed', owners: [], pushers: [] };
    const view: ImageUse = { kind: 'view', owners: [], pushers: [] };
    let isView = false;
    for await (const { key } of this.#storage.list(layout.imageMarks(id))) {
      const mark = parseImageMark(key);
      if (mark?.kind === 'view') isView = true;
      if (mark?.kind === 'viewOwner') view.owners.push(mark.repository);
      if (mark?.kind === 'owner') pushed.owners.push(mark.repository);
      if (mark?.kind === 'pusher') pushed.pushers.push(mark.mark);
    }
    return isView ? view : pushed;
  }

  /** Whether the repository uses this view. One storage request. */
  async ownsView(repository: RepositoryName, id: ImageId): Promise<boolean> {
    return (await this.#storage.head(layout.viewOwner(id, repository))) !== undefined;
  }

  /** @param pusher in letters that any key can hold. One storage request. */
  async addPusher(pusher: string, id: ImageId): Promise<void> {
    await this.#storage.put(layout.imagePusher(id, pusher), new Uint8Array());
  }

  /** One storage request. */
  async removePusher(pusher: string, id: ImageId): Promise<void> {
    await this.#storage.delete(layout.imagePusher(id, pusher));
  }

  /** Notes that the repository uses these images, as long as they are no views. One storage request for each, side by side. */
  async add(repository: RepositoryName, images: readonly ImageId[]): Promise<void> {
    await mapConcurrently(images, (id) => this.#storage.put(layout.imageOwner(id, repository), new Uint8Array()));
  }

  /** Notes that the repository uses these views. One storage request for each, side by side. */
  async addToViews(repository: RepositoryName, views: readonly ImageId[]): Promise<void> {
    await mapConcurrently(views, (id) => this.#storage.put(layout.viewOwner(id, repository), new Uint8Array()));
  }
}
