import { RegistryError } from '../../model/errors.ts';
import { type Key, layout } from '../../model/layout.ts';
import type { ImageId } from '../../model/names.ts';
import { pythonJson } from '../../model/python-json.ts';
import { compareAndSwap } from '../../storage/compare-and-swap.ts';
import {
  AS_JSON,
  type Condition,
  type ETag,
  type ObjectInfo,
  type StorageDriver,
  unchanged,
} from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import type { Look } from '../condemned/look.ts';
import { noSuchParent } from '../v1-images/image-json.ts';
import type { Images } from '../v1-images/images.ts';
import { isProjection } from '../v1-images/projection-record.ts';

/** `before`: the object as it was before the look, by which the projection record was found absent. */
type Replacing = { before: ObjectInfo | undefined; look: Look };

/** Writes the objects of an image whose push is under way. It overwrites those of other pushes, but none of a projection. */
export class ImageWriter {
  readonly #storage: StorageDriver;
  readonly #images: Images;

  constructor(storage: StorageDriver, images: Images) {
    this.#storage = storage;
    this.#images = images;
  }

  /** The ancestry of an image with this parent. @throws RegistryError IMAGE_INVALID if the parent does not exist */
  async ancestryOf(id: ImageId, parent: ImageId | undefined): Promise<ImageId[]> {
    if (!parent) return [id];
    const ancestry = await this.#images.findAncestry(parent);
    if (!ancestry || ancestry.includes(id)) throw noSuchParent();
    return [id, ...ancestry];
  }

  /** As `putJson`. */
  async putAncestry(id: ImageId, ancestry: ImageId[], options: Replacing): Promise<void> {
    await this.putJson(id, layout.imageAncestry(id), encodeText(pythonJson(ancestry)), options);
  }

  /** `replace` by a JSON document. */
  async putJson(id: ImageId, key: Key, bytes: Uint8Array, { before, look }: Replacing): Promise<void> {
    await this.replace(id, key, before, (condition) =>
      this.#storage.put(key, bytes, { ...AS_JSON, ...condition, look }),
    );
  }

  /**
   * Replaces an object of the image. If another push has replaced it in between, it is replaced again: the checksum step
   * compares what is stored in the end.
   * @param before the object as it was before the projection record was found absent
   * @param put writes on condition. `undefined` if the condition did not hold
   * @throws RegistryError IMAGE_EXISTS if the id has become that of a projection
   */
  async replace(
    id: ImageId,
    key: Key,
    before: ObjectInfo | undefined,
    put: (condition: Condition) => Promise<ETag | undefined>,
  ): Promise<void> {
    await compareAndSwap(key, {
      first: { before },
      read: async () => {
        const info = await this.#storage.head(key);
        await this.yieldToProjection(id);
        return info;
      },
      write: (info) => put(unchanged(info)),
    });
  }

  /**
   * Ends the push if the id has become that of a projection, which `_inprogress` must not hide.
   * @throws RegistryError IMAGE_EXISTS
   */
  async yieldToProjection(id: ImageId): Promise<void> {
    if (!(await isProjection(this.#storage, id))) return;
    await this.#storage.delete(layout.imageInProgress(id));
    throw imageExists();
  }
}

export function imageExists(): RegistryError {
  return new RegistryError('IMAGE_EXISTS', 'Image already exists');
}
