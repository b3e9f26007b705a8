// The objects of a large bucket as functions of their position: nothing is stored but the order of the v1 images. Each tag names
// an index of two images and an attestation, which hold ten blobs of their own and share a base layer with others. Digests of
// manifests and ids of projections are real; the digests of blobs are made up, in ascending order, since no test reads the blobs.
import { hash } from 'node:crypto';
import { layout } from '../../lib/model/layout.ts';
import { MEDIA_TYPES } from '../../lib/model/manifest.ts';
import {
  type Digest,
  hexOf,
  type ImageId,
  type RepositoryName,
  sha256Digest,
  type Tag,
} from '../../lib/model/names.ts';
import { pythonJson } from '../../lib/model/python-json.ts';
import { encodeBlobLink } from '../../lib/registry/blobs/link.ts';
import { type Bytes, encodeText } from '../../lib/streams/bytes.ts';
import { filled, kept, type Section, Sections, type SyntheticObject, text } from './sections.ts';
import { AscendingHex, coprimeStep } from './spread.ts';

export type BucketSize = {
  repositories: number;
  tagsPerRepository: number;
  /** Blobs without a link, in addition to the ten of each tag and the base layers. */
  unlinkedBlobs?: number;
  /** Links, each with its blob, that no manifest of their repository needs. At most one for each repository. */
  unusedLinks?: number;
  /** Whether each tag is projected for v1 clients: three images of its own, on an image that it shares. */
  hasProjections?: boolean;
  /** Projections of manifests that no repository has. */
  unusedProjections?: number;
  /** The largest layer. Default 50 MiB. */
  maxLayerBytes?: number;
  /** Repositories of one namespace. Default 1,000 */
  repositoriesPerNamespace?: number;
  /** Tags of one further repository, `WIDE`, which all name the same image. */
  wideTags?: number;
  seed?: number;
};

/** Comes after all other repositories. */
export const WIDE = 'wide/app' as RepositoryName;

/** The most base layers; never more than repositories. */
const MAX_BASE_LAYERS = 100;
export const BLOBS_PER_TAG = 10;
const IMAGES_PER_TAG = 3;
const SHA256_BYTES = 32;
/** As many as a number holds exactly. */
const ID_START_DIGITS = 13;

type Image = {
  id: ImageId;
  ancestry: ImageId[];
  layer: number;
  manifest: Digest;
  grant: { name: RepositoryName; by: Digest[] };
};
type TagImages = {
  tag: Tag;
  index: Digest;
  manifests: { digest: Digest; bytes: Bytes }[];
  blobs: number[];
  projected: Digest;
};

export class SyntheticBucket {
  readonly blobCount: number;
  readonly tagCount: number;
  readonly imageCount: number;
  readonly #size: Required<BucketSize>;
  readonly #sections: Sections;
  readonly #hex: AscendingHex;
  readonly #step: number;
  /** The first digits of the id of each v1 image, as a number, and the numbers of the images in the order of their ids. */
  readonly #idStarts: Float64Array;
  readonly #imageOrder: Uint32Array;
  #lastImage: { position: number; image: Image } | undefined;
  /** The digests of each tag's index and of the child that is projected. */
  readonly #projected: Buffer;
  readonly #tags = new Map<number, TagImages[]>();
  readonly #repositories = new Map<string, SyntheticObject[]>();

