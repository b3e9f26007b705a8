import { type Bytes, encodeText, MiB } from '../bytes.ts';
import { mapConcurrently } from '../concurrency.ts';
import { RegistryError } from '../errors.ts';
import { isJsonObject, type JsonObject, parseJson } from '../json.ts';
import { layout } from '../layout.ts';
import { type ImageId, isImageId, type RepositoryName } from '../names.ts';
import { AS_JSON, type StorageDriver, StorageUnavailableError, unchanged } from '../storage/driver.ts';
import { pythonJson } from './python-json.ts';

/** How often two pushes may get in each other's way before one of them is asked to come again. */
const MAX_TRIES = 20;
const MAX_INDEX_BYTES = 16 * MiB;

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
   * Adds what a client announces. The first list of a repository is stored byte for byte; later ones are merged.
   * @throws RegistryError INDEX_INVALID
   */
  async add(repository: RepositoryName, bytes: Uint8Array): Promise<void> {
    const announced = parseEntries(bytes);
    await this.#change(repository, async (stored) => (stored ? encode(merge(announced, stored)) : bytes));
  }

  /** Makes the list name these images, and of those that it names already the ones that `keeps` allows. */
  async replace(
    repository: RepositoryName,
    images: readonly ImageId[],
    keeps: (id: ImageId) => Promise<boolean>,
  ): Promise<void> {
    await this.#change(repository, async (stored = []) => {
      const current = new Set<unknown>(images);
      const kept = await mapConcurrently(stored, async (entry) =>
        current.has(entry.id) || (isImageId(entry.id) && (await keeps(entry.id))) ? [entry] : [],
      );
      const entries = merge(
        images.map((id) => ({ id })),
        kept.flat(),
      );
      return entries.length > 0 || stored.length > 0 ? encode(entries) : undefined;
    });
  }

  /** Reads, changes and writes, again if somebody else wrote in between. One read and one write, if anything changes. */
  async #change(
    repository: RepositoryName,
    change: (stored: JsonObject[] | undefined) => Promise<Uint8Array | undefined>,
  ): Promise<void> {
    const key = layout.indexImages(repository);
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const object = await this.#storage.read(key);
      const before = object?.bytes;
      const after = await change(before && readEntries(before));
      if (!after || (before && Buffer.from(before).equals(after))) return;
      if (after.length > MAX_INDEX_BYTES)
        throw new RegistryError('SIZE_INVALID', 'the list of images has grown too long');
      if (await this.#storage.put(key, after, { ...AS_JSON, ...unchanged(object?.info) })) return;
    }
    throw new StorageUnavailableError(`too many pushes write ${key} at once`);
  }
}

function encode(entries: Entry[]): Uint8Array {
  return encodeText(pythonJson(entries));
}

type Entry = { id: string; checksum?: string };

/** A new checksum wins; without one the stored entry does; an id occurs once. Only these two fields are kept. */
function merge(announced: JsonObject[], stored: JsonObject[]): Entry[] {
  const entries = new Map<string, Entry>();
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

/** @throws RegistryError INDEX_INVALID */
function parseEntries(bytes: Uint8Array): JsonObject[] {
  const value = parseJson(bytes);
  if (value === undefined) throw new RegistryError('INDEX_INVALID', 'Error Decoding JSON');
  if (!Array.isArray(value)) throw new RegistryError('INDEX_INVALID', 'Invalid data');
  return value.map((entry) => {
    if (!isJsonObject(entry) || typeof entry.id !== 'string') throw new RegistryError('INDEX_INVALID', 'Invalid data');
    return entry;
  });
}
