import { isJsonObject, parseJson } from '../../model/json.ts';
import type { Key } from '../../model/layout.ts';
import { encodeText } from '../../streams/bytes.ts';

/** The content of a link: the size of the blob, and the key of its bytes. */
export type BlobLink = { sizeBytes: number; key: Key };

/** @param nonce gives the object another ETag with the same content */
export function encodeBlobLink({ sizeBytes, key }: BlobLink, nonce?: string): Uint8Array {
  return encodeText(JSON.stringify({ size: sizeBytes, key, nonce }));
}

/** @throws Error if storage is damaged */
export function decodeBlobLink(bytes: Uint8Array, at: Key): BlobLink {
  const value = parseJson(bytes);
  if (!isJsonObject(value) || typeof value.size !== 'number' || typeof value.key !== 'string') {
    throw new Error(`${at} is not a blob link`);
  }
  return { sizeBytes: value.size, key: value.key as Key };
}
