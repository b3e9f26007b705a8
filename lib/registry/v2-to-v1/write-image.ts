// Writes the objects of one image of a projection, and its grant to a repository.
import { createHash } from 'node:crypto';
import { KeyLocks } from '../../concurrency/key-locks.ts';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { type Key, layout, type ManifestPath, type ProjectedContent } from '../../model/layout.ts';
import { LruCache } from '../../model/lru-cache.ts';
import { hexOf, type ImageId, type RepositoryName } from '../../model/names.ts';
import { pythonJson } from '../../model/python-json.ts';
import { AS_JSON, type StorageDriver, StorageUnavailableError, unchanged } from '../../storage/driver.ts';
import { decodeText, encodeText } from '../../streams/bytes.ts';
import type { BlobLink } from '../blobs/link.ts';
import { earlierLook, type Look } from '../condemned/look.ts';
import { writeChecksums } from '../v1-images/checksums.ts';
import type { ImageGrants } from '../v1-images/grants.ts';
import type { SeenImage } from '../v1-images/image-cell.ts';
import type { ImageLooks } from '../v1-images/image-looks.ts';
import { type Images, sumOf } from '../v1-images/images.ts';
import type { ImageLayers } from '../v1-images/layers.ts';
import {
  claimForProjection,
  completeProjection,
  findProjectionRecord,
  isProjection,
} from '../v1-images/projection-record.ts';
import { RFC_3339 } from '../v1-to-v2/image-config.ts';
import { type GzipLayers, isGzippedAnew } from './gzip-layers.ts';
import { imageJson, type ProjectedImage } from './image-chain.ts';

/** How many images are remembered as whole, and how many grants: those of the bases that are pushed again and again. */
const MAX_REMEMBERED = 10_000;

/** How often an image is read that other processes keep changing. */
const MAX_READS = 5;

export type WriteOptions = {
  repository: RepositoryName;
  /** The manifest that is projected, for the grant and the projection record. */
  manifests: ManifestPath;
  /** Of the image's layer. */
  link: BlobLink | undefined;
  /** As in `ImageProjections.project`. */
  looksAnew: boolean;
};

/**
 * What a look at an image has shown: `whole`, by an earlier look of this process; `free`, and now it has an ancestry; `described`
 * by grants; `recorded`, with a projection record or to get one; or `pushed` by a v1 client.
 */
export type PreparedImage =
  | { state: 'whole'; look: Look; content: ProjectedContent | undefined }
  | { state: 'free' | 'described' | 'recorded' | 'pushed'; seen: SeenImage };

