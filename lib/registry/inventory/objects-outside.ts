import type { Key, KeyPrefix } from '../../model/layout.ts';
import type { ObjectInfo, StorageDriver } from '../../storage/driver.ts';

/** All objects but those of these folders, whose listing is skipped: a storage request for each. */
export async function* objectsOutside(storage: StorageDriver, folders: readonly string[]): AsyncGenerator<ObjectInfo> {
  let after: Key | undefined;
  search: for (;;) {
    for await (const object of storage.list('' as KeyPrefix, after === undefined ? {} : { after })) {
      const folder = folders.find((one) => object.key.startsWith(one));
      if (folder !== undefined) {
        after = `${folder}\u{10ffff}` as Key;
        continue search;
      }
      yield object;
    }
    return;
  }
}
