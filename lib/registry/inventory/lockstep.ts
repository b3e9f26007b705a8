// Two flat listings whose keys have folders of the same names: `repositories/<ns>/<repo>/` and `oci/repositories/<ns>/<repo>/`,
// `images/<id>/` and `oci/images/<id>/`. Both are in byte order, so one pass over each is enough.
import { type KeyPrefix, layout } from '../../model/layout.ts';
import { compareByteOrder } from '../../storage/byte-order.ts';
import type { ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import { inOrder } from './in-order.ts';

/** What is not read of a folder before the next one is asked for is skipped. */
export type Folder = { name: string; objects: AsyncIterable<ObjectInfo> };

/** Both listings may be read in any order. */
export type FolderPair = Folder & { records: AsyncIterable<ObjectInfo> };

export type FolderOptions = {
  /** How many parts of a key, after the prefix, name the folder. */
  depth: number;
  /** The name of a folder: folders up to it are left out. */
  after?: string | undefined;
  /** Called with an object that lies in no such folder. */
  onStray: (object: ObjectInfo) => Promise<void>;
};

/** The folders below one prefix. */
export async function* foldersBelow(
  storage: StorageDriver,
  prefix: KeyPrefix,
  options: FolderOptions,
): AsyncGenerator<Folder> {
  const side = new Side(storage, prefix, options);
  for (let name = await side.folder(); name !== undefined; name = await side.folder()) {
    yield { name, objects: side.objectsIn(name) };
    for await (const _ of side.objectsIn(name));
  }
}

/**
 * The folders that either of two listings has.
 * @param options.objects docker-registry's folder. @param options.records Stowage's own
 */
export async function* foldersInLockstep(
  storage: StorageDriver,
  { objects, records, ...options }: FolderOptions & { objects: KeyPrefix; records: KeyPrefix },
): AsyncGenerator<FolderPair> {
  const [left, right] = [new Side(storage, objects, options), new Side(storage, records, options)];
  for (;;) {
    const names = (await Promise.all([left.folder(), right.folder()])).filter((name) => name !== undefined);
    const [name] = names.sort((a, b) => compareByteOrder(`${a}/`, `${b}/`));
    if (name === undefined) return;
    yield { name, objects: left.objectsIn(name), records: right.objectsIn(name) };
    for (const side of [left, right]) for await (const _ of side.objectsIn(name));
  }
}

class Side {
  readonly #objects: AsyncIterator<ObjectInfo>;
  readonly #prefix: KeyPrefix;
  readonly #depth: number;
  readonly #onStray: (object: ObjectInfo) => Promise<void>;
  #next: { object: ObjectInfo; folder: string } | undefined;
  #hasEnded = false;

  constructor(storage: StorageDriver, prefix: KeyPrefix, { depth, after, onStray }: FolderOptions) {
    const position = after === undefined ? {} : { after: layout.afterFolder(`${prefix}${after}/` as KeyPrefix) };
    this.#objects = inOrder(storage.list(prefix, position));
    this.#prefix = prefix;
    this.#depth = depth;
    this.#onStray = onStray;
  }

  /** The folder of the next object. */
  async folder(): Promise<string | undefined> {
    while (!this.#next && !this.#hasEnded) {
      const { done, value: object } = await this.#objects.next();
      if (done) {
        this.#hasEnded = true;
        break;
      }
      const parts = object.key.slice(this.#prefix.length).split('/');
      if (parts.length <= this.#depth) await this.#onStray(object);
      else this.#next = { object, folder: parts.slice(0, this.#depth).join('/') };
    }
    return this.#next?.folder;
  }

  async *objectsIn(folder: string): AsyncGenerator<ObjectInfo> {
    while ((await this.folder()) === folder && this.#next) {
      const { object } = this.#next;
      this.#next = undefined;
      yield object;
    }
  }
}
