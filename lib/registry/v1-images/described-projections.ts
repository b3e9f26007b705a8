// Projections whose grants describe them have no reference to bytes: the link of the repository that holds the manifest leads to
// the layer. A v1 client that tags an image built on such a projection, and a conversion of that image, use it beyond that
// repository. So the projection first gets a layer descriptor, by which the collector keeps the bytes, and a projection record.
import { isJsonObject, parseJson } from '../../model/json.ts';
import { layout } from '../../model/layout.ts';
import type { ImageId } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import type { Blobs } from '../blobs/blobs.ts';
import type { ReusableBytes } from '../blobs/reusable-bytes.ts';
import { earlierLook } from '../condemned/look.ts';
import type { ImageLooks } from './image-looks.ts';
import type { ProjectionSource } from './image-rights.ts';
import { decodeAncestry, sumOf } from './images.ts';
import type { ImageLayers } from './layers.ts';
import { recordProjection } from './projection-record.ts';

export class DescribedProjections {
  readonly #storage: StorageDriver;
  readonly #blobs: Blobs;
  readonly #reusable: ReusableBytes;
  readonly #layers: ImageLayers;
  readonly #looks: ImageLooks;

  constructor(
    storage: StorageDriver,
    dependencies: { blobs: Blobs; reusable: ReusableBytes; layers: ImageLayers; looks: ImageLooks },
  ) {
    this.#storage = storage;
    this.#blobs = dependencies.blobs;
    this.#reusable = dependencies.reusable;
    this.#layers = dependencies.layers;
    this.#looks = dependencies.looks;
  }

  /**
   * Gives a projection a layer descriptor and a record. Eight storage requests.
   * @returns false if it is not what its grant describes; then nothing is written
   * @throws RegistryError UNAVAILABLE if the collector is removing the image
   */
  async record(id: ImageId, { repository, manifests, content }: ProjectionSource): Promise<boolean> {
    const [{ look, hasRecord }, json, ancestry, link] = await Promise.all([
      this.#looks.at(id),
      this.#storage.read(layout.imageJson(id)),
      this.#storage.read(layout.imageAncestry(id)),
      this.#blobs.find(repository, content.layer),
    ]);
    if (hasRecord) return true;
    if (!json || !ancestry || !link) return false;
    if (sumOf(json.bytes) !== content.jsonSum || sumOf(ancestry.bytes) !== content.ancestrySum) return false;
    const bytes = await this.#reusable.reuse(content.layer, link);
    const ids = decodeAncestry(ancestry.bytes);
    if (!bytes || !ids) return false;
    const { look: lookAtBytes, ...layer } = bytes;
    const covered = earlierLook(look, lookAtBytes);
    // Its format and diff id are found where they are needed.
    await this.#layers.putDescriptor(id, { ...layer, format: 'unknown' }, { look: covered });
    const value = parseJson(json.bytes);
    const created = isJsonObject(value) && typeof value.created === 'string' ? value.created : undefined;
    const record = { manifest: manifests[0], idsBelowTop: ids.slice(1).toReversed(), replacesPushedImage: false };
    const made = { ...record, isComplete: true, ...(created !== undefined && { created }) };
    await recordProjection(this.#storage, id, made, covered);
    return true;
  }
}
