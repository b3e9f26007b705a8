import { RegistryError } from '../../model/errors.ts';
import { layout } from '../../model/layout.ts';
import type { ImageId } from '../../model/names.ts';
import { AS_JSON, type ETag, type ObjectInfo, type ReadObject, type StorageDriver } from '../../storage/driver.ts';
import type { Bytes } from '../../streams/bytes.ts';
import type { Look } from '../condemned/look.ts';
import { writeChecksums } from '../v1-images/checksums.ts';
import type { ImageGrants } from '../v1-images/grants.ts';
import { parseImageJson } from '../v1-images/image-json.ts';
import type { ImageLooks } from '../v1-images/image-looks.ts';
import { type Images, imageUnknown } from '../v1-images/images.ts';
import type { ImageLayers } from '../v1-images/layers.ts';
import type { ImageWriter } from './image-writer.ts';
import { hexOfJson, type PendingPush, type PendingPushes, payloadSumIn, type SentLayer } from './pending-pushes.ts';
import type { PushOptions } from './push-options.ts';
import type { ClaimedChecksums, StoredSums, SummedLayer } from './stored-sums.ts';

/** `sent`: these bytes came after those of another push of the image, which is not confirmed yet. */
export type Confirmation = 'confirmed' | 'sent';

/** What is to be confirmed: the image as this JSON and this layer. */
type Candidate = {
  json: Uint8Array;
  layer: SummedLayer;
  claimed: ClaimedChecksums;
  pusherId: string;
  /** At the image, before the candidate was read. */
  look: Look;
  /** The message where the checksum came with the JSON: then a mismatch refuses the layer. */
  refusal?: string;
};

/** A pending JSON with the stored layer to which it belongs. */
type PendingImage = SentLayer & { bytes: Bytes; etag: ETag };

/** Step 3 of a push: PUT checksum. */
export class ChecksumStep {
  readonly #storage: StorageDriver;
  readonly #images: Images;
  readonly #looks: ImageLooks;
  readonly #layers: ImageLayers;
  readonly #grants: ImageGrants;
  readonly #pending: PendingPushes;
  readonly #storedSums: StoredSums;
  readonly #writer: ImageWriter;

  constructor(
    storage: StorageDriver,
    dependencies: {
      images: Images;
      looks: ImageLooks;
      layers: ImageLayers;
      grants: ImageGrants;
      pending: PendingPushes;
      storedSums: StoredSums;
      writer: ImageWriter;
    },
  ) {
    this.#storage = storage;
    this.#images = dependencies.images;
    this.#looks = dependencies.looks;
    this.#layers = dependencies.layers;
    this.#grants = dependencies.grants;
    this.#pending = dependencies.pending;
    this.#storedSums = dependencies.storedSums;
    this.#writer = dependencies.writer;
  }

