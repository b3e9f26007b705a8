import { type Key, layout } from '../../model/layout.ts';
import type { ImageId } from '../../model/names.ts';
import type { ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import { Look } from '../condemned/look.ts';
import { COLLECTION_TIMES, type CollectionTimes } from '../condemned/times.ts';
import { listedCell, lookAtImage, type SeenImage } from './image-cell.ts';
import { hasProjectionRecord } from './projection-record.ts';

/** The keys of one listing request. */
const PAGE = 1000;

/** Looks at v1 images for writers, before they write objects of an image or a tag that leads to it. */
export class ImageLooks {
  readonly #storage: StorageDriver;
  readonly #times: CollectionTimes;

  /** @param times other than the defaults in tests only */
  constructor(storage: StorageDriver, times = COLLECTION_TIMES) {
    this.#storage = storage;
    this.#times = times;
  }

  /** Begins a look. */
  start(): Look {
    return new Look(this.#times);
  }

  /**
   * Looks at an image; one that is condemned is live afterwards. One LIST, and two more requests if the image is condemned. Up to
   * two more if it has a thousand records.
   * @throws RegistryError UNAVAILABLE if the collector is removing the image
   */
  async at(id: ImageId): Promise<SeenImage> {
    const look = this.start();
    const { objects, last } = await this.#listRecords(id);
    await lookAtImage(this.#storage, id, { look, ...listedCell(id, objects.get(layout.imageCell(id)), last) });
    const record = layout.projectionRecord(id);
    const isProjection =
      last === undefined || last >= record ? objects.has(record) : await hasProjectionRecord(this.#storage, id);
    return { look, isProjection, hasDescriptor: objects.has(layout.imageLayerDescriptor(id)) };
  }

  /** The records up to the projection record. @returns as `last` the last key that was read; `undefined` if that was the end */
  async #listRecords(id: ImageId): Promise<{ objects: Map<Key, ObjectInfo>; last?: Key }> {
    const objects = new Map<Key, ObjectInfo>();
    let read = 0;
    for await (const object of this.#storage.list(layout.imageRecords(id))) {
      objects.set(object.key, object);
      if (++read === PAGE || object.key >= layout.projectionRecord(id)) return { objects, last: object.key };
    }
    return { objects };
  }
}
