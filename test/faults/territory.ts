import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Key, KeyPrefix } from '../../lib/model/layout.ts';
import type { ETag, StorageDriver } from '../../lib/storage/driver.ts';
import { readAll } from '../../lib/streams/bytes.ts';
import { decodeLoosely, type Target } from './bad-requests.ts';

/** The objects that a request may write: those of the repository or image that it names, and blobs that no repository links. */
export class Territory {
  readonly #storage: StorageDriver;
  readonly #target: Target;
  readonly #names = new Set<string>();
  #before = new Map<Key, ETag>();
  #known = new Set<Key>();

  constructor(storage: StorageDriver, target: Target) {
    this.#storage = storage;
    this.#target = target;
  }

  /** Marks the objects that exist now as owned. */
  async remember(): Promise<void> {
    this.#before = await this.#objects();
    this.#known = new Set(this.#before.keys());
    this.allow(`/v2/${this.#target.repository}/`);
    for (const id of this.#target.images) this.#names.add(id);
  }

  /** After an accepted request to this URL, all repositories and images that its path can name may be written. */
  allow(url: string): void {
    const { pathname } = new URL(`http://registry.test${url.startsWith('/') ? '' : '/'}${url}`);
    const parts = decodeLoosely(pathname)
      .replace(/^\/(?:v2|v1\/repositories|v1\/images)\//, '')
      .split('/');
    for (let length = 1; length <= parts.length; length++) {
      const name = parts.slice(0, length).join('/');
      if (name !== this.#target.bystander) this.#names.add(length === 1 ? `library/${name}` : name).add(name);
    }
  }

  /** @throws AssertionError if something was written, changed or deleted that no accepted request has named */
  async assertKept(): Promise<void> {
    const now = await this.#objects();
    for (const [key, etag] of this.#before) {
      if (!this.#mayWrite(key, now)) assert.equal(now.get(key), etag, `${key} was changed or deleted`);
    }
    for (const key of now.keys()) {
      if (this.#known.has(key)) continue;
      assert(this.#mayWrite(key, now), `${key} was written, and no request has named it`);
      await this.#checkDigest(key);
      this.#known.add(key);
    }
  }

  /** A manifest, and a blob that is linked, have the digest under which they can be read. */
  async #checkDigest(key: Key): Promise<void> {
    const [, what, algorithm = '', hex] = /^oci\/repositories\/.*\/(manifests|blobs)\/(\w+)\/(\w+)$/.exec(key) ?? [];
    if (hex === undefined) return;
    const object = await this.#read(key);
    const link = what === 'blobs' && object && (JSON.parse(object.toString()) as { key: Key });
    const bytes = link ? await this.#read(link.key) : object;
    if (!object) return; // deleted meanwhile
    assert(bytes, `${key} leads nowhere`);
    assert.equal(createHash(algorithm).update(bytes).digest('hex'), hex, key);
  }

  async #read(key: Key): Promise<Buffer | undefined> {
    const object = await this.#storage.get(key);
    return object && Buffer.from(await readAll(object.body));
  }

  #mayWrite(key: Key, all: ReadonlyMap<Key, ETag>): boolean {
    const [, namespace, part] = /^(?:oci\/)?repositories\/([^/]+)\/([^/]+)\//.exec(key) ?? [];
    if (part !== undefined) return this.#names.has(`${namespace}/${unquote(part)}`);
    const [, owner] = /^oci\/images\/[^/]+\/(?:view|repositories)\/([^/]+)\//.exec(key) ?? [];
    if (owner !== undefined) return this.#names.has(unquote(owner));
    const [, image] = /^images\/([^/]+)\//.exec(key) ?? [];
    if (image !== undefined) return this.#names.has(image) || all.has(`oci/images/${image}/view.json` as Key);
    if (key.startsWith('oci/uploads/')) return true; // of upload sessions, which any holder of their URL may continue or cancel
    return /^oci\/(?:images|blobs|data)\//.test(key) && !this.#before.has(key);
  }

  async #objects(): Promise<Map<Key, ETag>> {
    const objects = new Map<Key, ETag>();
    for await (const { key, etag } of this.#storage.list('' as KeyPrefix)) objects.set(key, etag);
    return objects;
  }
}

function unquote(part: string): string {
  return decodeURIComponent(part.replaceAll('+', ' '));
}
