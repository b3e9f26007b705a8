// What pushed a tag: `tag<tag>_json`, and for `latest` also the repository's `json`.

import type { JsonObject } from '../../model/json.ts';
import { type Key, layout } from '../../model/layout.ts';
import type { RepositoryName, Tag } from '../../model/names.ts';
import { pythonJson } from '../../model/python-json.ts';
import { AS_JSON, type StorageDriver } from '../../storage/driver.ts';
import { type Bytes, decodeText, encodeText } from '../../streams/bytes.ts';
import { decodeTarget } from './target.ts';

/** Names in docker's User-Agent, and what they are called in the object. */
const FIELDS: Record<string, string> = {
  docker: 'docker_version',
  go: 'docker_go_version',
  arch: 'arch',
  kernel: 'kernel',
  os: 'os',
};
const LOWER_CASE_FIELDS = ['arch', 'kernel', 'os'];

/** Where nothing is stored: all of it or nothing, a stored object is given out as it is. */
export const UNKNOWN_METADATA: JsonObject = {
  arch: 'amd64',
  docker_go_version: null,
  docker_version: null,
  kernel: null,
  last_update: null,
  os: 'linux',
};

/**
 * What docker's `docker/1.4.1 go/go1.3.3 kernel/3.18.1 os/linux arch/amd64` says. Of a name that occurs twice the last
 * counts; what the header does not name is left out.
 */
export function tagMetadata(userAgent: string, now: Date): JsonObject {
  const metadata: JsonObject = { last_update: Math.floor(now.getTime() / 1000) };
  for (const product of userAgent.split(/\s/)) {
    const [name = '', value = ''] = product.split('/', 2);
    const field = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined;
    if (field && value !== '') metadata[field] = LOWER_CASE_FIELDS.includes(field) ? value.toLowerCase() : value;
  }
  return metadata;
}

export class TagMetadata {
  readonly #storage: StorageDriver;

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /** The stored bytes of a tag's metadata, or of the repository's, which are those of `latest`. One storage request. */
  async find(repository: RepositoryName, tag?: Tag): Promise<Bytes | undefined> {
    const key = tag === undefined ? layout.repositoryJson(repository) : layout.tagJson(repository, tag);
    const object = key && (await this.#storage.read(key));
    return object?.bytes;
  }

  /** One or two storage requests, side by side. */
  async put(repository: RepositoryName, tag: Tag, metadata: JsonObject): Promise<void> {
    const bytes = encodeText(pythonJson(metadata));
    await Promise.all(keysOf(repository, tag).map((key) => this.#storage.put(key, bytes, AS_JSON)));
  }

  /** One or two storage requests, side by side. */
  async delete(repository: RepositoryName, tag: Tag): Promise<void> {
    await Promise.all(keysOf(repository, tag).map((key) => this.#storage.delete(key)));
    if (layout.tagJson(repository, tag) === undefined) await this.#deleteLegacy(repository, tag);
  }

  /** What docker-registry wrote for `_x` lies where the tag `x_json` would: it goes unless it is that tag. */
  async #deleteLegacy(repository: RepositoryName, tag: Tag): Promise<void> {
    const object = await this.#storage.read(layout.legacyTagJson(repository, tag));
    if (!object || decodeTarget(decodeText(object.bytes))) return;
    await this.#storage.delete(object.info.key, { ifMatch: object.info.etag });
  }
}

function keysOf(repository: RepositoryName, tag: Tag): Key[] {
  const own = layout.tagJson(repository, tag);
  return [...(own ? [own] : []), ...(tag === 'latest' ? [layout.repositoryJson(repository)] : [])];
}
