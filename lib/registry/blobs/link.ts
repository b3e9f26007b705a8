import { isJsonObject, parseJson } from '../../model/json.ts';
import type { Key } from '../../model/layout.ts';
import { encodeText } from '../../streams/bytes.ts';
import { type Condemned, parseCondemned } from '../condemned/condemned.ts';

/** The content of a link: the size of the blob, and the key of its bytes. */
export type BlobLink = { sizeBytes: number; key: Key };

/** Condemned links are at least this long and live ones shorter, so a listing tells them apart by their size. */
export const CONDEMNED_LINK_BYTES = 1024;

/** A live link. */
export function encodeBlobLink({ sizeBytes, key }: BlobLink): Uint8Array {
  return encodeText(JSON.stringify({ size: sizeBytes, key }));
}

/** A link that the collector has condemned; it is served as if it were live. */
export function encodeCondemnedLink({ sizeBytes, key }: BlobLink, condemned: Condemned): Uint8Array {
  return encodeText(JSON.stringify({ size: sizeBytes, key, condemned }).padEnd(CONDEMNED_LINK_BYTES));
}

/** @throws Error if storage is damaged */
export function decodeBlobLink(bytes: Uint8Array, at: Key): BlobLink & { condemned?: Condemned } {
  const value = parseJson(bytes);
  if (!isJsonObject(value) || typeof value.size !== 'number' || typeof value.key !== 'string') {
    throw new Error(`${at} is not a blob link`);
  }
  const condemned = parseCondemned(value.condemned);
  return { sizeBytes: value.size, key: value.key as Key, ...(condemned && { condemned }) };
}
