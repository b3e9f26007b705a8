// Condemned forms: what the collector writes over a link, a manifest or a referrer entry that nothing reaches. They are served as
// if they were live, and a writer that relies on one writes the live form again.
import { randomUUID } from 'node:crypto';
import { digestOf } from '../../model/content-digest.ts';
import { isJsonObject, type JsonValue, parseJson } from '../../model/json.ts';
import { algorithmOf, type Digest } from '../../model/names.ts';
import { type Bytes, encodeText } from '../../streams/bytes.ts';

/**
 * The run of the collector that condemned an object, and a nonce, which gives the condemned form an ETag of its own: a removal on
 * the condition of that ETag, late or repeated, meets no other object.
 */
export type Condemned = { run: string; nonce: string };

/** A new condemnation by this run. */
export function condemnedBy(run: string): Condemned {
  return { run, nonce: randomUUID() };
}

/** The field `condemned` of a condemned form; `undefined` for anything else. */
export function parseCondemned(value: JsonValue | undefined): Condemned | undefined {
  if (!isJsonObject(value) || typeof value.run !== 'string' || typeof value.nonce !== 'string') return undefined;
  return { run: value.run, nonce: value.nonce };
}

/** The first bytes of every condemned manifest. */
const CONDEMNED_MANIFEST_START = '{"condemned":{';

/** Every condemned manifest takes up a multiple of so many bytes. */
const CONDEMNED_MANIFEST_UNIT = 1024;

/** Whether an object of this size may be a condemned manifest. True of one live manifest in a thousand. */
export function mayBeCondemnedManifest(sizeBytes: number): boolean {
  return sizeBytes % CONDEMNED_MANIFEST_UNIT === 0;
}

/** A third longer than the manifest, and so never of the manifest's size. */
export function encodeCondemnedManifest(manifest: Uint8Array, condemned: Condemned): Uint8Array {
  const form = JSON.stringify({ condemned, manifest: Buffer.from(manifest).toString('base64') });
  return encodeText(form.padEnd(inUnits(form.length)));
}

/** The size of the condemned form of a manifest. */
export function condemnedManifestSize(manifestBytes: number): number {
  return inUnits(EMPTY_FORM_BYTES + 4 * Math.ceil(manifestBytes / 3));
}

/** Run and nonce are uuids. */
const EMPTY_FORM_BYTES = JSON.stringify({ condemned: { run: randomUUID(), nonce: randomUUID() }, manifest: '' }).length;

function inUnits(sizeBytes: number): number {
  return CONDEMNED_MANIFEST_UNIT * Math.ceil(sizeBytes / CONDEMNED_MANIFEST_UNIT);
}

/**
 * A manifest as it is stored, live or condemned. Clients choose the bytes of manifests, so a condemned form is believed only if
 * the bytes within it have the digest of the key; anything else is the manifest itself.
 */
export function decodeStoredManifest(stored: Bytes, digest: Digest): { bytes: Bytes; condemned?: Condemned } {
  if (!Buffer.from(stored.subarray(0, CONDEMNED_MANIFEST_START.length)).equals(encodeText(CONDEMNED_MANIFEST_START))) {
    return { bytes: stored };
  }
  const value = parseJson(stored);
  const condemned = isJsonObject(value) ? parseCondemned(value.condemned) : undefined;
  if (!condemned || !isJsonObject(value) || typeof value.manifest !== 'string') return { bytes: stored };
  const bytes = Uint8Array.from(Buffer.from(value.manifest, 'base64'));
  return digestOf(bytes, algorithmOf(digest)) === digest ? { bytes, condemned } : { bytes: stored };
}
