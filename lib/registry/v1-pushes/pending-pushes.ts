// Pending pushes: those whose JSON is not the one at `images/<id>/json`, because another client began to push the image
// before, or has completed it. Engines of different versions write different JSON for one image, and the protocol does not
// tell two pushes apart. So the JSON of each is kept, and the payload sum of every layer that comes is computed with each.
//
//  oci/images/<id>/pushes/<pusher id>/<SHA-256 of the JSON>          the JSON
//  oci/images/<id>/pushes/<pusher id>/<SHA-256 of the JSON>.<sum>    a layer was sent that has this payload sum with that JSON
//
// Each pusher has a folder of its own, so the limits below apply to each pusher separately.
import { createHash } from 'node:crypto';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { type Key, lastPartOf, layout } from '../../model/layout.ts';
import type { ImageId } from '../../model/names.ts';
import { AS_JSON, type ETag, type ObjectInfo, type StorageDriver } from '../../storage/driver.ts';
import { type Bytes, encodeText } from '../../streams/bytes.ts';
import { readChecksums } from '../v1-images/checksums.ts';

/** How long a push may take from its JSON to its checksum. Older objects are ignored and removed. */
export const LIFETIME_MS = 24 * 60 * 60 * 1000;

/** How many JSONs of one pusher for one image are kept. A layer is hashed once for each. */
const MAX_JSONS = 8;

/** How many sent layers of one pusher for one image are kept. */
const MAX_SENT = 64;

const PAYLOAD_SUM = /^sha256:([a-f0-9]{64})$/;

/** A layer that a client has sent: the SHA-256 of a JSON in hex, and the payload sum of the layer with it. */
export type SentLayer = { json: string; sum: string };

/** What one pusher has pending; `jsons` by their SHA-256 in hex. */
export type PendingPush = { jsons: string[]; sent: SentLayer[] };

export type SentFacts = {
  sizeBytes: number;
  /** The ETag of `images/<id>/layer` if these bytes were stored there; absent if they were only hashed. */
  etag?: ETag;
};

export class PendingPushes {
  readonly #storage: StorageDriver;

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /**
   * What this pusher has pending, newest first. Objects past the limits above are removed. Those of a push that has ended stay
   * as long as others: another push with the same JSON may be under way. One storage request, and one for each removal.
   */
  async find(id: ImageId, pusherId: string): Promise<PendingPush> {
    const found = await Array.fromAsync(this.#storage.list(layout.pendingPushes(id, pusherId)));
    const current = found.filter((info) => !isOutdated(info)).toSorted(newestFirst);
    const jsons = current.filter(({ key }) => isJson(key)).slice(0, MAX_JSONS);
    const sent = current.filter(({ key }) => !isJson(key)).slice(0, MAX_SENT);
    const kept = new Set([...jsons, ...sent]);
    const surplus = found.filter((info) => !kept.has(info));
    await mapConcurrently(surplus, ({ key }) => this.#storage.delete(key));
    return { jsons: jsons.map(({ key }) => lastPartOf(key)), sent: sent.map(({ key }) => sentLayerOf(key)) };
  }

  /** Keeps the JSON of a push. Two storage requests. */
  async keep(id: ImageId, pusherId: string, json: Uint8Array): Promise<void> {
    await this.#storage.put(layout.pendingJson(id, pusherId, hexOfJson(json)), json, AS_JSON);
    await this.find(id, pusherId);
  }

  async readJson(id: ImageId, pusherId: string, json: string): Promise<Bytes | undefined> {
    return (await this.#storage.read(layout.pendingJson(id, pusherId, json)))?.bytes;
  }

  /** Records a layer that this pusher has sent. A record without an ETag does not replace one with an ETag. One storage request. */
  async recordSent(id: ImageId, pusherId: string, sent: SentLayer, { sizeBytes, etag }: SentFacts): Promise<void> {
    const bytes = encodeText(JSON.stringify({ size: sizeBytes, etag }));
    const options = { ...AS_JSON, ...(etag === undefined && { ifAbsent: true }) };
    await this.#storage.put(layout.sentLayer(id, pusherId, sent.json, sent.sum), bytes, options);
  }

  /**
   * Records the stored layer with the stored JSON, one of which is about to be replaced, so that its push can still end well.
   * The record has no size, because this pusher may not have sent the layer: it gives no right to the image. One storage request
   * to read `_checksum`, and one for each payload sum in it.
   */
  async recordReplaced(id: ImageId, pusherId: string, json: string): Promise<void> {
    for (const checksum of await readChecksums(this.#storage, id)) {
      const sum = payloadSumIn(checksum);
      if (sum === undefined) continue;
      const options = { ...AS_JSON, ifAbsent: true };
      await this.#storage.put(layout.sentLayer(id, pusherId, json, sum), encodeText('{}'), options);
    }
  }

  /** Whether any pusher has sent, with this JSON, the layer that is stored under this ETag. */
  async hasSent(id: ImageId, json: string, etag: ETag): Promise<boolean> {
    for await (const { key } of this.#storage.list(layout.allPendingPushes(id))) {
      if (!lastPartOf(key).startsWith(`${json}.`)) continue;
      if ((await this.#readFacts(key))?.etag === etag) return true;
    }
    return false;
  }

  async readSent(id: ImageId, pusherId: string, { json, sum }: SentLayer): Promise<SentFacts | undefined> {
    return await this.#readFacts(layout.sentLayer(id, pusherId, json, sum));
  }

  async #readFacts(key: Key): Promise<SentFacts | undefined> {
    const object = await this.#storage.read(key);
    const value = object && parseJson(object.bytes);
    if (!isJsonObject(value) || typeof value.size !== 'number') return undefined;
    return { sizeBytes: value.size, ...(typeof value.etag === 'string' && { etag: value.etag as ETag }) };
  }
}

/** The SHA-256 of a JSON in hex, by which keys name it. */
export function hexOfJson(json: Uint8Array): string {
  return createHash('sha256').update(json).digest('hex');
}

/** The payload sum in a checksum `sha256:<hex>`; `undefined` for any other checksum. */
export function payloadSumIn(checksum = ''): string | undefined {
  return PAYLOAD_SUM.exec(checksum)?.[1];
}

function isOutdated({ lastModified }: ObjectInfo): boolean {
  return Date.now() - lastModified.getTime() > LIFETIME_MS;
}

function newestFirst(one: ObjectInfo, other: ObjectInfo): number {
  return other.lastModified.getTime() - one.lastModified.getTime();
}

function sentLayerOf(key: Key): SentLayer {
  const [json = '', sum = ''] = lastPartOf(key).split('.');
  return { json, sum };
}

function isJson(key: Key): boolean {
  return !lastPartOf(key).includes('.');
}
