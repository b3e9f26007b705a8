import { isJsonObject, type JsonObject, parseJson } from '../../model/json.ts';
import { MiB, readAtMost } from '../../streams/bytes.ts';
import type { Blobs } from './blobs.ts';
import type { BlobLink } from './link.ts';

/** Larger configs are not read. */
export const MAX_CONFIG_BYTES = 4 * MiB;
const MAX_CONFIG_VALUES = 150_000;

/** The config behind a link. One storage request. `undefined` if it is too large, or no JSON object. */
export async function readConfig(blobs: Blobs, link: BlobLink): Promise<JsonObject | undefined> {
  if (link.sizeBytes > MAX_CONFIG_BYTES) return undefined;
  const bytes = await readAtMost(await blobs.read(link), MAX_CONFIG_BYTES, 'the config');
  const config = parseJson(bytes, { maxValues: MAX_CONFIG_VALUES });
  return isJsonObject(config) ? config : undefined;
}
