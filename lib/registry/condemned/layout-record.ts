// `oci/layout.json`, the layout record: which programs may write to this storage.
import { isJsonObject, parseJson } from '../../model/json.ts';
import { layout, parseBlobRecord } from '../../model/layout.ts';
import { AS_JSON, StorageDeniedError, type StorageDriver, unchanged } from '../../storage/driver.ts';
import { guardWrites } from '../../storage/guarded-writes.ts';
import { encodeText } from '../../streams/bytes.ts';

/** The version of the layout of `oci/` that this program writes. */
const LAYOUT_VERSION = 2;

/** How long a process relies on the record that it has read. */
const REREAD_MILLISECONDS = 10 * 60_000;

export type LayoutRecord = {
  /** Programs of an older layout may not write. */
  minWriter: number;
  /**
   * When `minWriter` was raised, by the clock of storage: until some time later, older programs may still write. Absent in storage
   * that is new.
   */
  minWriterSince?: Date;
};

/** One storage request. @throws Error if the record is malformed */
export async function readLayoutRecord(storage: StorageDriver): Promise<LayoutRecord | undefined> {
  return (await read(storage))?.record;
}

/**
 * Whether this program may write to the storage. A newer program may have recorded a layout that older writers would damage.
 * One storage request.
 * @throws Error if the recorded layout is malformed
 */
export async function mayWrite(storage: StorageDriver): Promise<boolean> {
  return allowsThis(await readLayoutRecord(storage));
}

/**
 * As `mayWrite`, and records the layout in storage that has no record, or one of an older layout. A process whose role may not
 * write the record leaves it to another; on AWS only the role of the projection worker may. One storage request, up to four the
 * first time.
 */
export async function recordLayout(storage: StorageDriver): Promise<boolean> {
  const stored = await read(storage);
  if (stored && stored.record.minWriter >= LAYOUT_VERSION) return allowsThis(stored.record);
  // Older programs may have written without a record, if their role could not write it.
  const isNew = !stored && !(await mayHoldOldWrites(storage));
  const minWriterSince = isNew ? undefined : new Date().toISOString();
  const bytes = encodeText(JSON.stringify({ layout: LAYOUT_VERSION, minWriter: LAYOUT_VERSION, minWriterSince }));
  try {
    const written = await storage.put(layout.layoutVersion(), bytes, { ...unchanged(stored?.info), ...AS_JSON });
    return written !== undefined || (await mayWrite(storage));
  } catch (error) {
    if (error instanceof StorageDeniedError) return true;
    throw error;
  }
}

/**
 * The same storage, whose writes fail with UNSUPPORTED once a newer program has recorded a layout that this one would damage.
 * The record is read again before a write, if it was last read ten minutes ago. So a process that is idle, or suspended, reads
 * nothing.
 * @param options.onRefusal called once, when the first write is refused
 */
export function refuseOnceOutdated(
  storage: StorageDriver,
  {
    onRefusal,
    rereadMs = REREAD_MILLISECONDS,
  }: { onRefusal?: () => void /** Other than the default in tests only. */; rereadMs?: number } = {},
): StorageDriver {
  let isAllowed = true;
  let readAt = clocks();
  let reading: Promise<void> | undefined;
  const readAgain = async () => {
    const now = clocks();
    isAllowed = await mayWrite(storage);
    readAt = now;
    if (!isAllowed) onRefusal?.();
  };
  return guardWrites(storage, async () => {
    // A clock may be set, and the other one stops while a process is suspended.
    const isOld = clocks().some((ms, index) => Math.abs(ms - (readAt[index] ?? 0)) >= rereadMs);
    if (isAllowed && isOld) {
      reading ??= readAgain().finally(() => {
        reading = undefined;
      });
      await reading;
    }
    return isAllowed;
  });
}

const clocks = () => [performance.now(), Date.now()];

const allowsThis = (record: LayoutRecord | undefined) => record === undefined || record.minWriter <= LAYOUT_VERSION;

/** The objects of one listing request. */
const LOOKED_AT = 1000;

/**
 * Whether a program of an older layout may have written to storage without a record. Not before the first push, nor where all of
 * Stowage's own is what this layout writes, as after the first push on AWS, where the projection worker writes the record: every
 * program leaves the bytes of what it stores at keys of its layout. One storage request.
 */
async function mayHoldOldWrites(storage: StorageDriver): Promise<boolean> {
  let objects = 0;
  let hasOwnBytes = false;
  let hasRepositories = false;
  for await (const { key } of storage.list(layout.stowageObjects())) {
    const isOfBlob = key.startsWith(layout.blobs());
    const isOfOldLayout = (isOfBlob && !parseBlobRecord(key)) || key.startsWith(layout.outdatedDigestMarkers());
    if (isOfOldLayout || ++objects === LOOKED_AT) return true;
    hasOwnBytes ||= isOfBlob;
    hasRepositories ||= key.startsWith(layout.ociRepositories());
  }
  return hasRepositories && !hasOwnBytes;
}

async function read(storage: StorageDriver) {
  const object = await storage.read(layout.layoutVersion());
  if (!object) return undefined;
  const value = parseJson(object.bytes);
  if (!isJsonObject(value) || typeof value.minWriter !== 'number')
    throw new Error(`${object.info.key} has no number minWriter`);
  const { minWriter, minWriterSince } = value;
  // The field holds the clock of the process that wrote it.
  const since = minWriterSince === undefined ? undefined : object.info.lastModified;
  return { info: object.info, record: { minWriter, ...(since && { minWriterSince: since }) } };
}
