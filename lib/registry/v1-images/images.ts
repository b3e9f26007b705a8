// v1 images: the objects below `images/<id>/`, as docker-registry wrote them. While `_inprogress` exists, the image is being
// pushed and is hidden from readers.

import { hash } from 'node:crypto';
import { RegistryError } from '../../model/errors.ts';
import { parseJson } from '../../model/json.ts';
import { type ImageKind, type Key, layout } from '../../model/layout.ts';
import { LruCache } from '../../model/lru-cache.ts';
import { type ImageId, isImageId } from '../../model/names.ts';
import {
  AS_TEXT,
  type ByteRange,
  type ETag,
  type ObjectInfo,
  type ReadObject,
  type StorageDriver,
} from '../../storage/driver.ts';
import { type Bytes, encodeText } from '../../streams/bytes.ts';
import { PRESIGNED_SECONDS } from '../blobs/blobs.ts';
import type { Look } from '../condemned/look.ts';
import { readChecksums } from './checksums.ts';
import type { ProjectionSource } from './image-rights.ts';
import type { ImageLayers } from './layers.ts';

/** Complete images are remembered, because a client asks for the JSON, the ancestry and the layer of each in turn. */
const REMEMBERED = { max: 10_000, ttlMs: 30_000 };

/**
 * A complete image as one listing showed it, which the requests of a pull share. `kind` is absent until a right has been decided
 * for what was read of it.
 */
export type ImageVersion = { jsonETag?: ETag; ancestryETag?: ETag; layer?: ImageLayer; kind?: ImageKind };

/** An object of an image, as it was read. */
export type PartOfImage = { name: 'json' | 'ancestry'; bytes: Bytes };

/**
 * What was read of an image. `value` is to be called once `isOfKind` has decided of which kind it is: the layer of a projection may
 * be another than the listing showed. `isOfPushed`: it is an object that was there when the image was found to be a pushed one.
 */
export type ReadOfImage<T> = { value: () => T; version?: ImageVersion; part?: PartOfImage; isOfPushed?: boolean };

/** The objects below `images/<id>/` that a pull needs. */
type ListedImage = { json?: ObjectInfo; ancestry?: ObjectInfo; layer?: ObjectInfo; isComplete: boolean };

export type ImageJson = {
  /** Byte for byte as the client sent it: checksums are computed over it. */
  bytes: Bytes;
  /** Absent if the image has no layer. */
  layerSizeBytes?: number;
  checksums: string[];
};

export type ImageLayer = { key: Key; sizeBytes: number };

/** Reads v1 images. They belong to no repository: `ImageRights` decides who may read one. */
export class Images {
  readonly #storage: StorageDriver;
  readonly #layers: ImageLayers;
  /** Complete images do not change, except that a projection may replace one: see `isOfKind`. */
  readonly #complete = new LruCache<ImageId, ImageVersion>(REMEMBERED);

  constructor(storage: StorageDriver, layers: ImageLayers) {
    this.#storage = storage;
    this.#layers = layers;
  }

  /** The JSON as the client sent it, whether or not the image is complete. One storage request. */
  async findJson(id: ImageId): Promise<Bytes | undefined> {
    const object = await this.#storage.read(layout.imageJson(id));
    return object?.bytes;
  }

