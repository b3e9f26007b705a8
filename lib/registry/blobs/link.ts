import { isJsonObject, parseJson } from '../../model/json.ts';
import type { Key } from '../../model/layout.ts';
import { encodeText } from '../../streams/bytes.ts';

/** A repository's right to a blob: how large it is and where its bytes lie. */
export type BlobLink = { sizeBytes: number; key: Key };

/** @param nonce makes the object another one, with another ETag, although it says the same */
export function encodeBlobLink({ sizeBytes, key }: BlobLink, nonce?: string): Uint8Array {
  return encodeText(JSON.stringify({ size: sizeBytes, key, nonce }));
}

/** @throws Error if it is none: ours to repair */
export function decodeBlobLink(bytes: Uint8Array, at: Key): BlobLink {
  const value = parseJson(bytes);
  if (!isJsonObject(value) || typeof value.size !== 'number' || typeof value.key !== 'string') {
    throw new Error(`${at} is not a blob link`);
  }
  return { sizeBytes: value.size, key: value.key as Key };
}
