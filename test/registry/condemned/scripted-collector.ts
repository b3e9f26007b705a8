// What a collector does to links, manifests and referrer entries, one step at a time, so that a test can put each step before or
// after any step of a writer.
import assert from 'node:assert/strict';
import { isJsonObject, parseJson } from '../../../lib/model/json.ts';
import { digestOfManifestKey, type Key } from '../../../lib/model/layout.ts';
import { decodeBlobLink, encodeCondemnedLink } from '../../../lib/registry/blobs/link.ts';
import { condemnedBy, encodeCondemnedManifest } from '../../../lib/registry/condemned/condemned.ts';
import { encodeGone, isGone } from '../../../lib/registry/condemned/gone.ts';
import type { ObjectInfo, StorageDriver } from '../../../lib/storage/driver.ts';
import { type Bytes, encodeText } from '../../../lib/streams/bytes.ts';

/** How condemned objects are removed: by DELETE If-Match, or, where the server ignores its condition, by the gone form. */
export type Removal = 'DELETE' | 'gone form';

const RUN = '01928f3e-0000-7000-8000-000000000000';

export class ScriptedCollector {
  readonly #storage: StorageDriver;
  readonly #removal: Removal;

  constructor(storage: StorageDriver, removal: Removal) {
    this.#storage = storage;
    this.#removal = removal;
  }

  /** Condemns the live object at this key. @param listed as a listing showed it, at some time before. @returns false if it has changed */
  async condemn(key: Key, listed?: ObjectInfo): Promise<boolean> {
    const object = await this.#storage.read(key);
    assert.ok(object, `${key} is there`);
    const { etag } = listed ?? object.info;
    return (await this.#storage.put(key, condemnedForm(key, object.bytes), { ifMatch: etag })) !== undefined;
  }

  /** The condemned object at this key, for a removal later on. */
  async seen(key: Key): Promise<ObjectInfo> {
    assert.ok(await this.isCondemned(key), `${key} is condemned`);
    const info = await this.#storage.head(key);
    assert.ok(info);
    return info;
  }

  /** Removes the object unless it has changed since it was seen. */
  async remove({ key, etag }: ObjectInfo): Promise<void> {
    if (this.#removal === 'DELETE') await this.#storage.delete(key, { ifMatch: etag });
    else await this.#storage.put(key, encodeGone(), { ifMatch: etag });
  }

  /** Condemns and removes: a whole grace period passes at once. */
  async sweep(key: Key): Promise<void> {
    assert.ok(await this.condemn(key));
    await this.remove(await this.seen(key));
    assert.equal(await this.isPresent(key), false);
  }

  async isCondemned(key: Key): Promise<boolean> {
    const object = await this.#storage.read(key);
    const value = object && parseJson(object.bytes);
    return isJsonObject(value) && value.condemned !== undefined;
  }

  async isPresent(key: Key): Promise<boolean> {
    const object = await this.#storage.read(key);
    return object !== undefined && !isGone(object.bytes);
  }
}

function condemnedForm(key: Key, live: Bytes): Uint8Array {
  const condemned = condemnedBy(RUN);
  if (digestOfManifestKey(key)) return encodeCondemnedManifest(live, condemned);
  if (key.includes('/blobs/')) return encodeCondemnedLink(decodeBlobLink(live, key), condemned);
  const descriptor = parseJson(live);
  assert.ok(isJsonObject(descriptor) && key.includes('/referrers/'));
  return encodeText(JSON.stringify({ ...descriptor, condemned }));
}