  constructor(size: BucketSize) {
    this.#size = {
      unlinkedBlobs: 0,
      unusedLinks: 0,
      hasProjections: false,
      unusedProjections: 0,
      maxLayerBytes: 50 * 1024 ** 2,
      repositoriesPerNamespace: 1000,
      wideTags: 0,
      seed: 1,
      ...size,
    };
    const { repositories, tagsPerRepository, unlinkedBlobs, unusedLinks, unusedProjections } = this.#size;
    if (unusedLinks > repositories) throw new Error('at most one unused link for each repository');
    this.#hex = new AscendingHex(this.#size.seed);
    this.tagCount = repositories * tagsPerRepository;
    this.blobCount = this.#baseCount + this.tagCount * BLOBS_PER_TAG + unusedLinks + unlinkedBlobs;
    this.#step = coprimeStep(this.blobCount);
    const taggedImages = this.#size.hasProjections ? this.#baseCount + this.tagCount * IMAGES_PER_TAG : 0;
    this.imageCount = taggedImages + unusedProjections;
    this.#projected = this.#size.hasProjections ? this.#hashTags() : Buffer.alloc(0);
    this.#idStarts = new Float64Array(this.imageCount);
    for (let number = 0; number < this.imageCount; number++) {
      this.#idStarts[number] = Number.parseInt(this.#imageOfNumber(number).id.slice(0, ID_START_DIGITS), 16);
    }
    this.#imageOrder = orderOf(this.#idStarts);
    this.#sections = new Sections([
      {
        count: this.imageCount,
        start: (at) => `${layout.allImages()}${this.#imageAt(at).id}/`,
        search: (at) => layout.allImages() + this.#idStart(at),
        objects: (at) => this.#v1Objects(at),
      },
      {
        count: this.blobCount,
        start: (at) => layout.blobFolder(this.#blobAt(at)),
        objects: (at) => [this.#blobRecord(at)],
      },
      { count: this.#dataCount, start: (at) => this.#dataKey(at), objects: (at) => [this.#data(at)] },
      {
        count: this.imageCount,
        start: (at) => layout.imageRecords(this.#imageAt(at).id),
        search: (at) => layout.allImageRecords() + this.#idStart(at),
        objects: (at) => this.#imageRecords(at),
      },
      {
        count: 1,
        start: () => layout.layoutVersion(),
        objects: () => [text(layout.layoutVersion(), '{"layout":2,"minWriter":2}')],
      },
      this.#repositorySection(
        (name) => layout.ociRepository(name),
        (name, at) => this.#records(name, at),
      ),
      {
        count: this.#size.wideTags > 0 ? 1 : 0,
        start: () => layout.ociRepository(WIDE),
        objects: () => this.#wideRecords(),
      },
      this.#repositorySection(
        (name) => layout.repository(name),
        (name, at) => this.#tagObjects(name, at),
      ),
      {
        count: this.#size.wideTags,
        start: (at) => layout.tag(WIDE, wideTag(at)),
        objects: (at) => [text(layout.tag(WIDE, wideTag(at)), hexOf(this.#wideImage().digest))],
      },
    ]);
  }

  #repositorySection(
    folderOf: (name: RepositoryName) => string,
    objectsOf: (name: RepositoryName, at: number) => SyntheticObject[],
  ): Section {
    const start = (at: number) => folderOf(this.#nameOf(at));
    return {
      count: this.#size.repositories,
      start,
      objects: (at) => kept(this.#repositories, start(at), () => objectsOf(this.#nameOf(at), at).toSorted(inOrder)),
    };
  }

  find(key: string): SyntheticObject | undefined {
    return this.#sections.find(key);
  }

  list(prefix: string, after: string): Generator<SyntheticObject> {
    return this.#sections.list(prefix, after);
  }

  /** What the bucket holds, by what it is. */
  get contents(): Record<string, number> {
    const { wideTags, repositories } = this.#size;
    return {
      repositories: repositories + (wideTags > 0 ? 1 : 0),
      tags: this.tagCount + wideTags,
      blobs: this.blobCount,
      'v1 images': this.imageCount,
    };
  }

  #nameOf(repository: number): RepositoryName {
    return repositoryName(repository, this.#size.repositoriesPerNamespace);
  }

  #wideImage(): { digest: Digest; bytes: Bytes } {
    return this.#image(this.#blobsOf(0).slice(0, 3));
  }

  #wideRecords(): SyntheticObject[] {
    const { digest, bytes } = this.#wideImage();
    const links = this.#blobsOf(0)
      .slice(0, 3)
      .map((position) => this.#link(WIDE, position));
    const manifest = { key: layout.manifest(WIDE, digest), sizeBytes: bytes.length, bytes: () => bytes };
    return [...links, manifest].toSorted(inOrder);
  }

  // Blobs. A slot says what a blob is for; its position in byte order is a permutation of the slots.

  #positionOfSlot(slot: number): number {
    return (slot * this.#step) % this.blobCount;
  }

  #blobAt(position: number): Digest {
    return sha256Digest(this.#hex.at(position, this.blobCount, 64));
  }

  #base(repository: number): number {
    return this.#positionOfSlot(repository % this.#baseCount);
  }

  get #baseCount(): number {
    return Math.min(MAX_BASE_LAYERS, this.#size.repositories);
  }

  /** A quarter of the blobs came with an unknown digest, so that their bytes are at `oci/data/`. */
  get #dataCount(): number {
    return Math.ceil(this.blobCount / 4);
  }