  /**
   * Whether what was read of an image is of this kind. Asked after the right to it was decided for this kind, because a
   * projection may replace a pushed image in between. No storage request for a pushed image; for a projection one to find its layer,
   * unless that is remembered, and two if it has a projection record and a layer below `images/`, and was not known to be one.
   * @param read.version as it was read; undefined for what is remembered
   * @param source what grants say about the projection
   * @returns false if what was read is to be read again
   */
  async isOfKind(
    id: ImageId,
    kind: ImageKind,
    { version = this.#complete.get(id), part }: Pick<ReadOfImage<unknown>, 'version' | 'part'>,
    source?: ProjectionSource,
  ): Promise<boolean> {
    if (kind === 'projection' && source) {
      if (part && sumOf(part.bytes) !== source.content[part.name === 'json' ? 'jsonSum' : 'ancestrySum']) {
        this.#complete.delete(id);
        return false;
      }
      if (version?.kind !== kind) await this.#setProjectedLayer(id, version);
      return true;
    }
    if (!version) return true;
    const isKnown = version.kind !== undefined || kind === 'pushed';
    if (isKnown) version.kind ??= kind;
    else if (version.layer) {
      if (await this.#isProjected(id, version)) version.kind = kind;
    } else await this.#setProjectedLayer(id, version);
    if (version.kind !== kind) this.#complete.delete(id);
    return version.kind === kind;
  }

  async #setProjectedLayer(id: ImageId, version: ImageVersion | undefined): Promise<void> {
    if (!version) return;
    const layer = await this.#layers.findProjected(id);
    delete version.layer; // that of a pushed image, or a copy for docker-registry
    if (!layer) return;
    version.layer = { key: layer.key, sizeBytes: layer.sizeBytes };
    version.kind = 'projection';
  }

  /** Whether the version is that of the projection, which is there. Its descriptor is written before its ancestry and JSON. */
  async #isProjected(id: ImageId, version: ImageVersion): Promise<boolean> {
    const [layer, { json, ancestry, isComplete }] = await Promise.all([this.#layers.findProjected(id), this.#list(id)]);
    if (!layer || !isComplete || json?.etag !== version.jsonETag || ancestry?.etag !== version.ancestryETag)
      return false;
    version.layer = layer;
    return true;
  }

  /**
   * Hides the image from readers until its push, or its projection, is complete. One storage request.
   * @param look absent to hide an image again that turns out not to be whole
   */
  async setInProgress(id: ImageId, look?: Look): Promise<void> {
    await this.#storage.put(layout.imageInProgress(id), encodeText('true'), { ...AS_TEXT, ...(look && { look }) });
    this.#complete.delete(id);
  }

  /** The ids from this image down to its base, whether or not the image is complete. One storage request. */
  async findAncestry(id: ImageId): Promise<ImageId[] | undefined> {
    const object = await this.#storage.read(layout.imageAncestry(id));
    return object && parseAncestry(object);
  }

  /** Whether no push of the image is under way. One storage request. */
  async isComplete(id: ImageId): Promise<boolean> {
    return (await this.#storage.head(layout.imageInProgress(id))) === undefined;
  }

  /** Whether the image is complete, with JSON and ancestry. One storage request. */
  async isWhole(id: ImageId): Promise<boolean> {
    const { json, ancestry, isComplete } = await this.#list(id);
    return isComplete && json !== undefined && ancestry !== undefined;
  }

  /** The objects of the image below `images/`, each with its size. One storage request. */
  async listObjects(id: ImageId): Promise<ObjectInfo[]> {
    return await Array.fromAsync(this.#storage.list(layout.image(id)));
  }

  /** Whether the image has a JSON. One storage request. */
  async exists(id: ImageId): Promise<boolean> {
    return (await this.#storage.head(layout.imageJson(id))) !== undefined;
  }

  /**
   * The image's JSON with its checksums and the size of its layer. Two storage requests, and those of `#version`.
   * @throws RegistryError IMAGE_UNKNOWN, IMAGE_INCOMPLETE
   */
  async json(id: ImageId): Promise<ReadOfImage<ImageJson>> {
    const [object, version, checksums] = await Promise.all([
      this.#storage.read(layout.imageJson(id)),
      this.#version(id),
      readChecksums(this.#storage, id),
    ]);
    if (!object) throw imageUnknown();
    if (version.jsonETag !== object.info.etag && this.#complete.delete(id)) return await this.json(id);
    const value = () => ({
      ...{ bytes: object.bytes, checksums },
      ...(version.layer && { layerSizeBytes: version.layer.sizeBytes }),
    });
    return { value, version, part: { name: 'json', bytes: object.bytes } };
  }

  /** One storage request, and those of `#version`. @throws RegistryError IMAGE_UNKNOWN, IMAGE_INCOMPLETE */
  async ancestry(id: ImageId): Promise<ReadOfImage<ImageId[]>> {
    const [object, version] = await Promise.all([this.#storage.read(layout.imageAncestry(id)), this.#version(id)]);
    if (!object) throw imageUnknown();
    if (version.ancestryETag !== object.info.etag && this.#complete.delete(id)) return await this.ancestry(id);
    const ancestry = parseAncestry(object);
    const part = { name: 'ancestry', bytes: object.bytes } as const;
    return { value: () => ancestry, version, part, isOfPushed: version.kind === 'pushed' };
  }

  /** The storage requests of `#version`. @throws RegistryError IMAGE_UNKNOWN, IMAGE_INCOMPLETE */
  async layer(id: ImageId): Promise<ReadOfImage<ImageLayer>> {
    const version = await this.#version(id);
    const value = () => {
      if (!version.layer) throw imageUnknown();
      return version.layer;
    };
    return { value, version };
  }

  /**
   * None if the image is remembered; else one LIST.
   * @throws RegistryError IMAGE_INCOMPLETE
   */
  async #version(id: ImageId): Promise<ImageVersion> {
    const known = this.#complete.get(id);
    if (known) return known;
    const { json, ancestry, layer, isComplete } = await this.#list(id);
    if (!isComplete) throw imageIncomplete();
    const version = {
      ...(json && { jsonETag: json.etag }),
      ...(ancestry && { ancestryETag: ancestry.etag }),
      ...(layer && { layer: { key: layer.key, sizeBytes: layer.sizeBytes } }),
    };
    if (json) this.#complete.set(id, version);
    return version;
  }

  async #list(id: ImageId): Promise<ListedImage> {
    const objects = new Map<Key, ObjectInfo>();
    for await (const object of this.#storage.list(layout.image(id))) objects.set(object.key, object);
    const json = objects.get(layout.imageJson(id));
    const ancestry = objects.get(layout.imageAncestry(id));
    const layer = objects.get(layout.imageLayer(id));
    const isComplete = !objects.has(layout.imageInProgress(id));
    return { ...(json && { json }), ...(ancestry && { ancestry }), ...(layer && { layer }), isComplete };
  }

  /** A URL from which storage serves the layer; `undefined` if the storage has no URLs. No storage request. */
  async presignLayer(layer: ImageLayer): Promise<URL | undefined> {
    return await this.#storage.presign?.('GET', layer.key, { expiresSeconds: PRESIGNED_SECONDS });
  }

  /** The bytes of the layer, or a range of them. One storage request. @throws RegistryError IMAGE_UNKNOWN if it is deleted */
  async readLayer(layer: ImageLayer, range?: ByteRange): Promise<ReadableStream<Uint8Array>> {
    const object = await this.#storage.get(layer.key, range ? { range } : {});
    if (!object) throw imageUnknown();
    return object.body;
  }

  /**
   * The layer as it is now, not as it is remembered: a projection may have replaced it. Three storage requests, side by side.
   * @throws RegistryError IMAGE_UNKNOWN, IMAGE_INCOMPLETE
   */
  async currentLayer(id: ImageId): Promise<ImageLayer> {
    const [layer, isComplete] = await Promise.all([this.#layers.find(id), this.isComplete(id)]);
    if (!isComplete) throw imageIncomplete();
    if (!layer) throw imageUnknown();
    return layer;
  }
}

/** The ids in `images/<id>/ancestry`, this image first; `undefined` if the object is damaged. */
export function decodeAncestry(bytes: Uint8Array): ImageId[] | undefined {
  const value = parseJson(bytes);
  return Array.isArray(value) && value.every(isImageId) ? value : undefined;
}

export function imageUnknown(): RegistryError {
  return new RegistryError('IMAGE_UNKNOWN', 'Image not found');
}

function imageIncomplete(): RegistryError {
  return new RegistryError('IMAGE_INCOMPLETE', 'Image is being uploaded, retry later');
}

/** What a grant says of the JSON or the ancestry of a projection: the first 32 digits of its SHA-256. */
export function sumOf(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex').slice(0, 32);
}

/** @throws Error if storage is damaged */
function parseAncestry({ info, bytes }: ReadObject): ImageId[] {
  const ancestry = decodeAncestry(bytes);
  if (!ancestry) throw new Error(`${info.key} is not an ancestry`);
  return ancestry;
}
