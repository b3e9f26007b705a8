import type { UnpackLimits } from '../../compression/unpack-limits.ts';
import type { LateLock } from '../../concurrency/key-locks.ts';
import { layout } from '../../model/layout.ts';
import type { ImageId } from '../../model/names.ts';
import { type ObjectInfo, type StorageDriver, unchanged } from '../../storage/driver.ts';
import type { Look } from '../condemned/look.ts';
import { readClaim, writeChecksums } from '../v1-images/checksums.ts';
import type { ImageLooks } from '../v1-images/image-looks.ts';
import { type Images, imageUnknown } from '../v1-images/images.ts';
import { LayerScan } from '../v1-images/layer-scan.ts';
import type { ImageLayers } from '../v1-images/layers.ts';
import type { ChecksumStep } from './confirm-checksum.ts';
import { type ImageWriter, imageExists } from './image-writer.ts';
import { PayloadSums } from './payload-sums.ts';
import { hexOfJson, type PendingPushes } from './pending-pushes.ts';
import type { PushOptions } from './push-options.ts';
import type { StoredSums, SummedLayer } from './stored-sums.ts';

/** One PUT of a layer. */
type LayerPut = {
  id: ImageId;
  pusherId: string;
  /** The SHA-256 of the JSON that was at `images/<id>/json` when the request began. */
  jsonHex: string;
  /** Of the layer with that JSON, and with each that this pusher has pending. */
  sums: PayloadSums;
  /** The lock of the image, taken when all of the layer has come. */
  lock: LateLock;
  /** What was stored when the request began. */
  layerBefore: ObjectInfo | undefined;
  descriptorBefore: ObjectInfo | undefined;
  signal?: AbortSignal;
  /** At the image, when all of the layer has come. */
  look?: Look;
};

type StoredLayer = SummedLayer & {
  sizeBytes: number;
  look: Look;
  /** The checksum that came with the JSON. */
  claim?: string;
};

/** While the layer came, another push was confirmed or has replaced the JSON. */
class OvertakenError extends Error {
  override readonly name = 'OvertakenError';
}

/** Step 2 of a push: PUT layer. */
export class LayerStep {
  readonly #storage: StorageDriver;
  readonly #images: Images;
  readonly #looks: ImageLooks;
  readonly #layers: ImageLayers;
  readonly #pending: PendingPushes;
  readonly #storedSums: StoredSums;
  readonly #writer: ImageWriter;
  readonly #checksumStep: ChecksumStep;
  readonly #unpackLimits: UnpackLimits;

  constructor(
    storage: StorageDriver,
    dependencies: {
      images: Images;
      looks: ImageLooks;
      layers: ImageLayers;
      pending: PendingPushes;
      storedSums: StoredSums;
      writer: ImageWriter;
      checksumStep: ChecksumStep;
      unpackLimits: UnpackLimits;
    },
  ) {
    this.#storage = storage;
    this.#images = dependencies.images;
    this.#looks = dependencies.looks;
    this.#layers = dependencies.layers;
    this.#pending = dependencies.pending;
    this.#storedSums = dependencies.storedSums;
    this.#writer = dependencies.writer;
    this.#checksumStep = dependencies.checksumStep;
    this.#unpackLimits = dependencies.unpackLimits;
  }

  /** @throws RegistryError as `ImagePushes.putLayer` */
  async put(
    id: ImageId,
    body: AsyncIterable<Uint8Array>,
    options: PushOptions & { lock: LateLock; signal?: AbortSignal },
  ): Promise<void> {
    const { pusherId, lock, signal } = options;
    const [{ sums, jsonHex, isComplete, hasPending }, layerBefore, descriptorBefore] = await Promise.all([
      this.#startSums(id, pusherId),
      this.#storage.head(layout.imageLayer(id)),
      this.#storage.head(layout.imageLayerDescriptor(id)),
    ]);
    const put: LayerPut = {
      id,
      pusherId,
      jsonHex,
      sums,
      lock,
      layerBefore,
      descriptorBefore,
      ...(signal && { signal }),
    };
    const layer = isComplete ? await measure(put, body) : await this.#store(put, body);
    if (!layer) return await this.#recordSent(put, options);
    for (const sent of hasPending ? sums.digest() : []) await this.#pending.recordSent(id, pusherId, sent, layer);
    if (layer.claim !== undefined) await this.#confirmClaim(id, layer, layer.claim, options);
  }

