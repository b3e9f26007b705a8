// The push of a v1 image: its JSON, its layer, then the checksum, each in a request of its own. The mark `_inprogress` is
// there from the first to the last of them.
//
// Nothing in the protocol tells two pushes of one image apart. Within this process each step therefore looks at what is
// there and changes it in one go, under a lock for the image: it fits what another push has left, or is refused. Against
// other processes each step writes before it looks once more: whoever changes an image sets the mark afterwards, and
// whoever takes the mark away looks whether what it has compared is still there, and sets the mark if not.
//
// An id may become that of a view at any moment. The view takes it before it writes anything, and a push looks for that
// after it has looked at what it will replace, which it does only while that is there: so it never replaces what a view wrote.
import { createHash, type Hash } from 'node:crypto';
import { encodeText } from '../bytes.ts';
import { CorruptLayerError } from '../compression/corrupt-layer-error.ts';
import type { UnpackLimits } from '../compression/unpack-limits.ts';
import { Slots } from '../concurrency.ts';
import { RegistryError } from '../errors.ts';
import { KeyLocks, LateLock } from '../key-locks.ts';
import { type Key, layout } from '../layout.ts';
import type { ImageId } from '../names.ts';
import {
  AS_JSON,
  AS_TEXT,
  type Condition,
  type ETag,
  type ObjectInfo,
  type StorageDriver,
  StorageUnavailableError,
  unchanged,
} from '../storage/driver.ts';
import { readChecksums, readClaim, tarSumVersionOf, writeChecksums } from './image-checksums.ts';
import { noSuchParent, type ParsedImageJson } from './image-json.ts';
import type { ImageLayers } from './image-layers.ts';
import type { ImageOwners } from './image-owners.ts';
import { type Images, imageUnknown } from './images.ts';
import { LayerScan } from './layer-scan.ts';
import { pythonJson } from './python-json.ts';
import { isView } from './view-mark.ts';

/** Sums that a client sent with PUT checksum. Docker 0.10 and newer sends both, older ones only the TarSum. */
export type ClaimedChecksums = {
  /** `X-Docker-Checksum-Payload` */
  payload?: string;
  /** `X-Docker-Checksum` */
  plain?: string;
};

/** Who pushes, where it matters: they may read the image before any tag names it. */
type PushOptions = { pusher?: string };

/** How often two pushes of one image may get in each other's way before one of them is asked to come again. */
const MAX_TRIES = 20;

/** A sum keeps something of each file of the layer in memory. */
const TAR_SUMS = { atOnce: 2, maxWaiting: 64 };

type CheckParent = (parent: ImageId) => Promise<void>;

export class ImagePushes {
  readonly #storage: StorageDriver;
  readonly #images: Images;
  readonly #layers: ImageLayers;
  readonly #owners: ImageOwners;
  readonly #unpackLimits: UnpackLimits;
  readonly #tarSums = new Slots(TAR_SUMS);
  readonly #locks = new KeyLocks();

  constructor(
    storage: StorageDriver,
    dependencies: { images: Images; layers: ImageLayers; owners: ImageOwners; unpackLimits: UnpackLimits },
  ) {
    this.#storage = storage;
    this.#images = dependencies.images;
    this.#layers = dependencies.layers;
    this.#owners = dependencies.owners;
    this.#unpackLimits = dependencies.unpackLimits;
  }

  /**
   * Takes the JSON of an image, which begins its push: all checks, then the mark, then everything else.
   * @param checkParent throws if the image may not build on a parent that is there
   * @param claim the checksum that the layer will have, from the few clients that send it so early
   * @throws RegistryError IMAGE_INVALID if there is no such parent; IMAGE_EXISTS
   */
  async putJson(json: ParsedImageJson, checkParent: CheckParent, claim?: string): Promise<void> {
    await this.#locks.run(json.id, () => this.#putJson(json, checkParent, claim));
  }

