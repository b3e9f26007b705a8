import type { JsonObject } from '../../model/json.ts';
import type { ManifestDocument } from '../../model/manifest.ts';
import type { Digest } from '../../model/names.ts';
import type { Bytes } from '../../streams/bytes.ts';
import type { BlobLink } from '../blobs/link.ts';

/** A manifest that was just put, with what the put has read: what follows the answer does not read it again. */
export type PushedManifest = {
  digest: Digest;
  bytes: Bytes;
  document: ManifestDocument;
  /** Of its blobs. */
  links: ReadonlyMap<Digest, BlobLink>;
  /** Its config. One storage request, the first time only. `undefined` if it has none that can be read. */
  config: () => Promise<JsonObject | undefined>;
};
