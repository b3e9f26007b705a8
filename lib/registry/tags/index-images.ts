import { RegistryError } from '../../model/errors.ts';
import { isJsonObject, isJsonWithin, type JsonObject, parseJson } from '../../model/json.ts';
import { layout } from '../../model/layout.ts';
import { type ImageId, isImageId, type RepositoryName } from '../../model/names.ts';
import { pythonJson } from '../../model/python-json.ts';
import { compareAndSwap } from '../../storage/compare-and-swap.ts';
import { AS_JSON, type ObjectInfo, type StorageDriver, unchanged } from '../../storage/driver.ts';
import { type Bytes, encodeText, KiB, MiB } from '../../streams/bytes.ts';

/**
 * How many images one announcement and the stored list may name. An engine announces the images of the tags that it pushes,
 * 127 for each tag at most and nearly all of them shared; a stored list grows with every push and keeps the newest.
 */
export const MAX_ENTRIES = 20_000;
export const MAX_INDEX_BYTES = 4 * MiB;

/** An id, a checksum and a tag, each with its name, and the entry itself. */
const VALUES_OF_ENTRY = 8;

const SHORT_TEXT = /^[\x20-\x7e]{0,256}$/;

/** An announcement this small is parsed whatever it is, so that the answer says exactly what is wrong with it. */
const SMALL_BYTES = 64 * KiB;

/** An entry as it is stored and read; only these two fields are kept of what clients send. */
export type IndexEntry = { id: string; checksum?: string };

/** The list as it was read, to be written again only if it is still the same. */
export type StoredIndex = { entries: IndexEntry[]; info: ObjectInfo | undefined };

/** The list of a repository's images that v1 clients announce and ask for: `_index_images`. */
export class IndexImages {
  readonly #storage: StorageDriver;

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /** The stored bytes, as they are. */
  async find(repository: RepositoryName): Promise<Bytes | undefined> {
    const object = await this.#storage.read(layout.indexImages(repository));
    return object?.bytes;
  }

  /**
   * Adds what a client announces. The first list of a repository is stored byte for byte; later ones are merged. One read and
   * one write, again if another push wrote in between.
   * @throws RegistryError INDEX_INVALID; SIZE_INVALID if it names more than 20,000 images
   */
  async add(repository: RepositoryName, bytes: Uint8Array): Promise<void> {
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

  /** One storage request. */
  async read(repository: RepositoryName): Promise<StoredIndex> {
    const object = await this.#storage.read(layout.indexImages(repository));
    return { entries: object ? merge(readEntries(object.bytes), []) : [], info: object?.info };
  }

  /**
   * Makes the list name `added`, and no longer `dropped` unless they are among those. One storage request if that changes it.
   * @returns false if the list has changed since it was read; then it stays
   */
  async change(
    repository: RepositoryName,
    { entries, info }: StoredIndex,
    { added, dropped }: { added: ReadonlySet<string>; dropped: ReadonlySet<string> },
  ): Promise<boolean> {
    const known = new Set(entries.map(({ id }) => id));
    const news = [...added].filter((id) => !known.has(id));
    const kept = entries.filter(({ id }) => added.has(id) || !dropped.has(id));
    if (news.length === 0 && kept.length === entries.length) return true;
    const after = encode([...news.map((id) => ({ id })), ...kept]);
    const condition = unchanged(info);
    return (await this.#storage.put(layout.indexImages(repository), after, { ...AS_JSON, ...condition })) !== undefined;
  }
}

/** Of more than fit the last are left off: those that were announced first. */
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

/** A new checksum wins; without one the stored entry does; an id occurs once. Only these two fields are kept. */
function merge(announced: readonly JsonObject[], stored: readonly JsonObject[]): IndexEntry[] {
  const entries = new Map<string, IndexEntry>();
  for (const { id, checksum } of [...announced, ...stored]) {
    if (typeof id !== 'string' || entries.get(id)?.checksum !== undefined) continue;
    entries.set(id, typeof checksum === 'string' ? { id, checksum } : { id });
  }
  return [...entries.values()];
}

/** The ids in the stored list, which may be anything that clients announced. One storage request. */
export async function indexedIds(storage: StorageDriver, repository: RepositoryName): Promise<ImageId[]> {
  const object = await storage.read(layout.indexImages(repository));
  return object ? readEntries(object.bytes).flatMap(({ id }) => (isImageId(id) ? [id] : [])) : [];
}

/** What is stored: entries that docker-registry should not have taken are passed over. */
function readEntries(bytes: Uint8Array): JsonObject[] {
  const value = parseJson(bytes);
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

/** @throws RegistryError INDEX_INVALID, SIZE_INVALID */
function parseEntries(bytes: Uint8Array): JsonObject[] {
  // Before a long list is parsed, which takes time in which nothing else is done.
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

/** Ids have 64 digits and checksums 82 characters; anything else makes lists slow to write. */
function isShortText(value: unknown): value is string {
  return typeof value === 'string' && SHORT_TEXT.test(value);
}

function tooMany(): RegistryError {
  return new RegistryError('SIZE_INVALID', `the list names more than ${MAX_ENTRIES} images: push fewer tags at once`);
}
