// Compares the sums that a client claims or has sent with what is stored of the image.
import { CorruptLayerError } from '../../compression/corrupt-layer-error.ts';
import type { UnpackLimits } from '../../compression/unpack-limits.ts';
import { Slots } from '../../concurrency/slots.ts';
import { layout } from '../../model/layout.ts';
import type { ImageId } from '../../model/names.ts';
import type { ETag, ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import { readChecksums, tarSumVersionOf } from '../v1-images/checksums.ts';
import type { Images } from '../v1-images/images.ts';
import type { ImageLayers } from '../v1-images/layers.ts';
import { payloadSum } from './payload-sums.ts';
import { hexOfJson, type SentLayer } from './pending-pushes.ts';

/** Sums that a client sent with PUT checksum. Docker 0.10 and newer sends both, older ones only the TarSum. */
export type ClaimedChecksums = {
  /** `X-Docker-Checksum-Payload` */
  payload?: string;
  /** `X-Docker-Checksum` */
  plain?: string;
};

/** A stored layer, and the checksums `sha256:<hex>` of the image's JSON with it. Empty if they are not known. */
export type SummedLayer = { etag: ETag; sums: string[] };

/** A TarSum keeps a hash of each file of the layer in memory. */
const TAR_SUMS = { atOnce: 2, maxWaiting: 64 };

export class StoredSums {
  readonly #storage: StorageDriver;
  readonly #images: Images;
  readonly #layers: ImageLayers;
  readonly #unpackLimits: UnpackLimits;
  readonly #tarSums = new Slots(TAR_SUMS);

  constructor(
    storage: StorageDriver,
    dependencies: { images: Images; layers: ImageLayers; unpackLimits: UnpackLimits },
  ) {
    this.#storage = storage;
    this.#images = dependencies.images;
    this.#layers = dependencies.layers;
    this.#unpackLimits = dependencies.unpackLimits;
  }

  /**
   * The payload sum of a JSON with the layer that has this ETag. It is not read from `_checksum`, which another process may
   * have written for another layer. The layer is read only if its sum was not stored with it, and the client claims such a sum.
   */
  async find(id: ImageId, json: Uint8Array, layer: ObjectInfo, claimed: ClaimedChecksums): Promise<SummedLayer> {
    const { key, etag } = layer;
    const known = (await this.#layers.payloadSums(id, etag))?.[hexOfJson(json)];
    if (known !== undefined) return { etag, sums: [`sha256:${known}`] };
    const claimsPayload = [claimed.payload, claimed.plain].some((sum) => sum?.startsWith('sha256:'));
    const object = claimsPayload ? await this.#storage.get(key) : undefined;
    if (!object) return { etag, sums: [] };
    return { etag: object.info.etag, sums: [`sha256:${await payloadSum(json, object.body)}`] };
  }

  /** Whether JSON and layer of a complete image are those that were sent. Reads the layer only if no sum of it is stored. */
  async isStored(id: ImageId, sent: SentLayer, sizeBytes: number): Promise<boolean> {
    const [json, layer, checksums] = await Promise.all([
      this.#images.findJson(id),
      this.#storage.head(layout.imageLayer(id)),
      readChecksums(this.#storage, id),
    ]);
    if (!json || hexOfJson(json) !== sent.json || layer?.sizeBytes !== sizeBytes) return false;
    const payloadSums = checksums.filter((sum) => sum.startsWith('sha256:'));
    if (payloadSums.length > 0) return payloadSums.includes(`sha256:${sent.sum}`);
    const object = await this.#storage.get(layer.key);
    return object !== undefined && (await payloadSum(json, object.body)) === sent.sum;
  }

  /** Whether the client claims a TarSum alone, and that of the stored layer with this JSON. */
  async isTarSum(id: ImageId, json: Uint8Array, { payload, plain }: ClaimedChecksums): Promise<boolean> {
    const version = payload === undefined && plain !== undefined ? tarSumVersionOf(plain) : undefined;
    const object = version !== undefined && (await this.#storage.get(layout.imageLayer(id)));
    if (version === undefined || !object) return false;
    const { tarSum } = await import('../../tar/tar-sum.ts'); // only for Docker before 0.10
    try {
      return (await this.#tarSums.run(() => tarSum(json, object.body, version, this.#unpackLimits))) === plain;
    } catch (error) {
      if (error instanceof CorruptLayerError) return false;
      throw error;
    }
  }
}