  #dataUuid(position: number): string {
    return uuidOf(this.#hex.at(position, this.#dataCount, 32));
  }

  #dataKey(position: number): string {
    return layout.data(this.#dataUuid(position));
  }

  #data(position: number): SyntheticObject {
    return filled(this.#dataKey(position), this.#sizeOf(position * 4));
  }

  #sizeOf(position: number): number {
    return 1 + (Number.parseInt(this.#hex.at(position, this.blobCount, 20).slice(12), 16) % this.#size.maxLayerBytes);
  }

  #blobRecord(position: number): SyntheticObject {
    const digest = this.#blobAt(position);
    if (position % 4 > 0) return filled(this.#blobKey(position), this.#sizeOf(position));
    return text(layout.blobPointer(digest, this.#dataUuid(position / 4), this.#sizeOf(position)), '');
  }

  /** The key of the bytes. */
  #blobKey(position: number): string {
    if (position % 4 === 0) return this.#dataKey(position / 4);
    const digest = this.#blobAt(position);
    return layout.blobCopy(digest, uuidOf(hexOf(digest).slice(-32)));
  }

  // Repositories

  #tagsOf(repository: number): TagImages[] {
    const first = repository * this.#size.tagsPerRepository;
    return kept(this.#tags, repository, () =>
      Array.from({ length: this.#size.tagsPerRepository }, (_, index) => this.#tag(first + index)),
    );
  }

  /** The positions of the blobs of a tag: the base layer, then its own. */
  #blobsOf(number: number): number[] {
    const firstSlot = this.#baseCount + number * BLOBS_PER_TAG;
    const own = Array.from({ length: BLOBS_PER_TAG }, (_, blob) => this.#positionOfSlot(firstSlot + blob));
    return [this.#base(Math.floor(number / this.#size.tagsPerRepository)), ...own];
  }

  #tag(number: number): TagImages {
    const [base = 0, ...own] = this.#blobsOf(number);
    const parts = [
      { platform: 'amd64', blobs: [...own.slice(0, 1), base, ...own.slice(1, 4)] },
      { platform: 'arm64', blobs: [...own.slice(4, 5), base, ...own.slice(5, 8)] },
      { platform: 'unknown', blobs: own.slice(8) },
    ];
    const children = parts.map(({ platform, blobs }) => ({ platform, ...this.#image(blobs) }));
    const entries = children.map(({ platform, digest, bytes }) => ({
      mediaType: MEDIA_TYPES.ociManifest,
      digest,
      size: bytes.length,
      platform: { architecture: platform, os: platform === 'unknown' ? 'unknown' : 'linux' },
    }));
    const list = manifestOf({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: entries });
    const [projected] = children;
    if (!projected) throw new Error('an index has children');
    const tag = `v1.${String(number % this.#size.tagsPerRepository).padStart(4, '0')}` as Tag;
    return {
      tag,
      index: list.digest,
      manifests: [list, ...children],
      blobs: [base, ...own],
      projected: projected.digest,
    };
  }

  #image(blobs: number[]): { digest: Digest; bytes: Bytes } {
    const [config, ...layers] = blobs.map((position) => ({
      digest: this.#blobAt(position),
      size: this.#sizeOf(position),
    }));
    return manifestOf({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociManifest,
      config: { mediaType: MEDIA_TYPES.ociConfig, ...config },
      layers: layers.map((layer) => ({ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...layer })),
    });
  }

  #records(name: RepositoryName, repository: number): SyntheticObject[] {
    const tags = this.#tagsOf(repository);
    const unusedSlot = this.#baseCount + this.tagCount * BLOBS_PER_TAG + repository;
    const unused = repository < this.#size.unusedLinks ? [this.#positionOfSlot(unusedSlot)] : [];
    const linked = new Set([...tags.flatMap(({ blobs }) => blobs), ...unused]);
    return [
      ...Array.from(linked, (position) => this.#link(name, position)),
      ...tags.flatMap(({ tag, index, manifests }) => [
        text(
          layout.historyEntry(name, { tag, atMs: 1_700_000_000_000, target: `sha256-${hexOf(index)}` }),
          '{"by":"ci"}',
        ),
        ...manifests.map(({ digest, bytes }) => ({
          key: layout.manifest(name, digest),
          sizeBytes: bytes.length,
          bytes: () => bytes,
        })),
      ]),
    ];
  }

  #link(name: RepositoryName, position: number): SyntheticObject {
    const key = this.#blobKey(position) as ReturnType<typeof layout.data>;
    const bytes = Uint8Array.from(encodeBlobLink({ sizeBytes: this.#sizeOf(position), key }));
    return { key: layout.blobLink(name, this.#blobAt(position)), sizeBytes: bytes.length, bytes: () => bytes };
  }

  #tagObjects(name: RepositoryName, repository: number): SyntheticObject[] {
    const tags = this.#tagsOf(repository);
    const index = pythonJson(tags.map(({ index }) => ({ id: hexOf(index) })));
    return [
      text(layout.indexImages(name), index),
      ...tags.flatMap(({ tag, index }) => [
        text(layout.tag(name, tag), hexOf(index)),
        text(layout.legacyTagJson(name, tag), '{"arch": "amd64", "last_update": 1700000000, "os": "linux"}'),
      ]),
    ];
  }

  // v1 images: those of base layers, then three for each tag, then those that no manifest leads to.

  #hashTags(): Buffer {
    const digests = Buffer.alloc(this.tagCount * 2 * SHA256_BYTES);
    for (let number = 0; number < this.tagCount; number++) {
      const { index, projected } = this.#tag(number);
      digests.write(hexOf(index) + hexOf(projected), number * 2 * SHA256_BYTES, 'hex');
    }
    return digests;
  }

  /** The digits of an id that its position in the order depends on. */
  #idStart(position: number): string {
    const start = this.#idStarts[this.#imageOrder[position] ?? 0] ?? 0;
    // Two small integers: V8 converts a large number to text far more slowly.
    const [high, low] = [Math.floor(start / 16 ** 7), start % 16 ** 7];
    return high.toString(16).padStart(ID_START_DIGITS - 7, '0') + low.toString(16).padStart(7, '0');
  }

  #imageAt(position: number): Image {
    if (this.#lastImage?.position !== position) {
      this.#lastImage = { position, image: this.#imageOfNumber(this.#imageOrder[position] ?? 0) };
    }
    return this.#lastImage.image;
  }

  #imageOfNumber(number: number): Image {
    const tagged = this.imageCount - this.#size.unusedProjections;
    if (number >= tagged) return this.#unusedImage(number - tagged);
    if (number < this.#baseCount) {
      const firstTag = number * this.#size.tagsPerRepository;
      return this.#chainOf(firstTag)[0] ?? fail();
    }
    const tag = Math.floor((number - this.#baseCount) / IMAGES_PER_TAG);
    return this.#chainOf(tag)[1 + ((number - this.#baseCount) % IMAGES_PER_TAG)] ?? fail();
  }

  /** The projection of a tag, base first. */
  #chainOf(tag: number): Image[] {
    const at = tag * 2 * SHA256_BYTES;
    const index = sha256Digest(this.#projected.toString('hex', at, at + SHA256_BYTES));
    const projected = sha256Digest(this.#projected.toString('hex', at + SHA256_BYTES, at + 2 * SHA256_BYTES));
    const [base = 0, , ...own] = this.#blobsOf(tag);
    const layers = [base, ...own.slice(0, 3)];
    const digests = layers.slice(0, -1).map((position) => this.#blobAt(position));
    const ids = [...chainOf(digests), hexOf(index) as ImageId];
    const repository = Math.floor(tag / this.#size.tagsPerRepository);
    const grant = { name: this.#nameOf(repository), by: [index, projected] };
    return ids.map((id, at) => ({
      id,
      ancestry: ids.slice(0, at + 1).toReversed(),
      layer: layers[at] ?? base,
      manifest: index,
      grant,
    }));
  }

  #unusedImage(number: number): Image {
    const id = hash('sha256', `unused ${this.#size.seed} ${number}`, 'hex') as ImageId;
    const manifest = sha256Digest(id);
    const grant = { name: this.#nameOf(number % this.#size.repositories), by: [manifest] };
    return { id, ancestry: [id], layer: this.#positionOfSlot(number % this.blobCount), manifest, grant };
  }

  #v1Objects(position: number): SyntheticObject[] {
    const { id, ancestry } = this.#imageAt(position);
    const [, parent] = ancestry;
    return [
      text(layout.imageAncestry(id), pythonJson(ancestry)),
      text(layout.imageJson(id), JSON.stringify({ id, ...(parent && { parent }) })),
    ];
  }

  #imageRecords(position: number): SyntheticObject[] {
    const { id, ancestry, layer, manifest, grant } = this.#imageAt(position);
    const digest = this.#blobAt(layer);
    const descriptor = {
      size: this.#sizeOf(layer),
      digest,
      diffId: digest,
      format: 'gzip',
      key: this.#blobKey(layer),
    };
    const isTop = sha256Digest(id) === manifest;
    const record = { manifest, below: isTop ? ancestry.slice(1).toReversed() : [], made: true, replaces: false };
    const by =
      grant.by.length > 1 ? ([grant.by[0] ?? manifest, grant.by[1] ?? manifest] as const) : ([manifest] as const);
    return [
      text(layout.imageBlob(id, digest), ''),
      text(layout.imageLayerDescriptor(id), JSON.stringify(descriptor)),
      text(layout.projectionRecord(id), JSON.stringify(record)),
      text(layout.manifestGrant(id, grant.name, [...by]), ''),
    ];
  }
}

/** As `chainIds`, by a function of OpenSSL that leaves no object behind: ten million of them would take up more than the collector. */
export function chainOf(layers: readonly Digest[]): ImageId[] {
  const ids: ImageId[] = [];
  for (const layer of layers) {
    const parent = ids.at(-1);
    ids.push(hash('sha256', parent ? `${parent} ${layer}` : layer, 'hex') as ImageId);
  }
  return ids;
}

function orderOf(starts: Float64Array): Uint32Array {
  const order = Uint32Array.from({ length: starts.length }, (_, number) => number);
  order.sort((one, other) => (starts[one] ?? 0) - (starts[other] ?? 0));
  for (let at = 1; at < order.length; at++) {
    const [before, current] = [order[at - 1] ?? 0, order[at] ?? 0];
    if (starts[before] === starts[current]) throw new Error('two ids begin alike: use another seed');
  }
  return order;
}

function inOrder(one: SyntheticObject, other: SyntheticObject): number {
  return one.key < other.key ? -1 : 1;
}

/** @param perNamespace how many repositories a namespace has */
export function repositoryName(number: number, perNamespace: number): RepositoryName {
  const namespace = String(Math.floor(number / perNamespace)).padStart(4, '0');
  return `team-${namespace}/app-${String(number).padStart(7, '0')}` as RepositoryName;
}

export function wideTag(number: number): Tag {
  return `b${String(number).padStart(7, '0')}` as Tag;
}

function manifestOf(document: unknown): { digest: Digest; bytes: Bytes } {
  const bytes = encodeText(JSON.stringify(document));
  return { digest: sha256Digest(hash('sha256', bytes, 'hex')), bytes };
}

function uuidOf(hex: string): string {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
}

function fail(): never {
  throw new Error('the synthetic bucket is inconsistent');
}
