import { type Bytes, encodeText, readAll } from '../bytes.ts';
import { RegistryError } from '../errors.ts';
import { isJsonObject, type JsonObject, parseJson } from '../json.ts';
import { layout } from '../layout.ts';
import type { RepositoryName } from '../names.ts';
import { type StorageDriver, StorageUnavailableError } from '../storage/driver.ts';
import { pythonJson } from './python-json.ts';

/** How often two pushes may get in each other's way before one of them is asked to come again. */
const MAX_TRIES = 20;

/** The list of a repository's images that v1 clients announce and ask for: `_index_images`. It only grows. */
export class ImageIndex {
  readonly #storage: StorageDriver;

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /** The stored bytes, as they are. */
  async find(repository: RepositoryName): Promise<Bytes | undefined> {
    const object = await this.#storage.get(layout.indexImages(repository));
    return object && (await readAll(object.body));
  }

  /**
   * Adds what a client announces. The first list of a repository is stored byte for byte; later ones are merged.
   * @throws RegistryError INDEX_INVALID
   */
  async add(repository: RepositoryName, bytes: Uint8Array): Promise<void> {
    const announced = parseEntries(bytes);
    const key = layout.indexImages(repository);
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const object = await this.#storage.get(key);
      const stored = object && (await readAll(object.body));
      const merged = stored ? encodeText(pythonJson(merge(announced, parseEntries(stored)))) : bytes;
      const condition = object ? { ifMatch: object.info.etag } : { ifAbsent: true };
      if (await this.#storage.put(key, merged, condition)) return;
    }
    throw new StorageUnavailableError(`too many pushes write ${key} at once`);
  }
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

function parseEntries(bytes: Uint8Array): JsonObject[] {
  const value = parseJson(bytes);
  if (value === undefined) throw new RegistryError('INDEX_INVALID', 'Error Decoding JSON');
  if (!Array.isArray(value)) throw new RegistryError('INDEX_INVALID', 'Invalid data');
  return value.map((entry) => {
    if (!isJsonObject(entry) || typeof entry.id !== 'string') throw new RegistryError('INDEX_INVALID', 'Invalid data');
    return entry;
  });
}
