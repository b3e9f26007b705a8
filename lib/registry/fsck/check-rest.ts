import { type Key, type KeyPrefix, layout } from '../../model/layout.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import type { Check } from './check.ts';
import { LAYOUT_1_FOLDERS } from './old-layout.ts';

/** The folders that the checks of repositories, images, blobs and data list. */
const LISTED = [
  layout.allImages(),
  layout.repositories(),
  layout.ociRepositories(),
  layout.allImageRecords(),
  layout.blobs(),
  layout.allData(),
];

/** Folders whose objects fsck does not check. */
const UNCHECKED = ['oci/gc/', 'oci/robots/'];
const UNCHECKED_KEYS = ['oci/layout.json', 'oci/usage.json'];

/** Lists what lies in no folder that other checks list. */
export async function checkRest(check: Check): Promise<void> {
  for await (const object of outsideOf(check.storage, [...LISTED, ...UNCHECKED, ...LAYOUT_1_FOLDERS])) {
    check.see(object);
    if (object.key.startsWith(layout.uploadScraps())) {
      if (check.isOld(object)) await check.findings.add('leftover-upload', object.key, `${object.sizeBytes} bytes`);
    } else if (!UNCHECKED_KEYS.includes(object.key)) await check.unknown(object);
  }
}

/** All objects but those of these folders, whose listing is skipped. */
async function* outsideOf(storage: StorageDriver, folders: readonly string[]) {
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
