// Two flat listings whose keys have folders of the same names: `repositories/<ns>/<repo>/` and `oci/repositories/<ns>/<repo>/`,
// `images/<id>/` and `oci/images/<id>/`. Both are in byte order, so one pass over each is enough.
import type { KeyPrefix } from '../../model/layout.ts';
import { compareByteOrder } from '../../storage/byte-order.ts';
import type { ObjectInfo, StorageDriver } from '../../storage/driver.ts';

/** Both listings have to be read, in any order; what is not read is skipped. */
export type FolderPair = { name: string; objects: AsyncIterable<ObjectInfo>; records: AsyncIterable<ObjectInfo> };

/**
 * @param options.objects docker-registry's folder. @param options.records Stowage's own
 * @param options.depth how many parts of a key name the folder
 * @param options.onStray is called with an object that lies in no such folder
 */
export async function* foldersInLockstep(
  storage: StorageDriver,
  {
    objects,
    records,
    depth,
    onStray,
  }: {
    objects: KeyPrefix;
    records: KeyPrefix;
    depth: number;
    onStray: (object: ObjectInfo) => Promise<void>;
  },
): AsyncGenerator<FolderPair> {
  const sides = [objects, records].map((prefix) => new Side(storage.list(prefix), prefix, depth, onStray));
  const [left, right] = sides as [Side, Side];
  for (;;) {
    const names = [await left.folder(), await right.folder()].filter((name) => name !== undefined);
    const [name] = names.sort((a, b) => compareByteOrder(`${a}/`, `${b}/`));
    if (name === undefined) return;
    yield { name, objects: left.objectsIn(name), records: right.objectsIn(name) };
    for (const side of sides) for await (const _ of side.objectsIn(name));
  }
}

class Side {
  readonly #objects: AsyncIterator<ObjectInfo>;
  readonly #prefix: KeyPrefix;
  readonly #depth: number;
  readonly #onStray: (object: ObjectInfo) => Promise<void>;
  #next: { object: ObjectInfo; folder: string } | undefined;
  #hasEnded = false;

  constructor(
    objects: AsyncIterable<ObjectInfo>,
    prefix: KeyPrefix,
    depth: number,
    onStray: (object: ObjectInfo) => Promise<void>,
  ) {
    this.#objects = objects[Symbol.asyncIterator]();
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