  /** @throws RegistryError as `ImagePushes.confirmChecksum` */
  async confirm(id: ImageId, claimed: ClaimedChecksums, options: PushOptions): Promise<Confirmation> {
    const { pusherId } = options;
    // First, so that what is read afterwards stays while the look is valid.
    const { isProjection, look } = await this.#looks.at(id);
    const [json, layer, isComplete] = await Promise.all([
      this.#storage.read(layout.imageJson(id)),
      this.#storage.head(layout.imageLayer(id)),
      this.#images.isComplete(id),
    ]);
    if (!json) throw imageUnknown();
    if (isProjection) throw cannotSetChecksum();
    const summed = isComplete || !layer ? undefined : await this.#storedSums.find(id, json.bytes, layer, claimed);
    const completeStored = (stored: SummedLayer) =>
      this.complete(id, { json: json.bytes, layer: stored, claimed, pusherId, look });
    if (summed && isAmong(claimed, summed.sums)) return await completeStored(summed);
    const pending = await this.#pending.find(id, pusherId);
    const sent = pending.sent.find(({ sum }) => isAmong(claimed, [`sha256:${sum}`]));
    if (isComplete) {
      if (!sent) throw cannotSetChecksum();
      await this.#confirmSent(id, sent, options, look);
      return 'confirmed';
    }
    const image = layer && (await this.#findPendingImage(id, layer, { claimed, pending, sent, pusherId }));
    if (image) return await this.#promote(id, json, image, { pusherId, look });
    if (sent) return 'sent';
    if (!summed) throw checksumMismatch();
    return await completeStored(summed);
  }

  /** The image was completed by another push. If this client has sent the same bytes, it gets the right to read it. */
  async #confirmSent(id: ImageId, sent: SentLayer, { pusherId, mayRead }: PushOptions, look: Look): Promise<void> {
    const facts = await this.#pending.readSent(id, pusherId, sent);
    const isSame = facts !== undefined && (await this.#storedSums.isStored(id, sent, facts.sizeBytes));
    if (isSame) await this.#grants.addPusherRecord(id, pusherId, look);
    if (!isSame && !(await mayRead())) throw cannotSetChecksum();
  }

  /** The pending JSON to which the claimed checksum belongs, if the stored layer is the one that was sent with it. */
  async #findPendingImage(
    id: ImageId,
    layer: ObjectInfo,
    {
      claimed,
      pending,
      sent,
      pusherId,
    }: { claimed: ClaimedChecksums; pending: PendingPush; sent: SentLayer | undefined; pusherId: string },
  ): Promise<PendingImage | undefined> {
    for (const one of sent ? [sent] : pending.sent) {
      const [facts, bytes] = await Promise.all([
        this.#pending.readSent(id, pusherId, one),
        this.#pending.readJson(id, pusherId, one.json),
      ]);
      if (!bytes || facts?.etag !== layer.etag) continue;
      if (sent || (await this.#storedSums.isTarSum(id, bytes, claimed))) return { ...one, bytes, etag: layer.etag };
    }
    return undefined;
  }

  /** Makes a pending JSON that of the image. The JSON that was there becomes pending: its push may still end well. */
  async #promote(
    id: ImageId,
    before: ReadObject,
    { sum, bytes, etag: layerETag }: PendingImage,
    { pusherId, look }: { pusherId: string; look: Look },
  ): Promise<Confirmation> {
    const { parent } = parseImageJson(id, bytes);
    const [ancestry, storedAncestry] = await Promise.all([
      this.#writer.ancestryOf(id, parent),
      this.#storage.head(layout.imageAncestry(id)),
    ]);
    await this.#pending.keep(id, pusherId, before.bytes);
    await this.#pending.recordReplaced(id, pusherId, hexOfJson(before.bytes));
    const key = layout.imageJson(id);
    const etag = await this.#storage.put(key, bytes, { ...AS_JSON, ifMatch: before.info.etag, look });
    if (!etag) return 'sent';
    if (await this.#images.isComplete(id)) {
      // Another process has completed the image with the JSON that was there before.
      await this.#storage.put(key, before.bytes, { ...AS_JSON, ifMatch: etag, look });
      return 'sent';
    }
    await this.#writer.putAncestry(id, ancestry, { before: storedAncestry, look });
    const sums = [`sha256:${sum}`];
    await writeChecksums(this.#storage, id, sums, look);
    await this.#images.setInProgress(id, look);
    await this.#writer.yieldToProjection(id);
    const layer = { etag: layerETag, sums };
    return await this.complete(id, { json: bytes, layer, claimed: { payload: `sha256:${sum}` }, pusherId, look });
  }

  /**
   * Completes the image, if the claimed checksum is that of the candidate, and the candidate is still what is stored.
   * @throws RegistryError IMAGE_CHECKSUM_INVALID
   */
  async complete(id: ImageId, candidate: Candidate): Promise<Confirmation> {
    const { json, layer, claimed, pusherId, refusal, look } = candidate;
    const descriptor = await this.#layers.describe(id);
    const isPayloadSum = isAmong(claimed, layer.sums);
    // A TarSum costs another read of the layer: it is computed only for clients that know no other sum.
    const isMatch = isPayloadSum || (descriptor && (await this.#storedSums.isTarSum(id, json, claimed)));
    if (!descriptor || !isMatch) throw checksumMismatch(refusal);
    if (!isPayloadSum && claimed.plain) await writeChecksums(this.#storage, id, [...layer.sums, claimed.plain], look);
    // Before the image becomes visible: after a crash in between, the client that pushed it can still read and tag it.
    await this.#grants.addPusherRecord(id, pusherId, look);
    look.check();
    await this.#storage.delete(layout.imageInProgress(id));

    const [jsonNow, layerNow] = await Promise.all([
      this.#images.findJson(id),
      this.#storage.head(layout.imageLayer(id)),
    ]);
    const isSameLayer = layerNow !== undefined && layerNow.etag === layer.etag;
    if (jsonNow && Buffer.from(json).equals(jsonNow) && isSameLayer) return 'confirmed';
    // Another process may have completed the image with the JSON that is there now: then it stays visible.
    const isWhole = jsonNow && isSameLayer && (await this.#pending.hasSent(id, hexOfJson(jsonNow), layerNow.etag));
    if (!isWhole) await this.#images.setInProgress(id);
    await this.#grants.removePusherRecord(id, pusherId);
    await this.#writer.yieldToProjection(id);
    const sum = payloadSumIn(layer.sums[0]);
    if (refusal !== undefined || !layerNow || sum === undefined) throw checksumMismatch(refusal);
    const sent = { json: hexOfJson(json), sum };
    await this.#pending.recordSent(id, pusherId, sent, { sizeBytes: layerNow.sizeBytes });
    return 'sent';
  }
}

/** Whether one of the client's checksums is among these. */
function isAmong({ payload, plain }: ClaimedChecksums, sums: readonly string[]): boolean {
  return [payload, plain].some((sum) => sum !== undefined && sums.includes(sum));
}

function cannotSetChecksum(): RegistryError {
  return new RegistryError('IMAGE_EXISTS', 'Cannot set this image checksum');
}

export function checksumMismatch(message = 'Checksum mismatch'): RegistryError {
  return new RegistryError('IMAGE_CHECKSUM_INVALID', message);
}
