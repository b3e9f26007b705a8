// The push of a v1 image: its JSON, its layer, then the checksum, each in a request of its own. The mark `_inprogress` is
// there from the first to the last of them.
//
// Nothing in the protocol tells two pushes of one image apart. Within this process each step therefore looks at what is
// there and changes it in one go, under a lock for the image. Against other processes each step writes before it looks once
// more: a step that changes an image sets the mark afterwards, and one that takes the mark away looks whether what it has
// compared is still there, and sets the mark if not.
//
// The first JSON stays at `images/<id>/json` while others are pending (`pending-pushes.ts`). The first push whose checksum
// agrees with a JSON and the layer that is there wins, and its JSON takes that place. The others end well where they may read
// the image then: their bytes are hashed and compared with what they claim, but not stored. In the same way an image that is
// complete, but that the caller has no right to read, as when every tag of it was deleted, is pushed again: a caller who sends
// all of its bytes gets that right.
//
// An id may become that of a view at any moment. The view takes it before it writes anything, and a push looks for that
// after it has looked at what it will replace, which it does only while that is there: so it never replaces what a view wrote.
import { setTimeout as sleep } from 'node:timers/promises';
import { CorruptLayerError } from '../../compression/corrupt-layer-error.ts';
import type { UnpackLimits } from '../../compression/unpack-limits.ts';
import { KeyLocks, LateLock } from '../../concurrency/key-locks.ts';
import { Slots } from '../../concurrency/slots.ts';
import { RegistryError } from '../../model/errors.ts';
import { type Key, layout } from '../../model/layout.ts';
import type { ImageId } from '../../model/names.ts';
import { pythonJson } from '../../model/python-json.ts';
import {
  AS_JSON,
  AS_TEXT,
  type Condition,
  type ETag,
  type ObjectInfo,
  type ReadObject,
  type StorageDriver,
  StorageUnavailableError,
  unchanged,
} from '../../storage/driver.ts';
import { type Bytes, encodeText } from '../../streams/bytes.ts';
import { readChecksums, readClaim, tarSumVersionOf, writeChecksums } from './checksums.ts';
import type { ImageGrants } from './grants.ts';
import { noSuchParent, type ParsedImageJson, parseImageJson } from './image-json.ts';
import { type Images, imageUnknown } from './images.ts';
import { LayerScan } from './layer-scan.ts';
import type { ImageLayers } from './layers.ts';
import { PayloadSums } from './payload-sums.ts';
import { hexOfJson, type PendingPush, PendingPushes, type SentLayer } from './pending-pushes.ts';
import { hasProjectionRecord } from './projection-record.ts';

/** Sums that a client sent with PUT checksum. Docker 0.10 and newer sends both, older ones only the TarSum. */
export type ClaimedChecksums = {
  /** `X-Docker-Checksum-Payload` */
  payload?: string;
  /** `X-Docker-Checksum` */
  plain?: string;
};

export type PushOptions = {
  /** Stands for the caller, who may read what it has pushed before any tag names it. */
  pusherId?: string;
  /** Whether the caller may read the image now. */
  mayRead?: () => Promise<boolean>;
};

/** Of pushers that nobody tells apart. */
const ANYONE = 'anyone';

/** How long the checksum of a push waits for that of another one, whose layer came first. */
const WAITS_MS = [50, 100, 200, 400, 800, 1600];

/** How often two pushes of one image may get in each other's way before one of them is asked to come again. */
const MAX_TRIES = 20;

/** A sum keeps something of each file of the layer in memory. */
const TAR_SUMS = { atOnce: 2, maxWaiting: 64 };

const PAYLOAD_SUM = /^sha256:([a-f0-9]{64})$/;

/** What is said of an image before its layer comes. */
type Description = { bytes: Uint8Array; ancestry: ImageId[] };

type CheckParent = (parent: ImageId) => Promise<void>;

type PutJsonOptions = PushOptions & {
  /** Throws if the image may not build on a parent that is there. */
  checkParent: CheckParent;
  /** The checksum that the layer will have, from the few clients that send it so early. */
  claim?: string;
};

