// docker-registry 0.9 quoted the repository's part of a key once more than 0.6: repository `a/b/c` is
// `repositories/a/b%252Fc/` instead of `repositories/a/b%2Fc/`. This driver merges the twice-quoted folder into the once-quoted
// one, the only one that the rest of Stowage knows.
//
// A read that finds nothing under the once-quoted key reads the twice-quoted one. A write goes to the once-quoted key and leaves
// the other as it is. A deletion deletes both, so that an object of 0.9 does not reappear.

import { type Key, type KeyPrefix, movedKey, twiceQuotedOf, withoutTwiceQuoting } from '../../model/layout.ts';
import { LruCache } from '../../model/lru-cache.ts';
import { compareByteOrder } from '../../storage/byte-order.ts';
import { deleteIf, deleteMany } from '../../storage/deletions.ts';
import type {
  DeleteOptions,
  ETag,
  ObjectInfo,
  PutOptions,
  ReadObject,
  StorageDriver,
  StoredObject,
} from '../../storage/driver.ts';

/** How long it is remembered whether a twice-quoted folder exists. Only a docker-registry that still runs creates new ones. */
const REMEMBERED = { max: 10_000, ttlMs: 60_000 };

/** Marks the ETag of a twice-quoted object, so that a condition on it is not applied to the once-quoted key. */
const ETAG_PREFIX = 'twice-quoted:';

/**
 * A driver that reads and deletes twice-quoted objects under their once-quoted keys. A repository name of two components costs
 * no further storage request. With more components, a missing object costs one listing a minute for each repository, and a
 * further request if a twice-quoted folder exists.
 */
export function mergeTwiceQuoted(storage: StorageDriver): StorageDriver {
  const merged = new MergedFolders(storage);
  return {
    head: (key) => merged.head(key),
    get: (key, options) => merged.get(key, options),
    read: (key) => merged.read(key),
    put: (key, body, options) => merged.put(key, body, options),
    list: (prefix, options) => merged.list(prefix, options),
    listFolders: (prefix, options) => merged.listFolders(prefix, options),
    delete: (key, options) => merged.delete(key, options),
    deleteIf: (key, isWanted) => deleteIf(twiceQuotedOf(key) ? merged : storage, key, isWanted),
    deleteMany: async (keys) => {
      const { once = [], twice = [] } = Object.groupBy(keys, (key) => (twiceQuotedOf(key) ? 'twice' : 'once'));
      await Promise.all([deleteMany(storage, once), deleteMany(merged, twice)]);
    },
    // No twice-quoted object matches, because of the prefix: such tags are read.
    etagOf: (bytes) => storage.etagOf(bytes),
    putStream: (key, body, options) => storage.putStream(key, body, options),
    copyIfAbsent: (from, to, options) => storage.copyIfAbsent(from, to, options),
    createMultipart: (key) => storage.createMultipart(key),
    uploadPart: (upload, partNumber, body) => storage.uploadPart(upload, partNumber, body),
    listParts: (upload) => storage.listParts(upload),
    completeMultipart: (upload, parts) => storage.completeMultipart(upload, parts),
    abortMultipart: (upload) => storage.abortMultipart(upload),
    ...(storage.presign && { presign: storage.presign.bind(storage) }),
    honorsDeleteConditions: () => storage.honorsDeleteConditions(),
    close: () => storage.close(),
  };
}

