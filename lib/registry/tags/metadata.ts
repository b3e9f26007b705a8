// Tag metadata: which client pushed a tag, and when. Stored as `tag<tag>_json`, for `latest` also as the repository's `json`.

import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import type { JsonObject } from '../../model/json.ts';
import { type Key, layout } from '../../model/layout.ts';
import type { RepositoryName, Tag } from '../../model/names.ts';
import { pythonJson } from '../../model/python-json.ts';
import { deleteIf, deleteMany } from '../../storage/deletions.ts';
import { AS_JSON, type StorageDriver } from '../../storage/driver.ts';
import { type Bytes, decodeText, encodeText } from '../../streams/bytes.ts';
import { decodeTarget } from './target.ts';

/** Product names in Docker's User-Agent, and the fields they are stored in. */
const FIELDS: Record<string, string> = {
  docker: 'docker_version',
  go: 'docker_go_version',
  arch: 'arch',
  kernel: 'kernel',
  os: 'os',
};
const LOWER_CASE_FIELDS = ['arch', 'kernel', 'os'];

/** What docker-registry answers where no metadata is stored. A stored object is sent unchanged, without these defaults. */
export const UNKNOWN_METADATA: JsonObject = {
  arch: 'amd64',
  docker_go_version: null,
  docker_version: null,
  kernel: null,
  last_update: null,
  os: 'linux',
};

/**
 * Parses a User-Agent such as `docker/1.4.1 go/go1.3.3 kernel/3.18.1 os/linux arch/amd64` into tag metadata. A later product
 * overrides an earlier one of the same name. Fields that the header does not name are left out.
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

  /** The stored bytes of a tag's metadata; without a tag the repository's, written with `latest`. One storage request. */
  async find(repository: RepositoryName, tag?: Tag): Promise<Bytes | undefined> {
    const key = tag === undefined ? layout.repositoryJson(repository) : layout.tagJson(repository, tag);
    const object = key && (await this.#storage.read(key));
    return object?.bytes;
  }

  /** Stores the metadata of a tag. One storage request, two side by side for `latest`. */
  async put(repository: RepositoryName, tag: Tag, metadata: JsonObject): Promise<void> {
    const bytes = encodeText(pythonJson(metadata));
    await Promise.all(metadataKeys(repository, tag).map((key) => this.#storage.put(key, bytes, AS_JSON)));
  }

  /**
   * Deletes the metadata of tags. One storage request for all of them, where storage deletes many objects at once; up to two for
   * each tag with a name like `_x`.
   */
  async delete(repository: RepositoryName, tags: readonly Tag[]): Promise<void> {
    await deleteMany(
      this.#storage,
      tags.flatMap((tag) => metadataKeys(repository, tag)),
    );
    const legacy = tags.filter((tag) => layout.tagJson(repository, tag) === undefined);
    await mapConcurrently(legacy, (tag) => this.#deleteLegacy(repository, tag));
  }

  /** docker-registry stored the metadata of tag `_x` under the key of tag `x_json`. Deletes it unless it is that tag. */
  async #deleteLegacy(repository: RepositoryName, tag: Tag): Promise<void> {
    const key = layout.legacyTagJson(repository, tag);
    await deleteIf(this.#storage, key, ({ bytes }) => decodeTarget(decodeText(bytes)) === undefined);
  }
}

/** Where the metadata of a tag is stored. */
export function metadataKeys(repository: RepositoryName, tag: Tag): Key[] {
  const own = layout.tagJson(repository, tag);
  return [...(own ? [own] : []), ...(tag === 'latest' ? [layout.repositoryJson(repository)] : [])];
}