/** Another push has been confirmed while the layer came, or is about to be. */
class OvertakenError extends Error {
  override readonly name = 'OvertakenError';
}

export class ImagePushes {
  readonly #storage: StorageDriver;
  readonly #images: Images;
  readonly #layers: ImageLayers;
  readonly #grants: ImageGrants;
  readonly #unpackLimits: UnpackLimits;
  readonly #tarSums = new Slots(TAR_SUMS);
  readonly #pending: PendingPushes;
  readonly #locks = new KeyLocks();

  constructor(
    storage: StorageDriver,
    dependencies: { images: Images; layers: ImageLayers; grants: ImageGrants; unpackLimits: UnpackLimits },
  ) {
    this.#storage = storage;
    this.#images = dependencies.images;
    this.#layers = dependencies.layers;
    this.#grants = dependencies.grants;
    this.#unpackLimits = dependencies.unpackLimits;
    this.#pending = new PendingPushes(storage);
  }

  /**
   * Takes the JSON of an image, which begins its push: all checks, then the mark, then everything else. Where there is
   * another JSON already, this one is kept beside it; the image is not changed by that.
   * @throws RegistryError IMAGE_INVALID if there is no such parent; IMAGE_EXISTS if the image is complete and the caller may
   *   read it: clients then leave off pushing it, and go on
   */
  async putJson(json: ParsedImageJson, options: PutJsonOptions): Promise<void> {
    await this.#locks.run(json.id, () => this.#putJson(json, options));
  }

