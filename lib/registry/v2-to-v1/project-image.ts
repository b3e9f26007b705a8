import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { LRUCache } from 'lru-cache';
import { CorruptLayerError } from '../../compression/corrupt-layer-error.ts';
import { decompress, type LayerFormat } from '../../compression/decompress.ts';
import type { UnpackLimits } from '../../compression/unpack-limits.ts';
import { KeyLocks } from '../../concurrency/key-locks.ts';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { Slots } from '../../concurrency/slots.ts';
import { isJsonObject, type JsonObject, parseJson } from '../../model/json.ts';
import { layout } from '../../model/layout.ts';
import { type Descriptor, MAX_INDEX_DEPTH, type ManifestDocument, parseManifest } from '../../model/manifest.ts';
import type { Digest, ImageId, RepositoryName } from '../../model/names.ts';
import { pythonJson } from '../../model/python-json.ts';
import { AS_JSON, type StorageDriver } from '../../storage/driver.ts';
import { type Bytes, encodeText, MiB, readAtMost } from '../../streams/bytes.ts';
import type { Blobs } from '../blobs/blobs.ts';
import type { BlobLink } from '../blobs/link.ts';
import { settleBlob, storeBlob } from '../blobs/store.ts';
import type { TagTarget } from '../tags/target.ts';
import { writeChecksums } from '../v1-images/checksums.ts';
import type { ImageGrants } from '../v1-images/grants.ts';
import type { Images } from '../v1-images/images.ts';
import type { ImageLayers, LayerDescriptor } from '../v1-images/layers.ts';
import {
  claimForProjection,
  completeProjection,
  findProjectionRecord,
  type ProjectionRecord,
} from '../v1-images/projection-record.ts';
import { chainIds, isImage, jsonOf, type ProjectedImage, projectChain, projectedChildren } from './image-chain.ts';

const MAX_CONFIG_BYTES = 4 * MiB;
const MAX_CONFIG_VALUES = 150_000;

/** Two layers are unpacked at once, whatever is pushed. */
const UNPACKINGS = { atOnce: 2, maxWaiting: 256 };

/** Bytes that no image names yet are relied on for no longer than this. */
const REMEMBERED = { max: 10_000, ttl: 10 * 60_000 };

/** More than any client can run; each image of a view has an ancestry of its own. */
const MAX_LAYERS = 200;

/** Of an index so many children are looked at until one is an image. */
const MAX_CHILDREN = 16;

/** Layers that real images repeat are empty or small. */
const ANY_REPETITION_BYTES = 64 * MiB;

/** A v2 image with what its view needs. */
type SourceImage = {
  digest: Digest;
  manifest: Bytes;
  config: JsonObject;
  layers: Descriptor[];
  links: Map<Digest, BlobLink>;
};

/** The v1 images that stand for v2 images. */
export class ImageProjections {
  readonly #storage: StorageDriver;
  readonly #blobs: Blobs;
  readonly #images: Images;
  readonly #layers: ImageLayers;
  readonly #grants: ImageGrants;
  readonly #copiesLayers: boolean;
  readonly #unpackLimits: UnpackLimits;
  readonly #unpackings = new Slots(UNPACKINGS);
  /** By the digest of the zstd layer. */
  readonly #gzipped = new LRUCache<Digest, Promise<LayerDescriptor>>(REMEMBERED);
  readonly #locks = new KeyLocks();

  /** @param copiesLayers whether each image gets a real `layer` and `_checksum`, so that docker-registry could serve it */
  constructor(
    storage: StorageDriver,
    dependencies: { blobs: Blobs; images: Images; layers: ImageLayers; grants: ImageGrants },
    { copiesLayers, unpackLimits }: { copiesLayers: boolean; unpackLimits: UnpackLimits },
  ) {
    this.#storage = storage;
    this.#blobs = dependencies.blobs;
    this.#images = dependencies.images;
    this.#layers = dependencies.layers;
    this.#grants = dependencies.grants;
    this.#copiesLayers = copiesLayers;
    this.#unpackLimits = unpackLimits;
  }

