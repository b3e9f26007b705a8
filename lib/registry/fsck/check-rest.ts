import { type Key, layout } from '../../model/layout.ts';
import { objectsOutside } from '../inventory/objects-outside.ts';
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
const UNCHECKED_KEYS: readonly Key[] = [layout.layoutVersion(), layout.usageOverview(), layout.quotas()];

/**
 * Lists what lies in no folder that other checks list.
 * @param usersKey the users file, where it lies in this storage
 */
export async function checkRest(check: Check, usersKey?: Key): Promise<void> {
  for await (const object of objectsOutside(check.storage, [...LISTED, ...UNCHECKED, ...LAYOUT_1_FOLDERS])) {
    check.see(object);
    if (object.key.startsWith(layout.uploadScraps())) {
      if (check.isOld(object)) await check.findings.add('leftover-upload', object.key, `${object.sizeBytes} bytes`);
    } else if (object.key !== usersKey && !UNCHECKED_KEYS.includes(object.key)) await check.unknown(object);
  }
}
