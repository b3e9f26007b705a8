// The checksums of v1 images: `sha256:` over JSON, newline and layer as sent, or a TarSum.

import { parseJson } from '../../model/json.ts';
import { layout } from '../../model/layout.ts';
import type { ImageId } from '../../model/names.ts';
import { pythonJson } from '../../model/python-json.ts';
import { AS_JSON, type StorageDriver } from '../../storage/driver.ts';
import { decodeText, encodeText } from '../../streams/bytes.ts';
import type { TarSumVersion } from '../../tar/tar-sum.ts';

/** All that is stored, in any form that ever was: a JSON array, or one sum without quotes, perhaps with a newline. */
export async function readChecksums(storage: StorageDriver, id: ImageId): Promise<string[]> {
  const text = await readText(storage, id);
  if (text === undefined) return [];
  const value = parseJson(encodeText(text));
  if (Array.isArray(value)) return value.filter((sum) => typeof sum === 'string');
  return text.trim() === '' ? [] : [text.trim()];
}

/** The sum that came with the JSON, before the layer: stored without quotes, as docker-registry 0.6 did. */
export async function readClaim(storage: StorageDriver, id: ImageId): Promise<string | undefined> {
  const text = await readText(storage, id);
  return text === undefined || text.startsWith('[') ? undefined : text.trim();
}

/** As docker-registry wrote them from 0.7 on. One storage request. */
export async function writeChecksums(storage: StorageDriver, id: ImageId, checksums: string[]): Promise<void> {
  await storage.put(layout.imageChecksum(id), encodeText(pythonJson(checksums)), AS_JSON);
}

async function readText(storage: StorageDriver, id: ImageId): Promise<string | undefined> {
  const object = await storage.read(layout.imageChecksum(id));
  return object && decodeText(object.bytes);
}

const TAR_SUM_LABELS: Record<string, TarSumVersion> = { tarsum: 0, 'tarsum.v1': 1, 'tarsum.dev': 'dev' };

/** Which TarSum this is, by its label; `undefined` if it is none. */
export function tarSumVersionOf(checksum: string): TarSumVersion | undefined {
  const [label = '', rest = ''] = checksum.split('+', 2);
  return rest.startsWith('sha256:') && Object.hasOwn(TAR_SUM_LABELS, label) ? TAR_SUM_LABELS[label] : undefined;
}
