import { RegistryError } from '../../model/errors.ts';
import { layout } from '../../model/layout.ts';
import type { ImageId } from '../../model/names.ts';
import { AS_JSON, AS_TEXT, type ObjectInfo, type ReadObject, type StorageDriver } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import type { Look } from '../condemned/look.ts';
import { readClaim } from '../v1-images/checksums.ts';
import type { ParsedImageJson } from '../v1-images/image-json.ts';
import type { ImageLooks } from '../v1-images/image-looks.ts';
import type { Images } from '../v1-images/images.ts';
import { type ImageWriter, imageExists } from './image-writer.ts';
import type { PendingPushes } from './pending-pushes.ts';
import type { PushOptions } from './push-options.ts';

export type PutJsonOptions = PushOptions & {
  /** Throws if the image may not build on a parent that exists. */
  checkParent: (parent: ImageId) => Promise<void>;
  /** The checksum that the layer will have. docker-registry took it with the JSON; no Docker since 0.6 sends it so early. */
  claim?: string;
};

/** The JSON that a client sends, the ancestry that follows from its parent, and the look at the image. */
type Description = { bytes: Uint8Array; ancestry: ImageId[]; look: Look };

/** Step 1 of a push: PUT json. */
export class JsonStep {
  readonly #storage: StorageDriver;
  readonly #images: Images;
  readonly #looks: ImageLooks;
  readonly #pending: PendingPushes;
  readonly #writer: ImageWriter;

  constructor(
    storage: StorageDriver,
    dependencies: { images: Images; looks: ImageLooks; pending: PendingPushes; writer: ImageWriter },
  ) {
    this.#storage = storage;
    this.#images = dependencies.images;
    this.#looks = dependencies.looks;
    this.#pending = dependencies.pending;
    this.#writer = dependencies.writer;
  }

  /** All checks first, then `_inprogress`, then everything else. @throws RegistryError as `ImagePushes.putJson` */
  async put({ id, parent, bytes }: ParsedImageJson, options: PutJsonOptions): Promise<void> {
    const { checkParent, claim, pusherId, mayRead } = options;
    const [stored, storedAncestry, isComplete, ancestry] = await Promise.all([
      this.#storage.read(layout.imageJson(id)),
      this.#storage.head(layout.imageAncestry(id)),
      this.#images.isComplete(id),
      this.#writer.ancestryOf(id, parent),
    ]);
    const [{ isProjection, look }] = await Promise.all([this.#looks.at(id), parent && checkParent(parent)]);
    if (isProjection || (stored && isComplete && (await mayRead()))) throw imageExists();
    if (claim !== undefined && claim.split(':').length !== 2)
      throw new RegistryError('IMAGE_CHECKSUM_INVALID', 'Invalid checksum format');
    // A caller without a right to the image gets the same answer whether or not this JSON is the stored one.
    if (stored && isComplete) return await this.#pending.keep(id, pusherId, bytes);
    const before = { stored, storedAncestry };
    const description = { bytes, ancestry, look };
    if ((!stored || claim !== undefined) && (await this.#begin(id, description, before, claim))) return;
    await this.#join(id, description, options);
  }

  /** Begins the push of an image that has no JSON yet. False if another process has begun one in between. */
  async #begin(
    id: ImageId,
    { bytes, ancestry, look }: Description,
    { stored, storedAncestry }: { stored: ReadObject | undefined; storedAncestry: ObjectInfo | undefined },
    claim: string | undefined,
  ): Promise<boolean> {
    const key = layout.imageJson(id);
    await this.#images.setInProgress(id, look);
    if (claim !== undefined) await this.#writer.putJson(id, key, bytes, { before: stored?.info, look });
    else if (!(await this.#storage.put(key, bytes, { ...AS_JSON, ifAbsent: true, look }))) return false;
    await this.#writer.putAncestry(id, ancestry, { before: storedAncestry, look });
    // An earlier push that failed may have left these.
    await Promise.all([
      this.#storage.delete(layout.imageFiles(id)),
      this.#storage.delete(layout.imageDiff(id)),
      claim === undefined
        ? this.#storage.delete(layout.imageChecksum(id))
        : this.#storage.put(layout.imageChecksum(id), encodeText(claim), { ...AS_TEXT, look }),
    ]);
    await this.#images.setInProgress(id, look);
    await this.#writer.yieldToProjection(id);
    return true;
  }

  /** Joins a push of the image that is under way, or that ended early: its JSON stays and may still be confirmed. */
  async #join(id: ImageId, { bytes, ancestry, look }: Description, { pusherId, mayRead }: PushOptions): Promise<void> {
    const [stored, storedAncestry] = await Promise.all([
      this.#images.findJson(id),
      this.#storage.head(layout.imageAncestry(id)),
    ]);
    const isSame = stored !== undefined && Buffer.from(bytes).equals(stored);
    if (isSame && !storedAncestry) await this.#writer.putAncestry(id, ancestry, { before: undefined, look });
    if (!isSame) await this.#pending.keep(id, pusherId, bytes);
    // A checksum that came with the JSON of the earlier push does not apply to this one.
    if ((await readClaim(this.#storage, id)) !== undefined) await this.#storage.delete(layout.imageChecksum(id));
    await this.#writer.yieldToProjection(id);
    // Another process may have completed the image in between.
    if ((await this.#images.isComplete(id)) && (await mayRead())) throw imageExists();
  }
}
