// Pushes of an image under way whose JSON is not the one that lies at `images/<id>/json`: another client began to push the
// same image, or it is complete. Engines of different versions write different JSON for one image, and nothing in the
// protocol tells two pushes apart, so the JSON of each is kept, and every layer that comes is summed up with each.
//
//  oci/images/<id>/pushes/<pusher>/<SHA-256 of the JSON>          the JSON
//  oci/images/<id>/pushes/<pusher>/<SHA-256 of the JSON>.<sum>    a layer was sent that has this payload sum with that JSON
//
// Each pusher has its own, so that none can push out those of another.
import { createHash } from 'node:crypto';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { type Key, lastPartOf, layout } from '../../model/layout.ts';
import type { ImageId } from '../../model/names.ts';
import { AS_JSON, type ETag, type ObjectInfo, type StorageDriver } from '../../storage/driver.ts';
import { type Bytes, encodeText } from '../../streams/bytes.ts';

/** How long a push may take, from its JSON to its checksum. What is older counts no more. */
export const LIFETIME_MS = 24 * 60 * 60 * 1000;

/** Of one pusher for one image. A layer is hashed once for each. */
const MAX_JSONS = 8;

/** Of one pusher for one image. */
const MAX_SENT = 64;

/** A layer that a client has sent, with the JSON that its sum goes with. */
export type SentLayer = { json: string; sum: string };

/** By their SHA-256 in hex. */
export type PendingPush = { jsons: string[]; sent: SentLayer[] };

export type SentFacts = {
  sizeBytes: number;
  /** Of `images/<id>/layer`, if these bytes were stored there; else they were only measured. */
  etag?: ETag;
};

export class PendingPushes {
  readonly #storage: StorageDriver;

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /**
   * What this pusher has under way. What has ended stays as long, since another push with the same JSON may be on its way; of
   * too much the oldest goes, and all that is outdated. One storage request.
   */
  async find(id: ImageId, pusher: string): Promise<PendingPush> {
    const found = await Array.fromAsync(this.#storage.list(layout.imagePushes(id, pusher)));
    const current = found.filter((info) => !isOutdated(info)).toSorted(newestFirst);
    const jsons = current.filter(({ key }) => isJson(key)).slice(0, MAX_JSONS);
    const sent = current.filter(({ key }) => !isJson(key)).slice(0, MAX_SENT);
    const kept = new Set([...jsons, ...sent]);
    const surplus = found.filter((info) => !kept.has(info));
    await mapConcurrently(surplus, ({ key }) => this.#storage.delete(key));
    return { jsons: jsons.map(({ key }) => lastPartOf(key)), sent: sent.map(({ key }) => sentLayerOf(key)) };
  }

  /** Keeps the JSON of a push. Two storage requests. */
  async keep(id: ImageId, pusher: string, json: Uint8Array): Promise<void> {
    await this.#storage.put(layout.imagePush(id, pusher, hexOfJson(json)), json, AS_JSON);
    await this.find(id, pusher);
  }

  async readJson(id: ImageId, pusher: string, json: string): Promise<Bytes | undefined> {
    return (await this.#storage.read(layout.imagePush(id, pusher, json)))?.bytes;
  }

  /** That the same bytes were stored for another push is not forgotten. One storage request. */
  async noteSent(id: ImageId, pusher: string, { json, sum }: SentLayer, { sizeBytes, etag }: SentFacts): Promise<void> {
    const bytes = encodeText(JSON.stringify({ size: sizeBytes, etag }));
    const options = { ...AS_JSON, ...(etag === undefined && { ifAbsent: true }) };
    await this.#storage.put(layout.imagePushLayer(id, pusher, json, sum), bytes, options);
  }

  /** As `noteSent`, of a layer that this pusher may not have sent: it gives no right to the image. */
  async noteReplaced(id: ImageId, pusher: string, { json, sum }: SentLayer): Promise<void> {
    const options = { ...AS_JSON, ifAbsent: true };
    await this.#storage.put(layout.imagePushLayer(id, pusher, json, sum), encodeText('{}'), options);
  }

  /** Whether any pusher has sent the layer that is stored under this ETag for this JSON. */
  async wasSent(id: ImageId, json: string, etag: ETag): Promise<boolean> {
    for await (const { key } of this.#storage.list(layout.allImagePushes(id))) {
      if (!lastPartOf(key).startsWith(`${json}.`)) continue;
      if ((await this.#readFacts(key))?.etag === etag) return true;
    }
    return false;
  }

  async readSent(id: ImageId, pusher: string, { json, sum }: SentLayer): Promise<SentFacts | undefined> {
    return await this.#readFacts(layout.imagePushLayer(id, pusher, json, sum));
  }

  async #readFacts(key: Key): Promise<SentFacts | undefined> {
    const object = await this.#storage.read(key);
    const value = object && parseJson(object.bytes);
    if (!isJsonObject(value) || typeof value.size !== 'number') return undefined;
    return { sizeBytes: value.size, ...(typeof value.etag === 'string' && { etag: value.etag as ETag }) };
  }
}

/** By which a JSON is known here: its SHA-256. */
export function hexOfJson(json: Uint8Array): string {
  return createHash('sha256').update(json).digest('hex');
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