export class ProjectionWriter {
  readonly #storage: StorageDriver;
  readonly #images: Images;
  readonly #looks: ImageLooks;
  readonly #layers: ImageLayers;
  readonly #grants: ImageGrants;
  readonly #gzipLayers: GzipLayers;
  readonly #copiesLayers: boolean;
  readonly #locks = new KeyLocks();
  /** The looks by which images were found whole, or made so; `content` is absent for one with a projection record. */
  readonly #whole = new LruCache<ImageId, { look: Look; content: ProjectedContent | undefined }>({
    max: MAX_REMEMBERED,
  });
  /** The looks with which grants were written. The collector deletes no grant that is younger than the grace period. */
  readonly #granted = new LruCache<Key, Look>({ max: MAX_REMEMBERED });

  /** @param options.copiesLayers as in `ProjectionOptions` */
  constructor(
    storage: StorageDriver,
    dependencies: {
      images: Images;
      looks: ImageLooks;
      layers: ImageLayers;
      grants: ImageGrants;
      gzipLayers: GzipLayers;
    },
    { copiesLayers }: { copiesLayers: boolean },
  ) {
    this.#storage = storage;
    this.#images = dependencies.images;
    this.#looks = dependencies.looks;
    this.#layers = dependencies.layers;
    this.#grants = dependencies.grants;
    this.#gzipLayers = dependencies.gzipLayers;
    this.#copiesLayers = copiesLayers;
  }

  /**
   * Looks at an image, before any object of it is written but its ancestry, without a JSON an image of no kind. One LIST, and one
   * PUT if nothing is there; none if this process has found it whole by a look that is still valid.
   * @param seen the look, if there was one
   * @throws RegistryError UNAVAILABLE if the collector is removing the image
   */
  async prepare(
    image: ProjectedImage,
    { looksAnew }: Pick<WriteOptions, 'looksAnew'>,
    seen?: SeenImage,
  ): Promise<PreparedImage> {
    return await this.#locks.run(image.id, () => this.#prepareAlone(image, looksAnew, seen));
  }

  async #prepareAlone(image: ProjectedImage, looksAnew: boolean, known?: SeenImage): Promise<PreparedImage> {
    const { id, ancestry, layer } = image;
    const whole = this.#whole.get(id);
    if (!looksAnew && whole?.look.isValid) return { state: 'whole', ...whole };
    const seen = known ?? (await this.#looks.at(id));
    if (seen.hasRecord) return { state: 'recorded', seen };
    if (seen.isProjection) return { state: isGzippedAnew(layer) ? 'recorded' : 'described', seen };
    if (seen.hasPushRecords && (await this.isPushed(id))) return { state: 'pushed', seen };
    const options = { ...AS_JSON, ifAbsent: true, look: seen.look };
    const isFree = await this.#storage.put(layout.imageAncestry(id), encodeText(pythonJson(ancestry)), options);
    if (!isFree && (await this.isPushed(id))) return { state: 'pushed', seen };
    if (isGzippedAnew(layer)) return { state: 'recorded', seen };
    return { state: isFree ? 'free' : 'described', seen };
  }

  /**
   * Whether a v1 client has pushed an image under the id. The JSON is asked for first: storage says that an id is a projection
   * before that has any JSON, so a projection is never taken for a pushed image. Two storage requests at most.
   */
  async isPushed(id: ImageId): Promise<boolean> {
    return (await this.#images.exists(id)) && !(await isProjection(this.#storage, id));
  }

  /**
   * Writes the image unless it is stored already, and grants it to the repository. For one that is free a PUT of the grant and one
   * of the JSON; for one that is whole the grant and a LIST, without the LIST if this process has found it whole before.
   * @throws CorruptLayerError if the layer cannot be decompressed
   * @throws RegistryError UNAVAILABLE if the collector is removing the image
   */
  async write(image: ProjectedImage, prepared: PreparedImage, options: WriteOptions): Promise<void> {
    // Projections of images with the same base share the images of that base, and may be made at the same time.
    await this.#locks.run(image.id, async () => {
      switch (prepared.state) {
        case 'whole':
          return await this.#grant(image.id, prepared, options);
        case 'free':
          return await this.#writeFree(image, prepared.seen, options);
        case 'described':
          return await this.#writeDescribed(image, prepared.seen, options);
        default:
          await this.#writeRecorded(image, prepared.seen, options);
          await this.#grant(image.id, { content: undefined }, options);
      }
    });
  }

  /** The grant before the JSON: from then on the id is that of a projection, and nothing else than the grant describes is served. */
  async #writeFree(image: ProjectedImage, { look }: SeenImage, options: WriteOptions): Promise<void> {
    const { id, created } = image;
    const json = encodeText(imageJson(image, created));
    const content = contentOf(image, json);
    await this.#grant(id, { content, look }, options);
    if (this.#copiesLayers) await this.#copyLayer(id, json, linkOf(image, options));
    const written = look.isValid ? look : (await this.#looks.at(id)).look; // to copy a layer takes long
    if (await this.#storage.put(layout.imageJson(id), json, { ...AS_JSON, ifAbsent: true, look: written })) {
      this.#whole.set(id, { look: written, content });
    } else await this.#reconcile(image, options, { summed: json });
  }

  async #writeDescribed(image: ProjectedImage, seen: SeenImage, options: WriteOptions): Promise<void> {
    const [first, ...others] = seen.descriptions.map(({ content }) => content);
    const isAgreed = first !== undefined && others.every((content) => isEqual(content, first));
    if (!isAgreed || options.looksAnew || !(await this.#images.isWhole(image.id))) {
      return await this.#reconcile(image, options);
    }
    await this.#grant(image.id, { content: first, look: seen.look }, options);
    this.#whole.set(image.id, { look: seen.look, content: first });
  }

  /**
   * Makes a projection whole that another process makes too, or has left unfinished: what is missing is written, and the grant
   * describes what is there. Something else than this projection, which a v1 client has pushed meanwhile, is replaced.
   * @param lost.summed the JSON that this process has written the checksum of, and not stored because another was
   */
  async #reconcile(
    image: ProjectedImage,
    options: WriteOptions,
    { summed }: { summed?: Uint8Array | undefined } = {},
  ): Promise<void> {
    const { id, ancestry } = image;
    const ancestryBytes = encodeText(pythonJson(ancestry));
    for (let reads = 0; reads < MAX_READS; reads++) {
      const seen = await this.#looks.at(id);
      const { look } = seen;
      if (seen.hasRecord) break;
      const [json, stored] = await Promise.all([
        this.#images.findJson(id),
        this.#storage.read(layout.imageAncestry(id)),
      ]);
      const hasAncestry = stored !== undefined && Buffer.from(stored.bytes).equals(ancestryBytes);
      if (json && !(isJsonOf(image, json) && (hasAncestry || !stored))) break;
      const content = contentOf(image, json ?? encodeText(imageJson(image, image.created)));
      await this.#grant(id, { content, look }, options);
      if (!hasAncestry) {
        await this.#storage.put(layout.imageAncestry(id), ancestryBytes, {
          ...AS_JSON,
          ...unchanged(stored?.info),
          look,
        });
      }
      if (!json) {
        const bytes = encodeText(imageJson(image, image.created));
        if (this.#copiesLayers) await this.#copyLayer(id, bytes, linkOf(image, options));
        await this.#storage.put(layout.imageJson(id), bytes, { ...AS_JSON, ifAbsent: true, look });
        summed = bytes;
      }
      if (!json || !hasAncestry) continue; // once more: what is there now?
      const isSummedWrong = this.#copiesLayers && summed && !Buffer.from(json).equals(summed);
      if (isSummedWrong) await this.#writeChecksum(id, json, linkOf(image, options));
      // A v1 push that was abandoned may hide the image from docker-registry, and an attempt that was may have described another JSON.
      await this.#storage.delete(layout.imageInProgress(id));
      const wrong = seen.descriptions.filter(
        ({ repository, by, content: other }) =>
          repository === options.repository && by.join() === options.manifests.join() && !isEqual(other, content),
      );
      await mapConcurrently(wrong, ({ key }) => this.#storage.delete(key));
      this.#whole.set(id, { look, content });
      return;
    }
    await this.#writeRecorded(image, await this.#looks.at(id), options);
    await this.#grant(id, { content: undefined }, options);
  }

  /** @param options.look absent where no object of the image is written afterwards */
  async #grant(
    id: ImageId,
    { content, look = this.#looks.start() }: { content: ProjectedContent | undefined; look?: Look },
    { repository, manifests, looksAnew }: WriteOptions,
  ): Promise<void> {
    const key = content
      ? layout.describingGrant(id, repository, manifests, content)
      : layout.manifestGrant(id, repository, manifests);
    if (!looksAnew && this.#granted.get(key)?.isValid) return;
    await this.#grants.grantByManifest(repository, manifests, id, { content, look });
    this.#granted.set(key, look);
  }

  /** The record first; then the layer before the JSON, so that v1 clients find the whole image or none of it. */
  async #writeRecorded(image: ProjectedImage, seen: SeenImage, options: WriteOptions): Promise<void> {
    const { id, ancestry, layer } = image;
    if (await this.#isWhole(id, seen)) {
      this.#whole.set(id, { look: seen.look, content: undefined });
      return;
    }
    const { look: lookAtBytes, ...servedLayer } = await this.#gzipLayers.find(layer, linkOf(image, options));
    // To compress a layer takes long.
    const { look, hasRecord } = seen.look.isValid ? seen : await this.#looks.at(id);
    const record = await claimForProjection(this.#storage, id, {
      manifest: options.manifests[0],
      created: image.created,
      seen: { look, hasRecord },
      chooseIdsBelowTop: async () => (id === hexOf(options.manifests[0]) ? ancestry.slice(1).toReversed() : []),
    });
    if (record.replacesPushedImage) await this.#removePushedImage(id, look);
    const json = encodeText(imageJson(image, record.created));
    const putAncestry = async () => await this.#putClaimedAncestry(id, ancestry, look);
    const putDescriptor = async () =>
      await this.#layers.putDescriptor(id, servedLayer, { look: earlierLook(look, lookAtBytes) });
    await Promise.all([putDescriptor(), putAncestry()]);
    // Not over the layer of a pushed image: blob links and presigned URLs may point to that object.
    if (this.#copiesLayers && !record.replacesPushedImage) await this.#copyLayer(id, json, servedLayer);
    const written = look.isValid ? look : await this.#lookAgain(id);
    await this.#storage.put(layout.imageJson(id), json, { ...AS_JSON, look: written });
    // A v1 push that began before the claim may have hidden the image.
    await this.#storage.delete(layout.imageInProgress(id));
    await completeProjection(this.#storage, id, record, written);
    this.#whole.set(id, { look: written, content: undefined });
  }

  /**
   * A v1 push that looked at the image before the claim may replace an ancestry that was there then, by its ETag: on S3 that of
   * its bytes. So the same ancestry is written in other bytes.
   */
  async #putClaimedAncestry(id: ImageId, ancestry: ImageId[], look: Look): Promise<void> {
    const text = pythonJson(ancestry);
    const stored = await this.#storage.read(layout.imageAncestry(id));
    const isSame = stored !== undefined && decodeText(stored.bytes).trimEnd() === text;
    await this.#storage.put(layout.imageAncestry(id), encodeText(isSame ? `${text}\n` : text), { ...AS_JSON, look });
  }

  /**
   * Whether all objects of a projection with a record are stored. A v1 push of the same id that began before the claim, and was
   * abandoned, leaves `_inprogress`; a collector that has stopped in the middle leaves some of the objects.
   */
  async #isWhole(id: ImageId, { hasRecord, hasDescriptor }: SeenImage): Promise<boolean> {
    if (!hasRecord || !hasDescriptor) return false;
    const [record, isWhole] = await Promise.all([findProjectionRecord(this.#storage, id), this.#images.isWhole(id)]);
    return isWhole && record?.isComplete === true;
  }

  /** To copy a layer takes long. @throws StorageUnavailableError if what was written before may have been removed meanwhile */
  async #lookAgain(id: ImageId): Promise<Look> {
    const { look, hasDescriptor } = await this.#looks.at(id);
    if (!hasDescriptor) throw new StorageUnavailableError(`image ${id} was removed while it was made`);
    return look;
  }

  /**
   * Removes what a v1 client pushed under the id. `_inprogress` hides the image until the projection is complete, so no client
   * reads a mix of the two. The pushed layer stays, since blob links may point to it; v1 no longer serves it.
   */
  async #removePushedImage(id: ImageId, look: Look): Promise<void> {
    await this.#images.setInProgress(id, look);
    const others = [layout.imageChecksum(id), layout.imageFiles(id), layout.imageDiff(id)];
    await mapConcurrently(others, (key) => this.#storage.delete(key));
  }

  async #copyLayer(id: ImageId, json: Uint8Array, { key }: { key: Key }): Promise<void> {
    const target = layout.imageLayer(id);
    // An attempt that failed may have left a copy of another layer.
    // The collector decides about a v1 image by its cell, not by the time of its layer.
    if (!(await this.#storage.copyIfAbsent(key, target, { mayKeepTime: true }))) {
      await this.#storage.delete(target);
      await this.#storage.copyIfAbsent(key, target, { mayKeepTime: true });
    }
    await this.#writeChecksum(id, json, { key });
  }

  /** Reads the layer. */
  async #writeChecksum(id: ImageId, json: Uint8Array, { key }: { key: Key }): Promise<void> {
    const object = await this.#storage.get(key);
    if (!object) throw new Error(`${key} is missing`);
    const sum = createHash('sha256').update(json).update('\n');
    for await (const chunk of object.body) sum.update(chunk);
    await writeChecksums(this.#storage, id, [`sha256:${sum.digest('hex')}`]);
  }
}

function linkOf({ layer }: ProjectedImage, { link }: WriteOptions): BlobLink {
  if (!link) throw new Error(`no link for ${layer.digest}`);
  return link;
}

function contentOf({ layer, ancestry }: ProjectedImage, json: Uint8Array): ProjectedContent {
  return { layer: layer.digest, jsonSum: sumOf(json), ancestrySum: sumOf(encodeText(pythonJson(ancestry))) };
}

function isEqual(one: ProjectedContent, other: ProjectedContent): boolean {
  return one.layer === other.layer && one.jsonSum === other.jsonSum && one.ancestrySum === other.ancestrySum;
}

/** Whether this is the JSON of the image: another manifest that shares the image may have made it with another time. */
function isJsonOf(image: ProjectedImage, bytes: Uint8Array): boolean {
  const value = parseJson(bytes);
  const created = isJsonObject(value) && typeof value.created === 'string' ? value.created : undefined;
  if (created !== undefined && !RFC_3339.test(created)) return false;
  return Buffer.from(bytes).equals(encodeText(imageJson(image, created)));
}
