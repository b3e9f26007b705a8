import { isJsonObject, parseJson } from '../model/json.ts';
import { layout } from '../model/layout.ts';
import { AS_JSON, StorageDeniedError, type StorageDriver } from '../storage/driver.ts';
import { encodeText } from '../streams/bytes.ts';

/** The layout of `oci/` that this program writes. */
const LAYOUT_VERSION = 1;
const FIRST_LAYOUT = { layout: LAYOUT_VERSION, minWriter: LAYOUT_VERSION };

/**
 * Whether this program may write to the bucket; a newer one may have changed the layout in a way that old writers would
 * spoil. One storage request.
 * @throws Error if what the bucket says of it is not readable
 */
export async function mayWrite(storage: StorageDriver): Promise<boolean> {
  const minWriter = await readMinWriter(storage);
  return minWriter === undefined || minWriter <= LAYOUT_VERSION;
}

/**
 * As `mayWrite`, and notes the layout in a bucket that has none. A process whose role may not leaves that to another: on AWS
 * only the projection worker may. One storage request, two the first time.
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
    throw new Error(`${object.info.key} is not readable`);
  return value.minWriter;
}
