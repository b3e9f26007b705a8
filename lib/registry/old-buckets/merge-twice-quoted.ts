// docker-registry 0.9 percent-quoted the repository's part of a key once more than 0.6 did: it kept `a/b/c` in
// `repositories/a/b%252Fc/` instead of `repositories/a/b%2Fc/`. Here storage is seen as if all of it lay under the one name.
//
// Reads look in the other folder where there is nothing under the name. Writes go to the name, and leave the other folder as
// it is. Deletions act on both: what was deleted under the name must not show what 0.9 had under it.
import { LRUCache } from 'lru-cache';
import { type Key, type KeyPrefix, twiceQuotedOf, withoutTwiceQuoting } from '../../model/layout.ts';
import { compareByteOrder } from '../../storage/byte-order.ts';
import type { ETag, ObjectInfo, PutOptions, ReadObject, StorageDriver, StoredObject } from '../../storage/driver.ts';

/** How long it is remembered whether there is such a folder. Only a docker-registry that runs beside this one makes new ones. */
const REMEMBERED = { max: 10_000, ttl: 60_000 };

/** Before the ETag of an object in the other folder, so that no condition about it is taken for one about the name. */
const ETAG_PREFIX = 'twice-quoted:';

/**
 * A name of two parts costs nothing. With more, what is not there costs one storage request, once a minute for each
 * repository, to learn that there is no such folder; where there is one, another.
 */
export function mergeTwiceQuoted(storage: StorageDriver): StorageDriver {
  const merged = new MergedNames(storage);
  return {
    head: (key) => merged.head(key),
    get: (key, options) => merged.get(key, options),
    read: (key) => merged.read(key),
    put: (key, body, options) => merged.put(key, body, options),
    list: (prefix, options) => merged.list(prefix, options),
    listFolders: (prefix, options) => merged.listFolders(prefix, options),
    delete: (key, options) => merged.delete(key, options),
    // No object in the other folder has this ETag: those are read.
    etagOf: (bytes) => storage.etagOf(bytes),
    putStream: (key, body, options) => storage.putStream(key, body, options),
    copyIfAbsent: (from, to) => storage.copyIfAbsent(from, to),
    createMultipart: (key) => storage.createMultipart(key),
    uploadPart: (upload, partNumber, body) => storage.uploadPart(upload, partNumber, body),
    listParts: (upload) => storage.listParts(upload),
    completeMultipart: (upload, parts) => storage.completeMultipart(upload, parts),
    abortMultipart: (upload) => storage.abortMultipart(upload),
    ...(storage.presign && { presign: storage.presign.bind(storage) }),
    close: () => storage.close(),
  };
}

class MergedNames {
  readonly #storage: StorageDriver;
  /** Whether folders of 0.9 hold anything. */
  readonly #holds = new LRUCache<KeyPrefix, boolean>(REMEMBERED);

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  async head(key: Key): Promise<ObjectInfo | undefined> {
    const found = await this.#storage.head(key);
    const other = !found && (await this.#otherOf(key));
    const info = other && (await this.#storage.head(other));
    return info ? renamed(info, key) : found;
  }

  async get(key: Key, options?: Parameters<StorageDriver['get']>[1]): Promise<StoredObject | undefined> {
    const found = await this.#storage.get(key, options);
    const other = !found && (await this.#otherOf(key));
    const object = other && (await this.#storage.get(other, options));
    return object ? { ...object, info: renamed(object.info, key) } : found;
  }

  async read(key: Key): Promise<ReadObject | undefined> {
    const found = await this.#storage.read(key);
    const other = !found && (await this.#otherOf(key));
    const object = other && (await this.#storage.read(other));
    return object ? { ...object, info: renamed(object.info, key) } : found;
  }

  async put(key: Key, body: Uint8Array, options: PutOptions = {}): Promise<ETag | undefined> {
    const { ifAbsent, ifMatch, ...others } = options;
    const expected = otherETag(ifMatch);
    if (!ifAbsent && !expected) return await this.#storage.put(key, body, options);
    const other = await this.#otherOf(key);
    const found = other && (await this.#storage.head(other));
    if (found?.etag !== expected) return undefined;
    return await this.#storage.put(key, body, { ...others, ifAbsent: true });
  }

  async delete(key: Key, options: { ifMatch?: ETag } = {}): Promise<boolean> {
    const other = await this.#otherOf(key);
    const expected = otherETag(options.ifMatch);
    if (expected) {
      // Of an object that another has since taken the place of.
      if (!other || (await this.#storage.head(key))) return false;
      return await this.#storage.delete(other, { ifMatch: expected });
    }
    // First, so that it is never seen in place of what goes.
    if (other) await this.#storage.delete(other);
    return await this.#storage.delete(key, options);
  }

  async *list(prefix: KeyPrefix, options: { after?: Key } = {}): AsyncIterable<ObjectInfo> {
    const names = this.#storage.list(prefix, options);
    const other = await this.#otherOf(prefix);
    if (!other) return yield* names;
    const after = options.after && twiceQuotedOf(options.after);
    const others = this.#storage.list(other, after ? { after: after.key } : {});
    yield* mergeSorted(names, renamedAll(others, other, prefix));
  }

  /** In byte order of the names. */
  async *listFolders(prefix: KeyPrefix, { after = '' }: { after?: string } = {}): AsyncIterable<KeyPrefix> {
    // A folder of 0.9 and that of its name differ from the first `%` on: where it begins, both come after the same others.
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

  /** Where 0.9 kept this, if that is another place, and there is anything. */
  async #otherOf<K extends Key | KeyPrefix>(key: K): Promise<K | undefined> {
    const other = twiceQuotedOf(key);
    return other && (await this.#holdsAnything(other.folder)) ? other.key : undefined;
  }

  async #holdsAnything(folder: KeyPrefix): Promise<boolean> {
    const known = this.#holds.get(folder);
    if (known !== undefined) return known;
    let holds = false;
    for await (const _ of this.#storage.list(folder)) {
      holds = true;
      break;
    }
    this.#holds.set(folder, holds);
    return holds;
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
  for await (const info of objects) yield renamed(info, `${to}${info.key.slice(from.length)}` as Key);
}

/** The ETag of an object in the other folder, as storage knows it; `undefined` for any other. */
function otherETag(etag: ETag | undefined): ETag | undefined {
  return etag?.startsWith(ETAG_PREFIX) ? (etag.slice(ETAG_PREFIX.length) as ETag) : undefined;
}

/** Both in byte order; of two with the same key the one of `first`. */
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
