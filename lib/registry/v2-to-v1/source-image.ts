// Reads the v2 image behind a tag: which manifest v1 clients get, its config, and the links to its layers.
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import type { JsonObject } from '../../model/json.ts';
import {
  type Descriptor,
  type IndexChild,
  MAX_INDEX_DEPTH,
  type ManifestDocument,
  MEDIA_TYPES,
  parseManifest,
} from '../../model/manifest.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import { type Bytes, MiB } from '../../streams/bytes.ts';
import type { Blobs } from '../blobs/blobs.ts';
import type { BlobLink } from '../blobs/link.ts';
import { MAX_CONFIG_BYTES, readConfig } from '../blobs/read-config.ts';
import { readManifest } from '../condemned/read-manifest.ts';
import type { PushedManifest } from '../tags/pushed-manifest.ts';

/** Above what engines run. Each image of a projection stores an ancestry of its own, so objects grow with the square. */
const MAX_LAYERS = 200;

/** How many children of an index are read in search of an image. */
const MAX_CHILDREN = 16;

/** How much a manifest may repeat layers in any case: the layers that real images repeat are empty or small. */
const MAX_REPEATED_BYTES = 64 * MiB;

const IMAGE_CONFIGS: readonly string[] = [MEDIA_TYPES.dockerConfig, MEDIA_TYPES.ociConfig];

/** Tars, compressed or not. Encrypted layers have a further suffix and do not match. */
const IMAGE_LAYER =
  /^application\/vnd\.(?:oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+(?:gzip|zstd))?|docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.(?:gzip|zstd))?)$/;

/** A v2 image that can be projected. */
export type SourceImage = {
  /** Of the image manifest; of an index this is a child. */
  digest: Digest;
  manifest: Bytes;
  config: JsonObject;
  /** Base first. */
  layers: Descriptor[];
  /** Of the config and of each layer. */
  links: ReadonlyMap<Digest, BlobLink>;
};

export class SourceImages {
  readonly #storage: StorageDriver;
  readonly #blobs: Blobs;

  constructor(storage: StorageDriver, blobs: Blobs) {
    this.#storage = storage;
    this.#blobs = blobs;
  }

  /**
   * The image that v1 clients get for a manifest. One storage request for each manifest read, one for each blob, side by side,
   * and one for the config.
   * @param pushed what the put of this manifest has read: only the config, or the children of an index, are left to be read
   * @returns `undefined` for an artifact, for an image with too many layers or too large repeated ones, and where a manifest,
   *   link or config is missing or malformed
   */
  async find(repository: RepositoryName, digest: Digest, pushed?: PushedManifest): Promise<SourceImage | undefined> {
    // The put does not look for layers that are kept outside the registry.
    const isKnown = pushed && isImage(pushed.document) && pushed.document.layers.every(isIn(pushed.links));
    const source = isKnown ? await imageOf(pushed) : await this.#read(repository, digest, 0);
    return source === 'no image' ? undefined : source;
  }

  async #read(
    repository: RepositoryName,
    digest: Digest,
    depth: number,
  ): Promise<SourceImage | 'no image' | undefined> {
    const stored = await readManifest(this.#storage, repository, digest);
    if (!stored || depth > MAX_INDEX_DEPTH) return undefined;
    const document = parseManifest(stored.bytes);
    const { manifests, config, layers } = document;
    if (manifests.length > 0) return await this.#readIndex(repository, document, depth);
    const isProjectable = isImage(document) && config && !hasTooMany(layers);
    const links = isProjectable ? await this.#findLinks(repository, [config, ...layers]) : new Map();
    const link = config && links.get(config.digest);
    const readLinked = async () => link && (await readConfig(this.#blobs, link));
    return await imageOf({ digest, bytes: stored.bytes, document, links, config: readLinked });
  }

  /**
   * The first child that is an image. A missing child ends the search, so that an index always has the same projection and a
   * grant by the index stands for this one child.
   */
  async #readIndex(
    repository: RepositoryName,
    { manifests, artifactType }: ManifestDocument,
    depth: number,
  ): Promise<SourceImage | 'no image' | undefined> {
    const children = artifactType === undefined ? childrenForV1(manifests) : [];
    for (const child of children.slice(0, MAX_CHILDREN)) {
      const source = await this.#read(repository, child.digest, depth + 1);
      if (source !== 'no image') return source;
    }
    return 'no image';
  }

  async #findLinks(repository: RepositoryName, blobs: readonly Descriptor[]): Promise<Map<Digest, BlobLink>> {
    const found = await mapConcurrently(blobs, async ({ digest }) => {
      const link = await this.#blobs.find(repository, digest);
      return link ? [[digest, link] as const] : [];
    });
    return new Map(found.flat());
  }
}

async function imageOf({
  digest,
  bytes,
  document,
  links,
  config: readConfigOf,
}: PushedManifest): Promise<SourceImage | 'no image' | undefined> {
  const { layers } = document;
  if (!isImage(document) || (document.config?.sizeBytes ?? 0) > MAX_CONFIG_BYTES) return 'no image';
  // A layer without a link is kept outside the registry.
  if (hasTooMany(layers) || !layers.every(isIn(links))) return undefined;
  const config = await readConfigOf();
  return config && { digest, manifest: bytes, config, layers, links };
}

function isIn(links: ReadonlyMap<Digest, BlobLink>): (layer: Descriptor) => boolean {
  return ({ digest }) => links.has(digest);
}

function hasTooMany(layers: readonly Descriptor[]): boolean {
  return layers.length > MAX_LAYERS || repeatsTooMuch(layers);
}

/** The children of an index that v1 clients may get: linux/amd64 first, the only platform of v1, then as listed. */
function childrenForV1(children: readonly IndexChild[]): IndexChild[] {
  const images = children.filter(({ platform, isAttestation }) => !isAttestation && platform !== 'unknown/unknown');
  const preferred = images.find(({ platform }) => platform === 'linux/amd64');
  return preferred ? [preferred, ...images.filter((child) => child !== preferred)] : images;
}

/**
 * Whether a manifest is that of a container image, the only kind that v1 knows. Signatures and attestations may have the
 * config of an image, but not its layers.
 */
function isImage({ config, layers, artifactType }: ManifestDocument): boolean {
  if (!config || !IMAGE_CONFIGS.includes(config.mediaType) || artifactType !== config.mediaType) return false;
  return layers.length > 0 && layers.every(({ mediaType }) => IMAGE_LAYER.test(mediaType));
}

/**
 * Whether a manifest names large layers many times over. Each image of a projection may get a checksum of its own, for which
 * its layer is read, so a repeated layer is read repeatedly.
 */
function repeatsTooMuch(layers: readonly Descriptor[]): boolean {
  const distinct = new Map(layers.map(({ digest, sizeBytes }) => [digest, sizeBytes]));
  const distinctBytes = sum([...distinct.values()]);
  return sum(layers.map(({ sizeBytes }) => sizeBytes)) > 2 * distinctBytes + MAX_REPEATED_BYTES;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
