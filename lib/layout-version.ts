import { encodeText } from './bytes.ts';
import { isJsonObject, parseJson } from './json.ts';
import { layout } from './layout.ts';
import type { StorageDriver } from './storage/driver.ts';

/** The layout of `oci/` that this program writes. */
const LAYOUT_VERSION = 1;
const FIRST_LAYOUT = { layout: LAYOUT_VERSION, minWriter: LAYOUT_VERSION };

/**
 * Whether this program may write to the bucket; a newer one may have changed the layout in a way that old writers would
 * spoil. Notes the layout in a bucket that has none. One storage request, two the first time.
 */
export async function mayWrite(storage: StorageDriver): Promise<boolean> {
  const object = await storage.read(layout.layoutVersion());
  if (!object) {
    const isFirst = await storage.put(layout.layoutVersion(), encodeText(JSON.stringify(FIRST_LAYOUT)), {
      ifAbsent: true,
      contentType: 'application/json',
    });
    return isFirst ? true : await mayWrite(storage);
  }
  const value = parseJson(object.bytes);
  if (!isJsonObject(value) || typeof value.minWriter !== 'number')
    throw new Error(`${object.info.key} is not readable`);
  return value.minWriter <= LAYOUT_VERSION;
}
