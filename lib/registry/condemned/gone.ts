// The gone form: what the collector writes, on the condition of the ETag, over the condemned form of an object in storage whose
// DELETE is not conditional. It is never deleted. Readers treat it as absent, and writers overwrite it.
import { randomUUID } from 'node:crypto';
import { decodeText, encodeText } from '../../streams/bytes.ts';

const GONE = /^\{"gone":"[a-f0-9-]{36}"\}$/;

/** Every gone form has this size, which no live link, manifest, referrer entry or cell has. */
export const GONE_BYTES = 47;

/** A gone form. Its nonce gives it an ETag of its own. */
export function encodeGone(): Uint8Array {
  return encodeText(JSON.stringify({ gone: randomUUID() }));
}

/** Whether this object counts as absent. */
export function isGone(stored: Uint8Array): boolean {
  return stored.length === GONE_BYTES && GONE.test(decodeText(stored));
}
