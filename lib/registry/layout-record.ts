import { isJsonObject, parseJson } from '../model/json.ts';
import { layout } from '../model/layout.ts';
import { AS_JSON, StorageDeniedError, type StorageDriver } from '../storage/driver.ts';
import { encodeText } from '../streams/bytes.ts';

/** The version of the layout of `oci/` that this program writes. */
const LAYOUT_VERSION = 1;
const FIRST_LAYOUT = { layout: LAYOUT_VERSION, minWriter: LAYOUT_VERSION };

/**
 * Whether this program may write to the storage. A newer program may have recorded a layout that older writers would damage.
 * One storage request.
 * @throws Error if the recorded layout is malformed
 */
export async function mayWrite(storage: StorageDriver): Promise<boolean> {
  const minWriter = await readMinWriter(storage);
  return minWriter === undefined || minWriter <= LAYOUT_VERSION;
}

/**
 * As `mayWrite`, and records the layout in storage that has no record. A process whose role may not write the record leaves it
 * to another; on AWS only the role of the projection worker may. One storage request, up to three the first time.
 */
export async function recordLayout(storage: StorageDriver): Promise<boolean> {
  const minWriter = await readMinWriter(storage);
  if (minWriter !== undefined) return minWriter <= LAYOUT_VERSION;
  const bytes = encodeText(JSON.stringify(FIRST_LAYOUT));
  try {
    const isFirst = await storage.put(layout.layoutVersion(), bytes, { ifAbsent: true, ...AS_JSON });
    return isFirst !== undefined || (await mayWrite(storage));
  } catch (error) {
    if (error instanceof StorageDeniedError) return true;
    throw error;
  }
}

async function readMinWriter(storage: StorageDriver): Promise<number | undefined> {
  const object = await storage.read(layout.layoutVersion());
  if (!object) return undefined;
  const value = parseJson(object.bytes);
  if (!isJsonObject(value) || typeof value.minWriter !== 'number')
    throw new Error(`${object.info.key} has no number minWriter`);
  return value.minWriter;
}
