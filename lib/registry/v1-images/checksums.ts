// The checksums of v1 images, `images/<id>/_checksum`: payload sums `sha256:<hex>` and TarSums.

import { parseJson } from '../../model/json.ts';
import { layout } from '../../model/layout.ts';
import type { ImageId } from '../../model/names.ts';
import { pythonJson } from '../../model/python-json.ts';
import { AS_JSON, type StorageDriver } from '../../storage/driver.ts';
import { decodeText, encodeText } from '../../streams/bytes.ts';
import type { TarSumVersion } from '../../tar/tar-sum.ts';
import type { Look } from '../condemned/look.ts';

/** The stored checksums, as docker-registry wrote them: a JSON array, or one checksum without quotes. One storage request. */
export async function readChecksums(storage: StorageDriver, id: ImageId): Promise<string[]> {
  const text = await readText(storage, id);
  if (text === undefined) return [];
  const value = parseJson(encodeText(text));
  if (Array.isArray(value)) return value.filter((sum) => typeof sum === 'string');
  return text.trim() === '' ? [] : [text.trim()];
}

/** The checksum that came with the JSON, stored without quotes, as docker-registry 0.6 did. One storage request. */
export async function readClaim(storage: StorageDriver, id: ImageId): Promise<string | undefined> {
  const text = await readText(storage, id);
  return text === undefined || text.startsWith('[') ? undefined : text.trim();
}

/** Writes the checksums as docker-registry 0.7 and later did. One storage request. */
export async function writeChecksums(
  storage: StorageDriver,
  id: ImageId,
  checksums: string[],
  look?: Look,
): Promise<void> {
  const options = { ...AS_JSON, ...(look && { look }) };
  await storage.put(layout.imageChecksum(id), encodeText(pythonJson(checksums)), options);
}

async function readText(storage: StorageDriver, id: ImageId): Promise<string | undefined> {
  const object = await storage.read(layout.imageChecksum(id));
  return object && decodeText(object.bytes);
}

const TAR_SUM_LABELS: Record<string, TarSumVersion> = { tarsum: 0, 'tarsum.v1': 1, 'tarsum.dev': 'dev' };

/** The version of a TarSum, by its label; `undefined` if the checksum is not a TarSum. */
export function tarSumVersionOf(checksum: string): TarSumVersion | undefined {
  const [label = '', rest = ''] = checksum.split('+', 2);
  return rest.startsWith('sha256:') && Object.hasOwn(TAR_SUM_LABELS, label) ? TAR_SUM_LABELS[label] : undefined;
}
