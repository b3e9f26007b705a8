// The push of a v1 image takes three requests: PUT json, PUT layer, PUT checksum. The object `images/<id>/_inprogress` exists
// from the first to the last of them and hides the image from readers.
//
// Concurrent pushes. The protocol does not tell two pushes of one image apart. Within this process a step reads and writes
// under a lock for the image. Between processes a step writes first and checks afterwards: a step that changes the image sets
// `_inprogress` after its change; the step that removes `_inprogress` then reads the image again, and sets it again if the
// image has changed.
//
// Which JSON wins. The first JSON is stored at `images/<id>/json`, later ones beside it (`pending-pushes.ts`). The first push
// whose checksum matches a JSON and the stored layer completes the image with that JSON. The layers of the other pushes are
// hashed and compared, but not stored; these pushes succeed if their callers may read the image by then. Likewise a caller
// without a right to a complete image, because all of its tags were deleted, gets one by sending the same bytes again.
//
// Projections. An id may become that of a projection at any moment. The grant that describes it, or its projection record, is
// written before anything else of the projection but its ancestry. A push first reads what it replaces, then looks for the record, and then writes on condition that what it
// read is unchanged. So it never overwrites an object of a projection.
//
// Collector. Each request looks at the cell of the image (`image-cell.ts`) before it writes; the same listing tells whether there
// is a projection record.
import { setTimeout as sleep } from 'node:timers/promises';
import type { UnpackLimits } from '../../compression/unpack-limits.ts';
import { KeyLocks, LateLock } from '../../concurrency/key-locks.ts';
import type { ImageId } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import type { ImageGrants } from '../v1-images/grants.ts';
import type { ParsedImageJson } from '../v1-images/image-json.ts';
import type { ImageLooks } from '../v1-images/image-looks.ts';
import type { Images } from '../v1-images/images.ts';
import type { ImageLayers } from '../v1-images/layers.ts';
import { ChecksumStep, checksumMismatch } from './confirm-checksum.ts';
import { ImageWriter } from './image-writer.ts';
import { PendingPushes } from './pending-pushes.ts';
import type { PushOptions } from './push-options.ts';
import { JsonStep, type PutJsonOptions } from './put-json.ts';
import { LayerStep } from './put-layer.ts';
import { type ClaimedChecksums, StoredSums } from './stored-sums.ts';

/** How long a checksum waits for that of another push whose layer came first. */
const WAITS_MS = [50, 100, 200, 400, 800, 1600];

export class ImagePushes {
  readonly #images: Images;
  readonly #jsonStep: JsonStep;
  readonly #layerStep: LayerStep;
  readonly #checksumStep: ChecksumStep;
  readonly #locks = new KeyLocks();

  constructor(
    storage: StorageDriver,
    {
      images,
      looks,
      layers,
      grants,
      unpackLimits,
    }: {
      images: Images;
      looks: ImageLooks;
      layers: ImageLayers;
      grants: ImageGrants;
      unpackLimits: UnpackLimits;
    },
  ) {
    const pending = new PendingPushes(storage);
    const writer = new ImageWriter(storage, images);
    const storedSums = new StoredSums(storage, { images, layers, unpackLimits });
    this.#images = images;
    this.#jsonStep = new JsonStep(storage, { images, looks, pending, writer });
    this.#checksumStep = new ChecksumStep(storage, {
      images,
      looks,
      layers,
      grants,
      pending,
      storedSums,
      writer,
    });
    this.#layerStep = new LayerStep(storage, {
      images,
      looks,
      layers,
      pending,
      storedSums,
      writer,
      unpackLimits,
      checksumStep: this.#checksumStep,
    });
  }

  /**
   * Takes the JSON of an image, which begins its push. If another JSON is stored already, this one is kept beside it.
   * @throws RegistryError IMAGE_INVALID if the parent does not exist; IMAGE_EXISTS if the image is complete and the caller may
   *   read it: clients then skip it and push the next one
   */
  async putJson(json: ParsedImageJson, options: PutJsonOptions): Promise<void> {
    await this.#locks.run(json.id, () => this.#jsonStep.put(json, options));
  }

  /**
   * Takes the layer of an image whose push is under way, in one pass. The image becomes readable when a checksum matches: one
   * that came with the JSON is compared here, else `confirmChecksum` does it.
   * @throws RegistryError IMAGE_UNKNOWN, IMAGE_EXISTS, IMAGE_CHECKSUM_INVALID
   */
  async putLayer(
    id: ImageId,
    body: AsyncIterable<Uint8Array>,
    options: PushOptions & { signal?: AbortSignal },
  ): Promise<void> {
    const lock = new LateLock(this.#locks, id);
    try {
      await this.#layerStep.put(id, body, { ...options, lock });
    } finally {
      lock.release();
    }
  }

  /**
   * Ends the push of an image: if one of the client's checksums matches what is stored, the image becomes readable.
   * @throws RegistryError IMAGE_UNKNOWN, IMAGE_EXISTS, IMAGE_CHECKSUM_INVALID
   */
  async confirmChecksum(id: ImageId, claimed: ClaimedChecksums, options: PushOptions): Promise<void> {
    const confirm = () => this.#locks.run(id, () => this.#checksumStep.confirm(id, claimed, options));
    if ((await confirm()) === 'confirmed') return;
    for (const milliseconds of WAITS_MS) {
      await sleep(milliseconds);
      if (!(await this.#images.isComplete(id))) continue;
      await confirm();
      return;
    }
    throw checksumMismatch();
  }
}