  /**
   * Starts a payload sum for each JSON that the layer may belong to: those that this pusher has pending, and the stored one
   * unless the image is complete. The JSONs are not kept in memory while the layer comes.
   * @throws RegistryError IMAGE_UNKNOWN; IMAGE_EXISTS if the image is complete and this pusher has nothing pending
   */
  async #startSums(
    id: ImageId,
    pusherId: string,
  ): Promise<{ sums: PayloadSums; jsonHex: string; isComplete: boolean; hasPending: boolean }> {
    const [json, isComplete, pending] = await Promise.all([
      this.#images.findJson(id),
      this.#images.isComplete(id),
      this.#pending.find(id, pusherId),
    ]);
    if (!json) throw imageUnknown();
    const sums = new PayloadSums();
    for (const hex of pending.jsons) {
      const pendingJson = await this.#pending.readJson(id, pusherId, hex);
      if (pendingJson) sums.add(pendingJson);
    }
    const hasPending = sums.count > 0;
    if (isComplete && !hasPending) throw imageExists();
    if (!isComplete) sums.add(json);
    return { sums, jsonHex: hexOfJson(json), isComplete, hasPending };
  }

  /** `undefined` if another layer came first; then this one was measured, but not stored. */
  async #store(put: LayerPut, body: AsyncIterable<Uint8Array>): Promise<StoredLayer | undefined> {
    const { id, jsonHex, sums, layerBefore, descriptorBefore, signal } = put;
    const key = layout.imageLayer(id);
    const scan = new LayerScan(this.#unpackLimits);
    const source = this.#hashThenLock(put, scan.through(body));
    // The condition guards against other processes, which the lock does not reach: the layer that ends first stays.
    const options = { ...unchanged(layerBefore), ...(signal && { signal }) };
    const etag = await this.#storage.putStream(key, source, options).catch((error: unknown) => {
      if (error instanceof OvertakenError) return undefined;
      throw error;
    });
    const { look } = put;
    if (!etag || !look) return undefined;
    const claim = await readClaim(this.#storage, id);
    const digests = sums.digest();
    const checksums = digests.flatMap(({ json, sum }) => (json === jsonHex ? [`sha256:${sum}`] : []));
    // The sums are in one object with the ETag of the layer, so they are never taken for those of another layer.
    const descriptor = {
      ...scan.facts,
      key,
      etag,
      sums: Object.fromEntries(digests.map(({ json, sum }) => [json, sum])),
    };
    await this.#writer.replace(id, layout.imageLayerDescriptor(id), descriptorBefore, (condition) =>
      this.#layers.putDescriptor(id, descriptor, { ...condition, look }),
    );
    // Another process that has replaced the layer in between has described it as well.
    if ((await this.#storage.head(key))?.etag !== etag) return undefined;
    await writeChecksums(this.#storage, id, checksums, look);
    await this.#images.setInProgress(id, look);
    await this.#writer.yieldToProjection(id);
    return { etag, sizeBytes: sums.sizeBytes, look, sums: checksums, ...(claim !== undefined && { claim }) };
  }

  /**
   * Hashes the layer as it passes. At its end it takes the lock of the image, so that the layer becomes visible under the lock.
   * @throws OvertakenError if the image is no longer in the state in which this request began
   */
  async *#hashThenLock(put: LayerPut, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const { id, jsonHex, sums, lock, layerBefore } = put;
    for await (const chunk of body) {
      sums.update(chunk);
      yield chunk;
    }
    await lock.acquire();
    const [{ isProjection, look }, jsonNow, isComplete] = await Promise.all([
      this.#looks.at(id),
      this.#images.findJson(id),
      this.#images.isComplete(id),
    ]);
    put.look = look;
    if (isProjection) throw imageExists();
    if (isComplete || !jsonNow || hexOfJson(jsonNow) !== jsonHex) throw new OvertakenError();
    if (layerBefore) await this.#removeFactsOfLayer(put);
    look.check(); // the layer becomes visible next
  }

  /** Removes what is known of a layer that is about to be replaced. The push that sent it may still end well. */
  async #removeFactsOfLayer({ id, jsonHex, pusherId }: LayerPut): Promise<void> {
    const hasClaim = (await readClaim(this.#storage, id)) !== undefined;
    if (!hasClaim) await this.#pending.recordReplaced(id, pusherId, jsonHex);
    // A claim stays: it is for the layer that comes now. Any other checksum is that of the layer that goes.
    const keys = [layout.imageFiles(id), layout.imageDiff(id), ...(hasClaim ? [] : [layout.imageChecksum(id)])];
    await Promise.all(keys.map((key) => this.#storage.delete(key)));
  }

  /**
   * Records a layer that was sent but not stored, for the checksum that follows.
   * @throws RegistryError IMAGE_EXISTS if the image is complete, the caller has no right to it, and the bytes are not the same
   */
  async #recordSent({ id, pusherId, sums }: LayerPut, { mayRead }: PushOptions): Promise<void> {
    const { sizeBytes } = sums;
    const sent = sums.digest();
    if ((await this.#images.isComplete(id)) && !(await mayRead())) {
      const areStored = await Promise.all(sent.map((one) => this.#storedSums.isStored(id, one, sizeBytes)));
      if (!areStored.includes(true)) throw imageExists();
    }
    await Promise.all(sent.map((one) => this.#pending.recordSent(id, pusherId, one, { sizeBytes })));
  }

  /** @throws RegistryError IMAGE_CHECKSUM_INVALID if the layer does not match the checksum that came with the JSON */
  async #confirmClaim(id: ImageId, layer: StoredLayer, claim: string, { pusherId }: PushOptions): Promise<void> {
    const json = await this.#images.findJson(id);
    if (!json) throw imageUnknown();
    const refusal = 'Checksum mismatch, ignoring the layer';
    const { look } = layer;
    await this.#checksumStep.complete(id, { json, layer, claimed: { plain: claim }, pusherId, refusal, look });
  }
}

/** Hashes a layer without storing it. */
async function measure({ sums, signal }: LayerPut, body: AsyncIterable<Uint8Array>): Promise<undefined> {
  for await (const chunk of body) sums.update(chunk);
  signal?.throwIfAborted();
}