class MergedFolders {
  readonly #storage: StorageDriver;
  /** Whether twice-quoted folders hold any object. */
  readonly #usedFolders = new LruCache<KeyPrefix, boolean>(REMEMBERED);

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  async head(key: Key): Promise<ObjectInfo | undefined> {
    const found = await this.#storage.head(key);
    const other = !found && (await this.#twiceQuotedKey(key));
    const info = other && (await this.#storage.head(other));
    return info ? renamed(info, key) : found;
  }

  async get(key: Key, options?: Parameters<StorageDriver['get']>[1]): Promise<StoredObject | undefined> {
    const found = await this.#storage.get(key, options);
    const other = !found && (await this.#twiceQuotedKey(key));
    const object = other && (await this.#storage.get(other, options));
    return object ? { ...object, info: renamed(object.info, key) } : found;
  }

  async read(key: Key): Promise<ReadObject | undefined> {
    const found = await this.#storage.read(key);
    const other = !found && (await this.#twiceQuotedKey(key));
    const object = other && (await this.#storage.read(other));
    return object ? { ...object, info: renamed(object.info, key) } : found;
  }

  async put(key: Key, body: Uint8Array, options: PutOptions = {}): Promise<ETag | undefined> {
    const { ifAbsent, ifMatch, ...others } = options;
    const expected = otherETag(ifMatch);
    if (!ifAbsent && !expected) return await this.#storage.put(key, body, options);
    const other = await this.#twiceQuotedKey(key);
    const found = other && (await this.#storage.head(other));
    if (found?.etag !== expected) return undefined;
    return await this.#storage.put(key, body, { ...others, ifAbsent: true });
  }

  async delete(key: Key, options: DeleteOptions = {}): Promise<boolean> {
    const other = await this.#twiceQuotedKey(key);
    const expected = otherETag(options.ifMatch);
    if (expected) {
      // The condition is on the twice-quoted object. An object under the once-quoted key has replaced it.
      if (!other || (await this.#storage.head(key))) return false;
      return await this.#storage.delete(other, { ifMatch: expected });
    }
    // The twice-quoted object first, so that no reader falls back to it.
    if (other) await this.#storage.delete(other);
    return await this.#storage.delete(key, options);
  }

  async *list(prefix: KeyPrefix, options: { after?: Key } = {}): AsyncIterable<ObjectInfo> {
    const names = this.#storage.list(prefix, options);
    const other = await this.#twiceQuotedKey(prefix);
    if (!other) return yield* names;
    const after = options.after && twiceQuotedOf(options.after);
    const others = this.#storage.list(other, after ? { after: after.key } : {});
    yield* mergeSorted(names, renamedAll(others, other, prefix));
  }

  /** Folders under their once-quoted names, in byte order of those. */
  async *listFolders(prefix: KeyPrefix, { after = '' }: { after?: string } = {}): AsyncIterable<KeyPrefix> {
    // Twice- and once-quoted names are equal up to the first `%`, so the listing starts there and skips names up to `after`.
    const from = after.includes('%') ? after.slice(0, after.indexOf('%') + 1) : after;
    let waiting: KeyPrefix[] = [];
    for await (const folder of this.#storage.listFolders(prefix, from === '' ? {} : { after: from })) {
      const name = withoutTwiceQuoting(folder);
      if (name !== folder) {
        waiting = [...new Set([...waiting, name])].sort(compareByteOrder);
        continue;
      }
      const before = waiting.filter((one) => compareByteOrder(one, folder) < 0);
      waiting = waiting.slice(before.length).filter((one) => one !== folder);
      for (const one of [...before, folder]) if (from === after || compareByteOrder(one, after) > 0) yield one;
    }
    for (const one of waiting) if (from === after || compareByteOrder(one, after) > 0) yield one;
  }

  /** The twice-quoted key or prefix; `undefined` if it is the same, or if that folder is empty. */
  async #twiceQuotedKey<K extends Key | KeyPrefix>(key: K): Promise<K | undefined> {
    const other = twiceQuotedOf(key);
    return other && (await this.#isUsed(other.folder)) ? other.key : undefined;
  }

  async #isUsed(folder: KeyPrefix): Promise<boolean> {
    const known = this.#usedFolders.get(folder);
    if (known !== undefined) return known;
    let isUsed = false;
    for await (const _ of this.#storage.list(folder)) {
      isUsed = true;
      break;
    }
    this.#usedFolders.set(folder, isUsed);
    return isUsed;
  }
}

function renamed(info: ObjectInfo, key: Key): ObjectInfo {
  return { ...info, key, etag: `${ETAG_PREFIX}${info.etag}` as ETag };
}

async function* renamedAll(
  objects: AsyncIterable<ObjectInfo>,
  from: KeyPrefix,
  to: KeyPrefix,
): AsyncGenerator<ObjectInfo> {
  for await (const info of objects) yield renamed(info, movedKey(info.key, from, to));
}

/** The ETag of a twice-quoted object without its prefix; `undefined` for any other ETag. */
function otherETag(etag: ETag | undefined): ETag | undefined {
  return etag?.startsWith(ETAG_PREFIX) ? (etag.slice(ETAG_PREFIX.length) as ETag) : undefined;
}

/** Merges two listings in byte order. Of two objects with the same key, `first` wins. */
async function* mergeSorted(
  first: AsyncIterable<ObjectInfo>,
  second: AsyncIterable<ObjectInfo>,
): AsyncGenerator<ObjectInfo> {
  const others = second[Symbol.asyncIterator]();
  let other = await others.next();
  for await (const info of first) {
    while (!other.done && compareByteOrder(other.value.key, info.key) < 0) {
      yield other.value;
      other = await others.next();
    }
    if (!other.done && other.value.key === info.key) other = await others.next();
    yield info;
  }
  for (; !other.done; other = await others.next()) yield other.value;
}
