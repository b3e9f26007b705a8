// Counts who uses which bytes, exactly: each object of storage is listed once and put down to the repositories that use it. Bytes
// that are stored once for several objects, as files with several names, are put down once to the users of all of them. Joins
// wait in memory and temporary files (`Spill`), so the memory is that of the sums of all repositories and one 256th of all links.
//
//  repositories/  oci/repositories/   links by digest, and the images that tags name
//  images/        oci/images/         the ancestry of these; sizes of layers; markers
//  oci/blobs/                         which key each link names; links that name the layer of an image count as its users
//  (no listing)                       layers, and what markers name, by the users of their images
//  oci/data/                          the users of its pointers
//  (no listing)                       bytes that several objects share, by their ETag; layers by their digest
import { hash } from 'node:crypto';
import {
  digestOfImageBlob,
  imageOfLayer,
  type Key,
  lastPartOf,
  layout,
  parseRepositoryRecord,
  parseTagKey,
  tagOf,
  withoutTwiceQuoting,
} from '../../model/layout.ts';
import { type Digest, type ImageId, isDigest, isImageId, type RepositoryName } from '../../model/names.ts';
import type { ETag, ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import { CONDEMNED_LINK_BYTES } from '../blobs/link.ts';
import type { V1ImagesPolicy } from '../collector/image-reasons.ts';
import { GONE_BYTES } from '../condemned/gone.ts';
import { type DigestFolder, digestFolders, nameOfDigest } from '../inventory/digest-folders.ts';
import { DigestSet } from '../inventory/digest-set.ts';
import { isAbsentAsListed } from '../inventory/gone-forms.ts';
import { type ListedLink, resolveLinks } from '../inventory/link-targets.ts';
import { foldersInLockstep } from '../inventory/lockstep.ts';
import { objectsOutside } from '../inventory/objects-outside.ts';
import { joinWithSpill, Spill } from '../inventory/spill.ts';
import type { Tags } from '../tags/tags.ts';
import { decodeAncestry } from '../v1-images/images.ts';
import { readLayerDescriptor } from '../v1-images/layers.ts';
import { describedLayer, saysProjection } from '../v1-images/projection-record.ts';
import { Ledger, type RepositoryIndex } from './ledger.ts';

/**
 * A blob or layer and the repositories that use it. `layer` is its digest, or the key of the layer of a v1 image whose digest is not
 * known. `storedBytes` is the size of all its copies.
 */
export type LayerUsage = {
  layer: Digest | Key;
  sizeBytes: number;
  storedBytes: number;
  repositories: RepositoryName[];
};

export type MeasureOptions = {
  /** Whether the collector removes v1 images that v1 clients pushed once no tag leads to them. */
  v1Images: V1ImagesPolicy;
  /** Called for each object of a listing. What it throws ends the run. */
  onObject?: () => void;
  /** Called once for each blob and layer, at the end. */
  onLayer?: (layer: LayerUsage) => void;
};

type DigestUser = { kind: 'link'; index: RepositoryIndex; listed: ListedLink } | { kind: 'marker'; image: string };

/** The bytes of an object. `sharedAs` is the ETag of all objects that share them; absent where they are of this one alone. */
type Stored = { sizeBytes: number; sharedAs?: ETag };

type ImageFact =
  | { kind: 'user'; index: RepositoryIndex }
  | { kind: 'layer'; stored: Stored; isKept: boolean }
  | { kind: 'digest'; digest: Digest }
  | { kind: 'marked'; digest: Digest; key: Key; stored: Stored };

type Used = { users: RepositoryIndex[]; stored: Stored };

/** A copy of a layer. `key` if it is the object of a v1 image. */
type LayerCopy = Used & { key?: Key };

/** Tags that are resolved together, and manifests up to which they are matched with them. */
const TAGS_AT_ONCE = 1000;
const MAX_MATCHED = 100_000;

const LISTED = [
  layout.repositories(),
  layout.ociRepositories(),
  layout.allImages(),
  layout.allImageRecords(),
  layout.blobs(),
  layout.allData(),
];

/** One storage request per 1,000 objects, one for each tag and link that its ETag does not tell, and one for each tagged image. */
export async function measure(storage: StorageDriver, tags: Tags, options: MeasureOptions): Promise<Ledger> {
  const measurement = new Measurement(storage, tags, options);
  try {
    await measurement.repositories();
    await measurement.images();
    await measurement.blobs();
    await measurement.layers();
    await measurement.data();
    await measurement.rest();
    await measurement.sharedBytes();
    await measurement.tellLayers();
    return measurement.ledger;
  } finally {
    await measurement.close();
  }
}

class Measurement {
  readonly ledger = new Ledger();
  readonly #storage: StorageDriver;
  readonly #tags: Tags;
  readonly #options: MeasureOptions;
  readonly #indexes = new Map<RepositoryName, RepositoryIndex>();
  readonly #digestUsers = new Spill<DigestUser>();
  readonly #tops = new Spill<RepositoryIndex>();
  readonly #imageFacts = new Spill<ImageFact>();
  /** The users of bytes that markers of images name, each link and image by itself. */
  readonly #markedBytes = new Spill<Used>();
  readonly #dataUsers = new Spill<{ users: RepositoryIndex[]; digest: Digest }>();
  /** By a hash of their ETag. */
  readonly #sharedBytes = new Spill<Used & { isKept: boolean }>();
  /** By digest, or by image id. */
  readonly #layers = new Spill<LayerCopy>();

  constructor(storage: StorageDriver, tags: Tags, options: MeasureOptions) {
    this.#storage = storage;
    this.#tags = tags;
    this.#options = options;
  }

  async close(): Promise<void> {
    const joins = [this.#digestUsers, this.#tops, this.#imageFacts, this.#markedBytes, this.#dataUsers];
    for (const spill of [...joins, this.#sharedBytes, this.#layers]) await spill.close();
  }

  readonly #addStray = async (object: ObjectInfo): Promise<void> => this.#addMetadata(object);

  #addMetadata({ sizeBytes }: ObjectInfo, index?: RepositoryIndex): void {
    this.#options.onObject?.();
    this.ledger.addMetadata(sizeBytes, index);
  }

  /** @param options.layer what they are the bytes of: its digest or image, as a name in a spill; `key` as in `LayerCopy` */
  async #addBytes(
    { stored, users }: Used,
    { layer, key, isKept = false }: { layer?: string; key?: Key; isKept?: boolean } = {},
  ): Promise<void> {
    this.#options.onObject?.();
    if (layer !== undefined && this.#options.onLayer)
      await this.#layers.add(layer, { stored, users, ...(key && { key }) });
    const { sizeBytes, sharedAs } = stored;
    if (sharedAs === undefined) this.ledger.addBytes(sizeBytes, users, { isKept });
    else await this.#sharedBytes.add(hash('sha256', sharedAs), { stored, users, isKept });
  }

  /** Twice-quoted folders hold tags of the repository with the once-quoted one. */
  #indexOf(folder: string): RepositoryIndex | undefined {
    const name = parseTagKey(withoutTwiceQuoting(`repositories/${folder}/tag_x` as Key))?.repository;
    if (name === undefined) return undefined;
    const index = this.#indexes.get(name) ?? this.ledger.addRepository(name);
    this.#indexes.set(name, index);
    return index;
  }

  async repositories(): Promise<void> {
    const folders = foldersInLockstep(this.#storage, {
      objects: layout.repositories(),
      records: layout.ociRepositories(),
      depth: 2,
      onStray: this.#addStray,
    });
    for await (const { name, objects, records } of folders) {
      const index = this.#indexOf(name);
      const manifests = new DigestSet();
      for await (const object of records) {
        this.#addMetadata(object, index);
        if (index !== undefined) await this.#takeRecord(object, index, manifests);
      }
      if (index !== undefined) this.ledger.at(index).manifests += manifests.size;
      let batch: ObjectInfo[] = [];
      for await (const object of objects) {
        this.#addMetadata(object, index);
        if (index === undefined || !layout.isTag(object.key)) continue;
        batch.push(object);
        if (batch.length < TAGS_AT_ONCE) continue;
        await this.#takeTags(index, batch, manifests);
        batch = [];
      }
      if (index !== undefined) await this.#takeTags(index, batch, manifests);
    }
  }

  async #takeRecord(object: ObjectInfo, index: RepositoryIndex, manifests: DigestSet): Promise<void> {
    const record = parseRepositoryRecord(object.key);
    if (!record || !('digest' in record) || !isDigest(record.digest)) return;
    if (object.sizeBytes === GONE_BYTES && (await isAbsentAsListed(this.#storage, object))) return;
    if (record.kind === 'manifest') {
      manifests.add(record.digest);
      this.#notePush(index, object);
    } else if (record.kind === 'link') {
      const { etag, sizeBytes } = object;
      const listed = { repository: record.repository, etag, sizeBytes };
      await this.#digestUsers.add(nameOfDigest(record.digest), { kind: 'link', index, listed });
    }
  }

  #notePush(index: RepositoryIndex, { lastModified }: ObjectInfo): void {
    const usage = this.ledger.at(index);
    const at = lastModified.toISOString();
    if (usage.lastPush === undefined || usage.lastPush < at) usage.lastPush = at;
  }

  async #takeTags(index: RepositoryIndex, objects: readonly ObjectInfo[], manifests: DigestSet): Promise<void> {
    const { repository } = this.ledger.at(index);
    const hints = { manifests: manifests.size <= MAX_MATCHED ? [...manifests] : [] };
    const resolved = await this.#tags.resolveObjects(repository, objects, hints);
    const listed = new Map(objects.map((object) => [tagOf(object.key), object]));
    const tops = new Set<ImageId>();
    for (const { tag, target } of resolved) {
      this.ledger.at(index).tags++;
      const object = listed.get(tag);
      if (object) this.#notePush(index, object);
      if (target.imageId) tops.add(target.imageId);
    }
    for (const top of tops) await this.#tops.add(top, index);
  }

  async images(): Promise<void> {
    for await (const { name, group, records } of joinWithSpill(this.#listImages(), this.#tops)) {
      if (!group?.hasAncestry || records.length === 0) continue;
      const object = await this.#storage.read(layout.imageAncestry(name as ImageId));
      const ancestry = (object && decodeAncestry(object.bytes)) ?? [];
      for (const index of new Set(records)) {
        for (const id of ancestry) await this.#imageFacts.add(id, { kind: 'user', index });
      }
    }
  }

  async *#listImages(): AsyncGenerator<{ name: string; hasAncestry: boolean }> {
    const folders = foldersInLockstep(this.#storage, {
      objects: layout.allImages(),
      records: layout.allImageRecords(),
      depth: 1,
      onStray: this.#addStray,
    });
    for await (const { name, objects, records } of folders) {
      let layer: ObjectInfo | undefined;
      let hasAncestry = false;
      let isProjection = false;
      let digest: Digest | undefined;
      for await (const object of objects) {
        const part = lastPartOf(object.key);
        if (part === 'layer' && isImageId(name)) layer = object;
        else this.#addMetadata(object);
        if (part === 'ancestry') hasAncestry = true;
      }
      for await (const object of records) {
        this.#addMetadata(object);
        if (saysProjection(object.key)) isProjection = true;
        const marked = digestOfImageBlob(object.key);
        if (marked && isDigest(marked)) {
          await this.#digestUsers.add(nameOfDigest(marked), { kind: 'marker', image: name });
        }
        digest ??= marked ?? describedLayer(object.key);
      }
      if (layer) {
        const isKept = !isProjection && this.#options.v1Images === 'keep';
        await this.#imageFacts.add(name, { kind: 'layer', stored: storedOf(layer), isKept });
        if (digest && isDigest(digest)) await this.#imageFacts.add(name, { kind: 'digest', digest });
      }
      if (isImageId(name)) yield { name, hasAncestry };
    }
  }

  async blobs(): Promise<void> {
    for await (const { name, group, records } of joinWithSpill(
      digestFolders(this.#storage, this.#addStray),
      this.#digestUsers,
    )) {
      await this.#takeDigest(digestNamed(name), group, records);
    }
  }

  async #takeDigest(digest: Digest, folder: DigestFolder | undefined, users: readonly DigestUser[]): Promise<void> {
    const links = users.filter((user) => user.kind === 'link');
    const indexes = new Map(links.map(({ listed, index }) => [listed.repository, index]));
    const resolved = await resolveLinks(
      this.#storage,
      digest,
      folder,
      // Bytes that condemned links name are freed with them.
      links.flatMap(({ listed }) => (listed.sizeBytes < CONDEMNED_LINK_BYTES ? [listed] : [])),
    );
    const byKey = new Map<Key, Set<RepositoryIndex>>();
    for (const { repository, target, isCondemned } of resolved) {
      const index = indexes.get(repository);
      if (!target || isCondemned || index === undefined) continue;
      const image = imageOfLayer(target.key);
      if (image) {
        await this.#imageFacts.add(image, { kind: 'user', index });
        await this.#imageFacts.add(image, { kind: 'digest', digest });
      } else byKey.set(target.key, (byKey.get(target.key) ?? new Set()).add(index));
    }
    const images = users.flatMap((user) => (user.kind === 'marker' ? [user.image as ImageId] : []));
    const { plain, bytes = [], marksAlone = [] } = folder ?? {};
    const objects = [
      ...(plain ? [{ key: plain.key, stored: storedOf(plain), uuid: undefined }] : []),
      ...bytes.map(({ key, sizeBytes, uuid, kind, record }) => ({
        key,
        stored: kind === 'pointer' ? { sizeBytes } : storedOf(record),
        uuid: kind === 'pointer' ? uuid : undefined,
      })),
    ];
    const marked = await this.#markedBy(images, objects.length);
    for (const { record, kind, isMarked } of bytes) {
      if (kind === 'pointer') this.#addMetadata(record);
      if (isMarked) this.#addMetadata({ ...record, sizeBytes: 0 });
    }
    for (const mark of marksAlone) this.#addMetadata(mark);
    for (const { key, stored, uuid } of objects) {
      const users = [...(byKey.get(key) ?? [])];
      const naming = images.filter((image) => (marked.get(image) ?? key) === key);
      for (const image of naming) await this.#imageFacts.add(image, { kind: 'marked', digest, key, stored });
      if (naming.length > 0) await this.#markedBytes.add(nameOfBytes(digest, key), { users, stored });
      else if (uuid !== undefined) await this.#dataUsers.add(uuid, { users, digest });
      else await this.#addBytes({ stored, users }, { layer: nameOfDigest(digest) });
    }
  }

  /** Which bytes the layers of images name, where there are several. */
  async #markedBy(images: readonly ImageId[], objects: number): Promise<Map<ImageId, Key>> {
    const keys = new Map<ImageId, Key>();
    if (objects < 2) return keys;
    for (const image of images) {
      const layer = await readLayerDescriptor(this.#storage, image);
      if (layer) keys.set(image, layer.key);
    }
    return keys;
  }

  /** Layers of images, and bytes that their markers name. */
  async layers(): Promise<void> {
    for await (const { name, records } of joinWithSpill(nothing(), this.#imageFacts)) {
      const users = [...new Set(records.flatMap((fact) => (fact.kind === 'user' ? [fact.index] : [])))];
      const [digest] = records.flatMap((fact) => (fact.kind === 'digest' ? [fact.digest] : []));
      for (const fact of records) {
        if (fact.kind === 'layer') {
          const { stored, isKept } = fact;
          const key = layout.imageLayer(name as ImageId);
          await this.#addBytes({ stored, users }, { layer: digest ? nameOfDigest(digest) : name, key, isKept });
        }
        if (fact.kind === 'marked') {
          await this.#markedBytes.add(nameOfBytes(fact.digest, fact.key), { users, stored: fact.stored });
        }
      }
    }
    for await (const { name, records } of joinWithSpill(nothing(), this.#markedBytes)) {
      const users = usersOf(records);
      const [layer = '', key = ''] = name.split(' ');
      const [{ stored } = { stored: { sizeBytes: 0 } }] = records;
      if (layout.isData(key as Key))
        await this.#dataUsers.add(lastPartOf(key as Key), { users, digest: digestNamed(layer) });
      else await this.#addBytes({ stored, users }, { layer });
    }
  }

  async data(): Promise<void> {
    for await (const { group, records } of joinWithSpill(this.#listData(), this.#dataUsers)) {
      if (!group) continue;
      const [pointer] = records;
      const layer = pointer && { layer: nameOfDigest(pointer.digest) };
      await this.#addBytes({ stored: group.stored, users: usersOf(records) }, layer);
    }
  }

  async *#listData(): AsyncGenerator<{ name: string; stored: Stored }> {
    for await (const object of this.#storage.list(layout.allData())) {
      yield { name: object.key.slice(layout.allData().length), stored: storedOf(object) };
    }
  }

  async sharedBytes(): Promise<void> {
    for await (const { records } of joinWithSpill(nothing(), this.#sharedBytes)) {
      const [{ stored } = { stored: { sizeBytes: 0 } }] = records;
      const isKept = records.some((record) => record.isKept);
      this.ledger.addBytes(stored.sizeBytes, usersOf(records), { isKept, objects: records.length });
    }
  }

  async tellLayers(): Promise<void> {
    for await (const { name, records } of joinWithSpill(nothing(), this.#layers)) {
      const blob = records.find(({ key }) => key === undefined) ?? records[0];
      // The digest of an image whose layer v2 cannot serve is that of the unpacked layer.
      const isSame = ({ stored }: LayerCopy) => stored.sizeBytes === blob?.stored.sizeBytes;
      const same = records.filter(isSame);
      this.#tellLayer(name.includes('/') ? digestNamed(name) : layout.imageLayer(name as ImageId), same);
      for (const record of records) if (!isSame(record) && record.key) this.#tellLayer(record.key, [record]);
    }
  }

  #tellLayer(layer: Digest | Key, copies: readonly LayerCopy[]): void {
    const sizeBytes = copies[0]?.stored.sizeBytes ?? 0;
    const shared = new Set(copies.flatMap(({ stored: { sharedAs } }) => sharedAs ?? []));
    const alone = copies.filter(({ stored: { sharedAs } }) => sharedAs === undefined);
    const storedBytes = sizeBytes * (shared.size + alone.length);
    const repositories = usersOf(copies).map((index) => this.ledger.at(index).repository);
    this.#options.onLayer?.({ layer, sizeBytes, storedBytes, repositories });
  }

  async rest(): Promise<void> {
    for await (const object of objectsOutside(this.#storage, LISTED)) {
      if (object.key.startsWith(layout.uploadScraps())) await this.#addBytes({ stored: storedOf(object), users: [] });
      else this.#addMetadata(object);
    }
  }
}

function storedOf({ sizeBytes, etag, sharesBytes }: ObjectInfo): Stored {
  return { sizeBytes, ...(sharesBytes && { sharedAs: etag }) };
}

function usersOf(records: readonly { users: RepositoryIndex[] }[]): RepositoryIndex[] {
  return [...new Set(records.flatMap(({ users }) => users))];
}

/** The inverse of `nameOfDigest`. */
function digestNamed(name: string): Digest {
  return name.replace('/', ':') as Digest;
}

function nameOfBytes(digest: Digest, key: Key): string {
  return `${nameOfDigest(digest)} ${key}`;
}

async function* nothing(): AsyncGenerator<{ name: string }> {}