  async #putJson({ id, parent, bytes }: ParsedImageJson, checkParent: CheckParent, claim?: string): Promise<void> {
    const [stored, storedAncestry, isComplete, ancestry] = await Promise.all([
      this.#storage.head(layout.imageJson(id)),
      this.#storage.head(layout.imageAncestry(id)),
      this.#images.isComplete(id),
      this.#ancestryOf(id, parent),
    ]);
    const [isTaken] = await Promise.all([isView(this.#storage, id), parent && checkParent(parent)]);
    // The id of a view belongs to the manifest of which it is the digest.
    if (isTaken || (stored && isComplete)) throw imageExists();
    if (claim !== undefined && claim.split(':').length !== 2)
      throw new RegistryError('IMAGE_CHECKSUM_INVALID', 'Invalid checksum format');
    await this.#mark(id);
    await Promise.all([
      this.#put(id, layout.imageJson(id), bytes, stored),
      this.#put(id, layout.imageAncestry(id), encodeText(pythonJson(ancestry)), storedAncestry),
    ]);
    await Promise.all([
      // What is left of a push that failed; now that no view has the id.
      this.#storage.delete(layout.imageFiles(id)),
      this.#storage.delete(layout.imageDiff(id)),
      claim === undefined
        ? this.#storage.delete(layout.imageChecksum(id))
        : this.#storage.put(layout.imageChecksum(id), encodeText(claim), AS_TEXT),
    ]);
    await this.#mark(id);
    await this.#yieldToView(id);
  }

  /** @param before what was there when the id was not yet that of a view */
  async #put(id: ImageId, key: Key, bytes: Uint8Array, before: ObjectInfo | undefined): Promise<void> {
    await this.#replace(id, key, before, (condition) => this.#storage.put(key, bytes, { ...AS_JSON, ...condition }));
  }

  /** Writes unless a view has written there. Another push may: what is left of the two is compared in the end. */
  async #replace(
    id: ImageId,
    key: Key,
    before: ObjectInfo | undefined,
    put: (condition: Condition) => Promise<ETag | undefined>,
  ): Promise<void> {
    let seen = before;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      if (await put(unchanged(seen))) return;
      seen = await this.#storage.head(key);
      await this.#yieldToView(id);
    }
    throw new StorageUnavailableError(`too many pushes write ${key} at once`);
  }

  /** A view that was made in the meantime has the better right to the id. The mark of this push must not hide it. */
  async #yieldToView(id: ImageId): Promise<void> {
    if (!(await isView(this.#storage, id))) return;
    await this.#storage.delete(layout.imageInProgress(id));
    throw imageExists();
  }

  async #mark(id: ImageId): Promise<void> {
    await this.#storage.put(layout.imageInProgress(id), encodeText('true'), AS_TEXT);
  }

  async #ancestryOf(id: ImageId, parent: ImageId | undefined): Promise<ImageId[]> {
    if (!parent) return [id];
    const ancestry = await this.#images.findAncestry(parent);
    if (!ancestry || ancestry.includes(id)) throw noSuchParent();
    return [id, ...ancestry];
  }

  /**
   * Takes the layer of an image whose push is under way, in one pass. It is readable once a checksum agrees: one that came
   * with the JSON, which is checked here, or else that of `confirmChecksum`.
   * @throws RegistryError IMAGE_UNKNOWN, IMAGE_EXISTS, IMAGE_CHECKSUM_INVALID
   */
  async putLayer(
    id: ImageId,
    body: AsyncIterable<Uint8Array>,
    { pusher, signal }: PushOptions & { signal?: AbortSignal } = {},
  ): Promise<void> {
    const [json, before, descriptorBefore, isComplete] = await Promise.all([
      this.#images.findJson(id),
      this.#storage.head(layout.imageLayer(id)),
      this.#storage.head(layout.imageLayerDescriptor(id)),
      this.#images.isComplete(id),
    ]);
    if (!json) throw imageUnknown();
    if (isComplete) throw imageExists();

    const scan = new LayerScan(this.#unpackLimits);
    const payload = createHash('sha256').update(json).update('\n');
    const lock = new LateLock(this.#locks, id);
    try {
      const key = layout.imageLayer(id);
      const etag = await this.#storage.putStream(key, this.#thenLocked(lock, id, json, scan.through(body), payload), {
        // Also where the lock does not reach: of two layers the one that ends later must not replace the other.
        ...unchanged(before),
        ...(signal && { signal }),
      });
      if (!etag) throw imageExists();
      const claim = await readClaim(this.#storage, id);
      const sums = [`sha256:${payload.digest('hex')}`];
      await this.#replace(id, layout.imageLayerDescriptor(id), descriptorBefore, (condition) =>
        this.#layers.keep(id, { ...scan.facts, key, etag }, condition),
      );
      await writeChecksums(this.#storage, id, sums);
      await this.#mark(id);
      await this.#yieldToView(id);
      if (claim !== undefined) {
        const refusal = 'Checksum mismatch, ignoring the layer';
        await this.#confirm(id, json, sums, { plain: claim }, { refusal, ...(pusher !== undefined && { pusher }) });
      }
    } finally {
      lock.release();
    }
  }

  /**
   * Hashes a layer as it passes. At its end it waits for the image's lock, and fails if the push is no longer the one that
   * it began with; so the layer becomes visible under the lock.
   */
  async *#thenLocked(lock: LateLock, id: ImageId, json: Uint8Array, body: AsyncIterable<Uint8Array>, payload: Hash) {
    for await (const chunk of body) {
      payload.update(chunk);
      yield chunk;
    }
    await lock.take();
    const [jsonNow, isComplete, isTaken] = await Promise.all([
      this.#images.findJson(id),
      this.#images.isComplete(id),
      isView(this.#storage, id),
    ]);
    if (isComplete || isTaken) throw imageExists();
    if (!jsonNow || !Buffer.from(json).equals(jsonNow)) throw checksumMismatch();
  }

  /**
   * Ends the push of an image: if one of the client's sums is that of what arrived, the mark goes.
   * @throws RegistryError IMAGE_UNKNOWN, IMAGE_EXISTS, IMAGE_CHECKSUM_INVALID
   */
  async confirmChecksum(id: ImageId, claimed: ClaimedChecksums, options: PushOptions = {}): Promise<void> {
    await this.#locks.run(id, async () => {
      const [json, isComplete, sums, isTaken] = await Promise.all([
        this.#images.findJson(id),
        this.#images.isComplete(id),
        readChecksums(this.#storage, id),
        isView(this.#storage, id),
      ]);
      if (!json) throw imageUnknown();
      if (isComplete || isTaken) throw new RegistryError('IMAGE_EXISTS', 'Cannot set this image checksum');
      await this.#confirm(id, json, sums, claimed, options);
    });
  }

  async #confirm(
    id: ImageId,
    json: Uint8Array,
    sums: string[],
    claimed: ClaimedChecksums,
    { pusher, refusal }: PushOptions & { refusal?: string },
  ): Promise<void> {
    const layer = await this.#layers.describe(id);
    const isPlainMatch = [claimed.payload, claimed.plain].some((sum) => sum !== undefined && sums.includes(sum));
    // A TarSum costs reading the layer once more: only for clients that know no other sum.
    const isMatch = isPlainMatch || (layer !== undefined && (await this.#isTarSum(id, json, claimed)));
    if (!layer || !isMatch) throw checksumMismatch(refusal);
    if (!isPlainMatch && claimed.plain) await writeChecksums(this.#storage, id, [...sums, claimed.plain]);
    // Who knows the sum of what has come may read it; before anybody sees the image, so that no crash leaves it nobody's.
    if (pusher !== undefined) await this.#owners.addPusher(pusher, id);
    await this.#storage.delete(layout.imageInProgress(id));

    const [jsonNow, layerNow] = await Promise.all([
      this.#images.findJson(id),
      this.#storage.head(layout.imageLayer(id)),
    ]);
    if (jsonNow && Buffer.from(json).equals(jsonNow) && layerNow?.etag === layer.etag) return;
    await this.#mark(id);
    if (pusher !== undefined) await this.#owners.removePusher(pusher, id);
    await this.#yieldToView(id);
    throw checksumMismatch(refusal);
  }

  async #isTarSum(id: ImageId, json: Uint8Array, { payload, plain }: ClaimedChecksums): Promise<boolean> {
    const version = payload === undefined && plain !== undefined ? tarSumVersionOf(plain) : undefined;
    const object = version !== undefined && (await this.#storage.get(layout.imageLayer(id)));
    if (version === undefined || !object) return false;
    const { tarSum } = await import('../tar/tar-sum.ts'); // only docker before 1.3 wants it
    try {
      return (await this.#tarSums.run(() => tarSum(json, object.body, version, this.#unpackLimits))) === plain;
    } catch (error) {
      if (error instanceof CorruptLayerError) return false;
      throw error;
    }
  }
}

function checksumMismatch(message = 'Checksum mismatch'): RegistryError {
  return new RegistryError('IMAGE_CHECKSUM_INVALID', message);
}

function imageExists(): RegistryError {
  return new RegistryError('IMAGE_EXISTS', 'Image already exists');
}