  async #putJson({ id, parent, bytes }: ParsedImageJson, options: PutJsonOptions): Promise<void> {
    const { checkParent, claim, pusherId = ANYONE, mayRead = async () => true } = options;
    const [stored, storedAncestry, isComplete, ancestry] = await Promise.all([
      this.#storage.read(layout.imageJson(id)),
      this.#storage.head(layout.imageAncestry(id)),
      this.#images.isComplete(id),
      this.#ancestryOf(id, parent),
    ]);
    const [isTaken] = await Promise.all([hasProjectionRecord(this.#storage, id), parent && checkParent(parent)]);
    // The id of a view belongs to the manifest of which it is the digest.
    if (isTaken || (stored && isComplete && (await mayRead()))) throw imageExists();
    if (claim !== undefined && claim.split(':').length !== 2)
      throw new RegistryError('IMAGE_CHECKSUM_INVALID', 'Invalid checksum format');
    // Of an image that the caller may not read, the answer does not tell whether the JSON is the same.
    if (stored && isComplete) return await this.#pending.keep(id, pusherId, bytes);
    const before = { stored, storedAncestry };
    if ((!stored || claim !== undefined) && (await this.#begin(id, { bytes, ancestry }, before, claim))) return;
    await this.#join(id, { bytes, ancestry }, { pusherId, mayRead });
  }

  /** False if another process has just begun a push of this image. */
  async #begin(
    id: ImageId,
    { bytes, ancestry }: Description,
    { stored, storedAncestry }: { stored: ReadObject | undefined; storedAncestry: ObjectInfo | undefined },
    claim: string | undefined,
  ): Promise<boolean> {
    await this.#mark(id);
    if (claim !== undefined) await this.#put(id, layout.imageJson(id), bytes, stored?.info);
    else if (!(await this.#storage.put(layout.imageJson(id), bytes, { ...AS_JSON, ifAbsent: true }))) return false;
    await this.#put(id, layout.imageAncestry(id), encodeText(pythonJson(ancestry)), storedAncestry);
    // What is left of a push that failed; now that no view has the id.
    await Promise.all([
      this.#storage.delete(layout.imageFiles(id)),
      this.#storage.delete(layout.imageDiff(id)),
      claim === undefined
        ? this.#storage.delete(layout.imageChecksum(id))
        : this.#storage.put(layout.imageChecksum(id), encodeText(claim), AS_TEXT),
    ]);
    await this.#mark(id);
    await this.#yieldToProjection(id);
    return true;
  }

  /** A push of this image is under way, or was broken off: what it has left may still be confirmed. */
  async #join(
    id: ImageId,
    { bytes, ancestry }: Description,
    { pusherId, mayRead }: Required<PushOptions>,
  ): Promise<void> {
    const [stored, storedAncestry] = await Promise.all([
      this.#images.findJson(id),
      this.#storage.head(layout.imageAncestry(id)),
    ]);
    const isSame = stored !== undefined && Buffer.from(bytes).equals(stored);
    if (isSame && !storedAncestry) {
      await this.#put(id, layout.imageAncestry(id), encodeText(pythonJson(ancestry)), undefined);
    }
    if (!isSame) await this.#pending.keep(id, pusherId, bytes);
    // A sum that came with the JSON of an earlier push is not that of this one.
    if ((await readClaim(this.#storage, id)) !== undefined) await this.#storage.delete(layout.imageChecksum(id));
    await this.#yieldToProjection(id);
    // Confirmed meanwhile, by another process.
    if ((await this.#images.isComplete(id)) && (await mayRead())) throw imageExists();
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
      await this.#yieldToProjection(id);
    }
    throw new StorageUnavailableError(`too many pushes write ${key} at once`);
  }

  /** A view that was made in the meantime has the better right to the id. The mark of this push must not hide it. */
  async #yieldToProjection(id: ImageId): Promise<void> {
    if (!(await hasProjectionRecord(this.#storage, id))) return;
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
    options: PushOptions & { signal?: AbortSignal } = {},
  ): Promise<void> {
    const { pusherId = ANYONE, signal } = options;
    const [{ sums, own, isComplete, hasOthers }, before, descriptorBefore] = await Promise.all([
      this.#sumsFor(id, pusherId),
      this.#storage.head(layout.imageLayer(id)),
      this.#storage.head(layout.imageLayerDescriptor(id)),
    ]);
    const lock = new LateLock(this.#locks, id);
    try {
      const layer = isComplete
        ? await measure(body, sums, signal)
        : await this.#storeLayer(id, body, {
            pusherId,
            own,
            lock,
            sums,
            before,
            descriptorBefore,
            ...(signal && { signal }),
          });
      if (!layer) return await this.#noteSent(id, sums, options);
      for (const sent of hasOthers ? sums.digest() : []) await this.#pending.noteSent(id, pusherId, sent, layer);
      if (layer.claim !== undefined) await this.#confirmClaim(id, layer, layer.claim, options);
    } finally {
      lock.release();
    }
  }

  /**
   * The sums of a layer that comes now, with each JSON that it may belong to. While it comes none of these is held in memory.
   * @throws RegistryError IMAGE_UNKNOWN; IMAGE_EXISTS if no push of the image is under way
   */
  async #sumsFor(
    id: ImageId,
    pusherId: string,
  ): Promise<{ sums: PayloadSums; own: string; isComplete: boolean; hasOthers: boolean }> {
    const [json, isComplete, pending] = await Promise.all([
      this.#images.findJson(id),
      this.#images.isComplete(id),
      this.#pending.find(id, pusherId),
    ]);
    if (!json) throw imageUnknown();
    const sums = new PayloadSums();
    for (const hex of pending.jsons) {
      const other = await this.#pending.readJson(id, pusherId, hex);
      if (other) sums.add(other);
    }
    const hasOthers = sums.count > 0;
    if (isComplete && !hasOthers) throw imageExists();
    if (!isComplete) sums.add(json);
    return { sums, own: hexOfJson(json), isComplete, hasOthers };
  }

  /** @throws RegistryError IMAGE_CHECKSUM_INVALID */
  async #confirmClaim(id: ImageId, layer: StoredLayer, claim: string, options: PushOptions): Promise<void> {
    const refusal = 'Checksum mismatch, ignoring the layer';
    const json = await this.#images.findJson(id);
    if (!json) throw imageUnknown();
    await this.#confirm(id, json, layer, { plain: claim }, { refusal, ...options });
  }

  /** `undefined` if another layer came first; then nothing was stored. */
  async #storeLayer(
    id: ImageId,
    body: AsyncIterable<Uint8Array>,
    { pusherId, own, lock, sums, before, descriptorBefore, signal }: StoreLayerOptions,
  ): Promise<StoredLayer | undefined> {
    const key = layout.imageLayer(id);
    const scan = new LayerScan(this.#unpackLimits);
    const source = this.#thenLocked({ pusherId, lock, id, own, before }, scan.through(body), sums);
    // Also where the lock does not reach: of two layers the one that ends later must not replace the other.
    const options = { ...unchanged(before), ...(signal && { signal }) };
    const etag = await this.#storage.putStream(key, source, options).catch((error: unknown) => {
      if (error instanceof OvertakenError) return undefined;
      throw error;
    });
    if (!etag) return undefined;
    const claim = await readClaim(this.#storage, id);
    const digests = sums.digest();
    const checksums = digests.flatMap(({ json, sum }) => (json === own ? [`sha256:${sum}`] : []));
    // In one object with the ETag: no sum is ever taken for that of another layer.
    const described = {
      ...scan.facts,
      key,
      etag,
      sums: Object.fromEntries(digests.map(({ json, sum }) => [json, sum])),
    };
    await this.#replace(id, layout.imageLayerDescriptor(id), descriptorBefore, (condition) =>
      this.#layers.putDescriptor(id, described, condition),
    );
    // Another process has replaced the layer already, and has said what its sums are.
    if ((await this.#storage.head(key))?.etag !== etag) return undefined;
    await writeChecksums(this.#storage, id, checksums);
    await this.#mark(id);
    await this.#yieldToProjection(id);
    return { etag, sizeBytes: sums.sizeBytes, sums: checksums, ...(claim !== undefined && { claim }) };
  }

  /**
   * Hashes a layer as it passes. At its end it waits for the image's lock, and fails if the push is no longer the one that
   * it began with; so the layer becomes visible under the lock.
   */
  async *#thenLocked(
    { pusherId, lock, id, own, before }: LockedStep,
    body: AsyncIterable<Uint8Array>,
    sums: PayloadSums,
  ) {
    for await (const chunk of body) {
      sums.update(chunk);
      yield chunk;
    }
    await lock.take();
    const [jsonNow, isComplete, isTaken] = await Promise.all([
      this.#images.findJson(id),
      this.#images.isComplete(id),
      hasProjectionRecord(this.#storage, id),
    ]);
    if (isTaken) throw imageExists();
    if (isComplete || !jsonNow || hexOfJson(jsonNow) !== own) throw new OvertakenError();
    if (before) await this.#makeWay(id, own, pusherId);
  }

  /** The layer of another push goes, or of an earlier try, and all that was known of it. That push may still end well. */
  async #makeWay(id: ImageId, json: string, pusherId: string): Promise<void> {
    const isClaimed = (await readClaim(this.#storage, id)) !== undefined;
    if (!isClaimed) await this.#noteReplaced(id, json, pusherId);
    // Its sum must not be taken for that of the one that comes; one that came with the JSON is.
    const keys = [layout.imageFiles(id), layout.imageDiff(id), ...(isClaimed ? [] : [layout.imageChecksum(id)])];
    await Promise.all(keys.map((key) => this.#storage.delete(key)));
  }

  async #noteReplaced(id: ImageId, json: string, pusherId: string): Promise<void> {
    for (const sum of await readChecksums(this.#storage, id)) {
      const [, payload] = PAYLOAD_SUM.exec(sum) ?? [];
      if (payload) await this.#pending.noteReplaced(id, pusherId, { json, sum: payload });
    }
  }

  /**
   * Notes what was sent but not stored, for the checksum that follows.
   * @throws RegistryError IMAGE_EXISTS if the image is complete, and the caller has no right to it, nor gets one by these bytes
   */
  async #noteSent(
    id: ImageId,
    sums: PayloadSums,
    { pusherId = ANYONE, mayRead = async () => true }: PushOptions,
  ): Promise<void> {
    const { sizeBytes } = sums;
    const sent = sums.digest();
    if ((await this.#images.isComplete(id)) && !(await mayRead())) {
      const same = await Promise.all(sent.map((one) => this.#isStored(id, one, sizeBytes)));
      if (!same.includes(true)) throw imageExists();
    }
    await Promise.all(sent.map((one) => this.#pending.noteSent(id, pusherId, one, { sizeBytes })));
  }

  /** Whether JSON and layer of a complete image are those that were sent. Reads the layer only where no sum of it is stored. */
  async #isStored(id: ImageId, sent: SentLayer, sizeBytes: number): Promise<boolean> {
    const [json, layer, stored] = await Promise.all([
      this.#images.findJson(id),
      this.#storage.head(layout.imageLayer(id)),
      readChecksums(this.#storage, id),
    ]);
    if (!json || hexOfJson(json) !== sent.json || layer?.sizeBytes !== sizeBytes) return false;
    const payloadSums = stored.filter((sum) => sum.startsWith('sha256:'));
    if (payloadSums.length > 0) return payloadSums.includes(`sha256:${sent.sum}`);
    const object = await this.#storage.get(layer.key);
    if (!object) return false;
    const sums = new PayloadSums();
    sums.add(json);
    for await (const chunk of object.body) sums.update(chunk);
    return sums.digest().some(({ sum }) => sum === sent.sum);
  }

  /**
   * Ends the push of an image: if one of the client's sums is that of what arrived, the mark goes.
   * @throws RegistryError IMAGE_UNKNOWN, IMAGE_EXISTS, IMAGE_CHECKSUM_INVALID
   */
  async confirmChecksum(id: ImageId, claimed: ClaimedChecksums, options: PushOptions = {}): Promise<void> {
    if ((await this.#locks.run(id, () => this.#confirmIfStored(id, claimed, options))) === 'confirmed') return;
    for (const milliseconds of WAITS_MS) {
      await sleep(milliseconds);
      if (!(await this.#images.isComplete(id))) continue;
      await this.#locks.run(id, () => this.#confirmIfStored(id, claimed, options));
      return;
    }
    throw checksumMismatch();
  }

  /** `sent` if the bytes with this sum came after those of another push, which is not confirmed yet. */
  async #confirmIfStored(id: ImageId, claimed: ClaimedChecksums, options: PushOptions): Promise<'confirmed' | 'sent'> {
    const { pusherId = ANYONE } = options;
    const [json, layer, isComplete, isTaken] = await Promise.all([
      this.#storage.read(layout.imageJson(id)),
      this.#storage.head(layout.imageLayer(id)),
      this.#images.isComplete(id),
      hasProjectionRecord(this.#storage, id),
    ]);
    if (!json) throw imageUnknown();
    if (isTaken) throw cannotSet();
    const summed = isComplete || !layer ? undefined : await this.#summed(id, json.bytes, layer, claimed);
    if (summed && claims(claimed, summed.sums)) return await this.#confirm(id, json.bytes, summed, claimed, options);
    const pending = await this.#pending.find(id, pusherId);
    const sent = pending.sent.find(({ sum }) => claims(claimed, [`sha256:${sum}`]));
    if (isComplete) {
      if (!sent) throw cannotSet();
      await this.#confirmSent(id, sent, options);
      return 'confirmed';
    }
    const stored = await this.#storedFor(id, claimed, { pending, sent, layer, pusherId });
    if (stored) return await this.#promote(id, json, stored, options);
    if (sent) return 'sent';
    if (!summed) throw checksumMismatch();
    return await this.#confirm(id, json.bytes, summed, claimed, options);
  }

  /**
   * The payload sum of a JSON with the layer that has this ETag: not `_checksum`, which another process may have written for
   * another layer. The layer is read only where its own sum was not noted with it, and the client claims such a sum.
   */
  async #summed(
    id: ImageId,
    json: Uint8Array,
    { key, etag }: ObjectInfo,
    claimed: ClaimedChecksums,
  ): Promise<SummedLayer> {
    const known = (await this.#layers.payloadSums(id, etag))?.[hexOfJson(json)];
    if (known !== undefined) return { etag, sums: [`sha256:${known}`] };
    const claimsPayload = [claimed.payload, claimed.plain].some((sum) => sum?.startsWith('sha256:'));
    const object = claimsPayload ? await this.#storage.get(key) : undefined;
    if (!object) return { etag, sums: [] };
    const sums = new PayloadSums();
    sums.add(json);
    for await (const chunk of object.body) sums.update(chunk);
    return { etag: object.info.etag, sums: sums.digest().map(({ sum }) => `sha256:${sum}`) };
  }

  /** The image is there, by another push. What this one has sent may give a right to it. */
  async #confirmSent(
    id: ImageId,
    sent: SentLayer,
    { pusherId = ANYONE, mayRead = async () => true }: PushOptions,
  ): Promise<void> {
    const facts = await this.#pending.readSent(id, pusherId, sent);
    const isSame = facts !== undefined && (await this.#isStored(id, sent, facts.sizeBytes));
    if (isSame) await this.#grants.addPusherRecord(id, pusherId);
    if (!isSame && !(await mayRead())) throw cannotSet();
  }

  /** The pending JSON to which the claimed sum belongs, with the layer that is stored. */
  async #storedFor(
    id: ImageId,
    claimed: ClaimedChecksums,
    {
      pending,
      sent,
      layer,
      pusherId,
    }: { pending: PendingPush; sent: SentLayer | undefined; layer: ObjectInfo | undefined; pusherId: string },
  ): Promise<(SentLayer & { bytes: Bytes; etag: ETag }) | undefined> {
    for (const one of sent ? [sent] : pending.sent) {
      const [facts, bytes] = await Promise.all([
        this.#pending.readSent(id, pusherId, one),
        this.#pending.readJson(id, pusherId, one.json),
      ]);
      if (!bytes || !layer || facts?.etag !== layer.etag) continue;
      if (sent || (await this.#isTarSum(id, bytes, claimed))) return { ...one, bytes, etag: layer.etag };
    }
    return undefined;
  }

  /** Makes a pending JSON that of the image; the other one may still be pushed. `sent` if another push was faster. */
  async #promote(
    id: ImageId,
    before: ReadObject,
    { sum, bytes, etag: layer }: SentLayer & { bytes: Bytes; etag: ETag },
    options: PushOptions,
  ): Promise<'confirmed' | 'sent'> {
    const { pusherId = ANYONE } = options;
    const { parent } = parseImageJson(id, bytes);
    const [ancestry, storedAncestry] = await Promise.all([
      this.#ancestryOf(id, parent),
      this.#storage.head(layout.imageAncestry(id)),
    ]);
    await this.#pending.keep(id, pusherId, before.bytes);
    await this.#noteReplaced(id, hexOfJson(before.bytes), pusherId);
    const key = layout.imageJson(id);
    const etag = await this.#storage.put(key, bytes, { ...AS_JSON, ifMatch: before.info.etag });
    if (!etag) return 'sent';
    // With the other JSON, by another process.
    if (await this.#images.isComplete(id)) {
      await this.#storage.put(key, before.bytes, { ...AS_JSON, ifMatch: etag });
      return 'sent';
    }
    await this.#put(id, layout.imageAncestry(id), encodeText(pythonJson(ancestry)), storedAncestry);
    const sums = [`sha256:${sum}`];
    await writeChecksums(this.#storage, id, sums);
    await this.#mark(id);
    await this.#yieldToProjection(id);
    return await this.#confirm(id, bytes, { etag: layer, sums }, { payload: `sha256:${sum}` }, options);
  }

  /** `sent` if another process has changed what was confirmed, for another push. */
  async #confirm(
    id: ImageId,
    json: Uint8Array,
    { etag, sums }: SummedLayer,
    claimed: ClaimedChecksums,
    { pusherId, refusal }: PushOptions & { refusal?: string },
  ): Promise<'confirmed' | 'sent'> {
    const layer = await this.#layers.describe(id);
    const isPlainMatch = claims(claimed, sums);
    // A TarSum costs reading the layer once more: only for clients that know no other sum.
    const isMatch = isPlainMatch || (layer !== undefined && (await this.#isTarSum(id, json, claimed)));
    if (!layer || !isMatch) throw checksumMismatch(refusal);
    if (!isPlainMatch && claimed.plain) await writeChecksums(this.#storage, id, [...sums, claimed.plain]);
    // Who knows the sum of what has come may read it; before anybody sees the image, so that no crash leaves it nobody's.
    if (pusherId !== undefined) await this.#grants.addPusherRecord(id, pusherId);
    await this.#storage.delete(layout.imageInProgress(id));

    const [jsonNow, layerNow] = await Promise.all([
      this.#images.findJson(id),
      this.#storage.head(layout.imageLayer(id)),
    ]);
    const isSameLayer = layerNow !== undefined && layerNow.etag === etag;
    if (jsonNow && Buffer.from(json).equals(jsonNow) && isSameLayer) return 'confirmed';
    // A JSON that goes with this layer is being confirmed by another process: the image is whole, and not to be hidden.
    const isWhole = jsonNow && isSameLayer && (await this.#pending.wasSent(id, hexOfJson(jsonNow), layerNow.etag));
    if (!isWhole) await this.#mark(id);
    if (pusherId !== undefined) await this.#grants.removePusherRecord(id, pusherId);
    await this.#yieldToProjection(id);
    const [, sum] = PAYLOAD_SUM.exec(sums[0] ?? '') ?? [];
    if (refusal !== undefined || !layerNow || sum === undefined) throw checksumMismatch(refusal);
    const sent = { json: hexOfJson(json), sum };
    await this.#pending.noteSent(id, pusherId ?? ANYONE, sent, { sizeBytes: layerNow.sizeBytes });
    return 'sent';
  }

  async #isTarSum(id: ImageId, json: Uint8Array, { payload, plain }: ClaimedChecksums): Promise<boolean> {
    const version = payload === undefined && plain !== undefined ? tarSumVersionOf(plain) : undefined;
    const object = version !== undefined && (await this.#storage.get(layout.imageLayer(id)));
    if (version === undefined || !object) return false;
    const { tarSum } = await import('../../tar/tar-sum.ts'); // only docker before 1.3 wants it
    try {
      return (await this.#tarSums.run(() => tarSum(json, object.body, version, this.#unpackLimits))) === plain;
    } catch (error) {
      if (error instanceof CorruptLayerError) return false;
      throw error;
    }
  }
}

/** What a layer needs to know of its push when all of it has come. */
type LockedStep = Pick<StoreLayerOptions, 'pusherId' | 'own' | 'lock' | 'before'> & { id: ImageId };

type StoreLayerOptions = {
  pusherId: string;
  /** The JSON that is at the image's place, by its SHA-256. */
  own: string;
  lock: LateLock;
  sums: PayloadSums;
  before: ObjectInfo | undefined;
  descriptorBefore: ObjectInfo | undefined;
  signal?: AbortSignal;
};

/** A layer, and its payload sums with the JSON that is at the image's place, as they are stored and claimed. */
type SummedLayer = { etag: ETag; sums: string[] };

type StoredLayer = SummedLayer & {
  sizeBytes: number;
  /** The sum that came with that JSON. */
  claim?: string;
};

/** Takes a layer in without storing it. */
async function measure(body: AsyncIterable<Uint8Array>, sums: PayloadSums, signal?: AbortSignal): Promise<undefined> {
  for await (const chunk of body) sums.update(chunk);
  signal?.throwIfAborted();
}

/** Whether one of the client's sums is among these. */
function claims({ payload, plain }: ClaimedChecksums, sums: readonly string[]): boolean {
  return [payload, plain].some((sum) => sum !== undefined && sums.includes(sum));
}

function cannotSet(): RegistryError {
  return new RegistryError('IMAGE_EXISTS', 'Cannot set this image checksum');
}

function checksumMismatch(message = 'Checksum mismatch'): RegistryError {
  return new RegistryError('IMAGE_CHECKSUM_INVALID', message);
}

function imageExists(): RegistryError {
  return new RegistryError('IMAGE_EXISTS', 'Image already exists');
}
