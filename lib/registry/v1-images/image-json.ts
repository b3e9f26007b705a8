import { RegistryError } from '../../model/errors.ts';
import { isJsonObject, parseJson } from '../../model/json.ts';
import { type ImageId, isImageId } from '../../model/names.ts';

/** The JSON of an image that a v1 client pushes. `bytes` as they were sent: checksums are computed over them. */
export type ParsedImageJson = { id: ImageId; parent: ImageId | undefined; bytes: Uint8Array };

/** How many values a JSON may have: more than any image needs, and few enough to be parsed quickly. */
const MAX_VALUES = 100_000;

/** @throws RegistryError IMAGE_INVALID with the message of docker-registry */
export function parseImageJson(id: ImageId, bytes: Uint8Array): ParsedImageJson {
  const json = parseJson(bytes, { maxValues: MAX_VALUES });
  if (!isJsonObject(json) || Object.keys(json).length === 0) throw new RegistryError('IMAGE_INVALID', 'Invalid JSON');
  if (!('id' in json)) throw new RegistryError('IMAGE_INVALID', "Missing key `id' in JSON");
  if (json.id !== id) throw new RegistryError('IMAGE_INVALID', 'JSON data contains invalid id');
  const { parent } = json;
  if (!parent) return { id, parent: undefined, bytes };
  if (!isImageId(parent)) throw noSuchParent();
  return { id, parent, bytes };
}

export function noSuchParent(): RegistryError {
  return new RegistryError('IMAGE_INVALID', 'Image depends on a non existing parent');
}