  /** Of what this id is the view, whole or not; `undefined` if it is none. One storage request. */
  async find(id: ImageId): Promise<ProjectionRecord | undefined> {
    return await findProjectionRecord(this.#storage, id);
  }

  /**
   * The config of the v2 image that a tag names, with its view made if need be; `undefined` if v1 has nothing to show for
   * it: an artifact, something broken, or a v1 image, which needs no view.
   */
  async provide(repository: RepositoryName, { digest, imageId }: TagTarget): Promise<JsonObject | undefined> {
    const source = imageId && (await this.#source(repository, digest));
    if (!source || source === 'no image') return undefined;
    const chooseIdsBelowTop = () => this.#chooseIds(source);
    const { idsBelowTop } = await claimForProjection(this.#storage, imageId, { manifest: digest, chooseIdsBelowTop });
    const images = projectChain([...idsBelowTop, imageId], source.config, source.layers);
    try {
      // The top last: that its view is there says that the whole chain is.
      await mapConcurrently(images.slice(0, -1), (image) => this.#provideOnce(image, digest, source.links));
      for (const image of images.slice(-1)) await this.#provideOnce(image, digest, source.links);
    } catch (error) {
      if (error instanceof CorruptLayerError) return undefined; // what was pushed is no image, whatever it says
      throw error;
    }
    const ids = images.map(({ id }) => id);
    await this.#grants.grantByManifest(repository, source.digest === digest ? [digest] : [digest, source.digest], ids);
    return source.config;
  }

  /**
   * The ids of the images below the top, base first. What a client of v1 has pushed under one of them stays, and the view
   * has others from there on.
   */
  async #chooseIds({ layers, manifest }: SourceImage): Promise<ImageId[]> {
    const digests = layers.slice(0, -1).map(({ digest }) => digest);
    const ids = chainIds(digests);
    const arePushed = await mapConcurrently(ids, (id) => this.#isPushed(id));
    const free = arePushed.includes(true) ? ids.slice(0, arePushed.indexOf(true)) : ids;
    return [...free, ...chainIds(digests.slice(free.length), { parent: free.at(-1), manifest })];
  }

  /** In this order: a view is marked as one before it has any JSON. */
  async #isPushed(id: ImageId): Promise<boolean> {
    return (await this.#storage.head(layout.imageJson(id))) !== undefined && !(await this.find(id));
  }

  async #source(repository: RepositoryName, digest: Digest, depth = 0): Promise<SourceImage | 'no image' | undefined> {
    const object = await this.#storage.read(layout.manifest(repository, digest));
    if (!object || depth > MAX_INDEX_DEPTH) return undefined;
    const bytes = object.bytes;
    const document = parseManifest(bytes);
    const { manifests, config, layers } = document;
    if (manifests.length > 0) return await this.#sourceOfIndex(repository, document, depth);
    if (!config || !isImage(document) || config.sizeBytes > MAX_CONFIG_BYTES) return 'no image';
    if (layers.length > MAX_LAYERS || repeatsMuch(layers)) return undefined;

    const wanted = [config, ...layers];
    const found = await mapConcurrently(wanted, (blob) => this.#blobs.find(repository, blob.digest));
    const links = new Map(
      found.flatMap((link, index) => (link && wanted[index] ? [[wanted[index].digest, link]] : [])),
    );
    const configLink = links.get(config.digest);
    if (!configLink || layers.some((layer) => !links.has(layer.digest))) return undefined; // bytes that lie elsewhere
    const configBytes = await readAtMost(await this.#blobs.read(configLink), MAX_CONFIG_BYTES, 'the config');
    const json = parseJson(configBytes, { maxValues: MAX_CONFIG_VALUES });
    return isJsonObject(json) ? { digest, manifest: bytes, config: json, layers, links } : undefined;
  }

  /**
   * By what the children are alone, and not by which of them are still there: of one index v1 always shows the same, and the
   * right to it is that to this child.
   */
  async #sourceOfIndex(
    repository: RepositoryName,
    { manifests, artifactType }: ManifestDocument,
    depth: number,
  ): Promise<SourceImage | 'no image' | undefined> {
    const children = artifactType === undefined ? projectedChildren(manifests) : [];
    for (const child of children.slice(0, MAX_CHILDREN)) {
      const source = await this.#source(repository, child.digest, depth + 1);
      if (source !== 'no image') return source;
    }
    return 'no image';
  }

  /** One at a time: images of equal bases are those of other views too, which may be made at the same moment. */
  async #provideOnce(image: ProjectedImage, manifest: Digest, links: Map<Digest, BlobLink>): Promise<void> {
    await this.#locks.run(image.id, () => this.#provideImage(image, manifest, links));
  }

  /** The id first; then the layer before the JSON, so that a v1 client finds all of the image or nothing. */
  async #provideImage(image: ProjectedImage, manifest: Digest, links: Map<Digest, BlobLink>): Promise<void> {
    const { id, ancestry } = image;
    // A push that lost the id to the view, and ended halfway, may have hidden it: then it is made once more.
    const [known, isComplete] = await Promise.all([this.find(id), this.#images.isComplete(id)]);
    if (known?.isComplete && isComplete) return;
    const link = links.get(image.layer.digest);
    if (!link) throw new Error(`no link for ${image.layer.digest}`);
    const record = await claimForProjection(this.#storage, id, { manifest, created: image.created });
    if (record.replacesPushedImage) await this.#clear(id);
    const layer = await this.#servedLayer(image.layer, link);
    const json = encodeText(jsonOf(image, record.created));
    await this.#layers.putDescriptor(id, layer);
    // Not where another layer lies: whoever has a link to that object, or a URL, gets what they had a right to.
    if (this.#copiesLayers && !record.replacesPushedImage) await this.#copyLayer(id, json, layer);
    await this.#storage.put(layout.imageAncestry(id), encodeText(pythonJson(ancestry)), AS_JSON);
    await this.#storage.put(layout.imageJson(id), json, AS_JSON);
    // Whoever began to push an image under this id must not hide it.
    await this.#storage.delete(layout.imageInProgress(id));
    await completeProjection(this.#storage, id, record);
  }

  /**
   * Makes way where somebody pushed an image under the id of a view. Nobody sees a mix of the two: it is hidden meanwhile.
   * Their layer stays, since links may name it, and is not looked at any more.
   */
  async #clear(id: ImageId): Promise<void> {
    await this.#images.setInProgress(id);
    const others = [layout.imageChecksum(id), layout.imageFiles(id), layout.imageDiff(id)];
    await mapConcurrently(others, (key) => this.#storage.delete(key));
  }

  /**
   * v1 clients cannot read zstd: they get the same tar as gzip. It is made once for each digest, also where many layers of
   * a manifest, or many manifests, name the same one; what cannot be unpacked is not tried again.
   */
  async #servedLayer({ mediaType, digest }: Descriptor, link: BlobLink): Promise<LayerDescriptor> {
    const format = formatOfMediaType(mediaType);
    if (format !== 'zstd') return { ...link, digest, format };
    const made = this.#gzipped.get(digest);
    if (made) return await made;
    const making = this.#unpackings.run(() => this.#gzip(link));
    this.#gzipped.set(digest, making);
    making.catch((error: unknown) => {
      if (!(error instanceof CorruptLayerError)) this.#gzipped.delete(digest);
    });
    return await making;
  }

  async #gzip(link: BlobLink): Promise<LayerDescriptor> {
    const tar = decompress(await this.#blobs.read(link), 'zstd', this.#unpackLimits);
    const stored = await settleBlob(this.#storage, await storeBlob(this.#storage, gzip(tar), {}));
    return { ...stored, format: 'gzip' };
  }

  async #copyLayer(id: ImageId, json: Uint8Array, { key }: LayerDescriptor): Promise<void> {
    const target = layout.imageLayer(id);
    // What lies there is left of an earlier try.
    if (!(await this.#storage.copyIfAbsent(key, target))) {
      await this.#storage.delete(target);
      await this.#storage.copyIfAbsent(key, target);
    }
    const object = await this.#storage.get(key);
    if (!object) throw new Error(`${key} is gone`);
    const sum = createHash('sha256').update(json).update('\n');
    for await (const chunk of object.body) sum.update(chunk);
    await writeChecksums(this.#storage, id, [`sha256:${sum.digest('hex')}`]);
  }
}

/**
 * Each image of a projection may get a checksum of its own over its layer: a manifest that names one large layer many
 * times would have it read as often.
 */
function repeatsMuch(layers: readonly Descriptor[]): boolean {
  const distinct = new Map(layers.map(({ digest, sizeBytes }) => [digest, sizeBytes]));
  const distinctBytes = sum([...distinct.values()]);
  return sum(layers.map(({ sizeBytes }) => sizeBytes)) > 2 * distinctBytes + ANY_REPETITION_BYTES;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function formatOfMediaType(mediaType: string): LayerFormat {
  if (mediaType.endsWith('zstd')) return 'zstd';
  return mediaType.endsWith('gzip') ? 'gzip' : 'tar';
}

function gzip(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return Readable.from(body, { objectMode: false }).compose(createGzip());
}
