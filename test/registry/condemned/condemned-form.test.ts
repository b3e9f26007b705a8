import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../../../lib/model/content-digest.ts';
import { type Key, layout } from '../../../lib/model/layout.ts';
import type { Digest } from '../../../lib/model/names.ts';
import {
  CONDEMNED_LINK_BYTES,
  decodeBlobLink,
  encodeBlobLink,
  encodeCondemnedLink,
} from '../../../lib/registry/blobs/link.ts';
import {
  condemnedBy,
  condemnedManifestSize,
  decodeStoredManifest,
  encodeCondemnedManifest,
  mayBeCondemnedManifest,
} from '../../../lib/registry/condemned/condemned.ts';
import { type Bytes, encodeText } from '../../../lib/streams/bytes.ts';

const DIGEST = `sha512:${'f'.repeat(128)}` as Digest;
const LINK = { sizeBytes: Number.MAX_SAFE_INTEGER, key: layout.blobCopy(DIGEST, crypto.randomUUID()) };
const AT = 'oci/repositories/a/b/blobs/x' as Key;

describe('a condemned link', () => {
  it('says what the live link says, and by which run it was condemned', () => {
    const { condemned, ...link } = decodeBlobLink(encodeCondemnedLink(LINK, condemnedBy('run-1')), AT);
    assert.deepEqual(link, LINK);
    assert.equal(condemned?.run, 'run-1');
  });

  it('is longer than any live link', () => {
    assert.ok(encodeBlobLink(LINK).length < CONDEMNED_LINK_BYTES);
    assert.ok(encodeCondemnedLink(LINK, condemnedBy('run-1')).length >= CONDEMNED_LINK_BYTES);
  });

  it('never has the same bytes twice', () => {
    const twice = [condemnedBy('run-1'), condemnedBy('run-1')].map((condemned) => encodeCondemnedLink(LINK, condemned));
    assert.notDeepEqual(twice[0], twice[1]);
  });
});

describe('a condemned manifest', () => {
  const manifest = encodeText('{"schemaVersion":2}') as Bytes;
  const digest = digestOf(manifest);

  it('holds the manifest byte for byte', () => {
    const stored = encodeCondemnedManifest(manifest, condemnedBy('run-1')) as Bytes;
    const decoded = decodeStoredManifest(stored, digest);
    assert.deepEqual(decoded.bytes, manifest);
    assert.equal(decoded.condemned?.run, 'run-1');
  });

  it('has a size that few live manifests have, and that follows from the size of the manifest', () => {
    for (const sizeBytes of [0, 18, 1023, 4 * 2 ** 20]) {
      const stored = encodeCondemnedManifest(new Uint8Array(sizeBytes), condemnedBy(crypto.randomUUID()));
      assert.equal(stored.length, condemnedManifestSize(sizeBytes));
      assert.ok(mayBeCondemnedManifest(stored.length));
    }
    assert.equal(mayBeCondemnedManifest(manifest.length), false);
  });

  it('is believed only if the manifest within it has the digest of the key: clients can push the same form', () => {
    const forged = encodeCondemnedManifest(
      encodeText('{"schemaVersion":2,"forged":true}'),
      condemnedBy('run-1'),
    ) as Bytes;
    assert.deepEqual(decodeStoredManifest(forged, digestOf(forged)), { bytes: forged });
    assert.deepEqual(decodeStoredManifest(forged, digest), { bytes: forged });
  });
});
