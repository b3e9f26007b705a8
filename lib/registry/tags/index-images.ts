import { RegistryError } from '../../model/errors.ts';
import { isJsonObject, isJsonWithin, type JsonObject, parseJson } from '../../model/json.ts';
import { layout } from '../../model/layout.ts';
import { type ImageId, isImageId, type RepositoryName } from '../../model/names.ts';
import { pythonJson } from '../../model/python-json.ts';
import { compareAndSwap } from '../../storage/compare-and-swap.ts';
import { AS_JSON, type StorageDriver, unchanged } from '../../storage/driver.ts';
import { type Bytes, encodeText, KiB, MiB } from '../../streams/bytes.ts';

/**
 * The most images in one announcement, and in the stored list, which grows with every push and keeps the newest. An engine
 * announces the images of the tags that it pushes: at most 127 for each tag, most of them shared between tags.
 */
export const MAX_ENTRIES = 20_000;
export const MAX_INDEX_BYTES = 4 * MiB;

/** JSON values of one entry: names and values of id, checksum and tag, and the entry itself with a spare. */
const VALUES_OF_ENTRY = 8;

const SHORT_TEXT = /^[\x20-\x7e]{0,256}$/;

/** An announcement up to this size is always parsed, so that the error says exactly what is wrong with it. */
const SMALL_BYTES = 64 * KiB;

/** An entry as it is stored. Clients send more fields, which are dropped. */
type IndexEntry = { id: string; checksum?: string };

/** Ids to add to the stored list, and ids to remove from it. One that is in both is kept. */
export type IndexChange = { added: ReadonlySet<string>; removed: ReadonlySet<string> };

/** `_index_images`: the list of a repository's v1 images, which clients announce before a push and read before a pull. */
export class IndexImages {
  readonly #storage: StorageDriver;

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /** The stored bytes. One storage request. */
  async find(repository: RepositoryName): Promise<Bytes | undefined> {
    const object = await this.#storage.read(layout.indexImages(repository));
    return object?.bytes;
  }

  /**
   * Adds the images that a client announces. The first list of a repository is stored byte for byte; later ones are merged
   * into it. Two storage requests, and again as many each time another push has written in between.
   * @param bytes a JSON array of `{id, checksum?}`
   * @throws RegistryError INDEX_INVALID; SIZE_INVALID if it names more than 20,000 images
   */
  async announce(repository: RepositoryName, bytes: Uint8Array): Promise<void> {
    const announced = parseEntries(bytes);
    const key = layout.indexImages(repository);
    await compareAndSwap(key, {
      read: () => this.#storage.read(key),
      write: async (object) => {
        const after = object ? encode(merge(announced, readEntries(object.bytes))) : bytes;
        if (object && Buffer.from(object.bytes).equals(after)) return object.info.etag;
        return await this.#storage.put(key, after, { ...AS_JSON, ...unchanged(object?.info) });
      },
    });
  }

  /**
   * Adds and removes images. One storage request to read the list, one if the change makes a difference, and again as many
   * each time another process has written in between.
   * @param chooseChange is given the ids in the list, as it is now
   */
  async update(
    repository: RepositoryName,
    chooseChange: (ids: readonly ImageId[]) => Promise<IndexChange>,
  ): Promise<void> {
    const key = layout.indexImages(repository);
    await compareAndSwap(key, {
      read: () => this.#storage.read(key),
      write: async (object) => {
        const entries = object ? merge(readEntries(object.bytes), []) : [];
        const { added, removed } = await chooseChange(entries.flatMap(({ id }) => (isImageId(id) ? [id] : [])));
        const known = new Set(entries.map(({ id }) => id));
        const newEntries = [...added].filter((id) => !known.has(id)).map((id) => ({ id }));
        const kept = entries.filter(({ id }) => added.has(id) || !removed.has(id));
        if (newEntries.length === 0 && kept.length === entries.length) return 'unchanged';
        const after = encode([...newEntries, ...kept]);
        return await this.#storage.put(key, after, { ...AS_JSON, ...unchanged(object?.info) });
      },
    });
  }
}

/** Entries that exceed the limits are dropped from the end, where the oldest are. */
function encode(entries: readonly IndexEntry[]): Uint8Array {
  const encoded: string[] = [];
  let sizeBytes = 2;
  for (const entry of entries.slice(0, MAX_ENTRIES)) {
    const text = pythonJson(entry);
    sizeBytes += text.length + 2;
    if (sizeBytes > MAX_INDEX_BYTES) break;
    encoded.push(text);
  }
  return encodeText(`[${encoded.join(', ')}]`);
}

/** One entry for each id: the announced one if it has a checksum, else the stored one. */
function merge(announced: readonly JsonObject[], stored: readonly JsonObject[]): IndexEntry[] {
  const entries = new Map<string, IndexEntry>();
  for (const { id, checksum } of [...announced, ...stored]) {
    if (typeof id !== 'string' || entries.get(id)?.checksum !== undefined) continue;
    entries.set(id, typeof checksum === 'string' ? { id, checksum } : { id });
  }
  return [...entries.values()];
}

/** The image ids in the stored list. Clients may have announced others than those of real images. One storage request. */
export async function indexedIds(storage: StorageDriver, repository: RepositoryName): Promise<ImageId[]> {
  const object = await storage.read(layout.indexImages(repository));
  return object ? readEntries(object.bytes).flatMap(({ id }) => (isImageId(id) ? [id] : [])) : [];
}

/** The entries of a stored list. docker-registry stored malformed entries too; those are skipped. */
function readEntries(bytes: Uint8Array): JsonObject[] {
  const value = parseJson(bytes);
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

/** @throws RegistryError INDEX_INVALID, SIZE_INVALID */
function parseEntries(bytes: Uint8Array): JsonObject[] {
  // A cheap check first: parsing a long list blocks the process.
  if (bytes.length > SMALL_BYTES && !/^\s*\[\s*[{\]]/.test(Buffer.from(bytes.subarray(0, KiB)).toString('latin1'))) {
    throw new RegistryError('INDEX_INVALID', 'Invalid data');
  }
  if (!isJsonWithin(bytes, { maxValues: MAX_ENTRIES * VALUES_OF_ENTRY })) throw tooMany();
  const value = parseJson(bytes);
  if (value === undefined) throw new RegistryError('INDEX_INVALID', 'Error Decoding JSON');
  if (!Array.isArray(value)) throw new RegistryError('INDEX_INVALID', 'Invalid data');
  if (value.length > MAX_ENTRIES) throw tooMany();
  return value.map((entry) => {
    const isEntry =
      isJsonObject(entry) && isShortText(entry.id) && (entry.checksum == null || isShortText(entry.checksum));
    if (!isEntry) throw new RegistryError('INDEX_INVALID', 'Invalid data');
    return entry;
  });
}

/** Ids have 64 digits and checksums 82 characters. Longer texts would make lists slow to write. */
function isShortText(value: unknown): value is string {
  return typeof value === 'string' && SHORT_TEXT.test(value);
}

function tooMany(): RegistryError {
  return new RegistryError('SIZE_INVALID', `the list names more than ${MAX_ENTRIES} images: push fewer tags at once`);
}
