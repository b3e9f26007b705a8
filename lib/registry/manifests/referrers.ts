import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { isJsonObject, type JsonObject, parseJson } from '../../model/json.ts';
import { type Key, layout, parseRepositoryRecord } from '../../model/layout.ts';
import type { ManifestDocument } from '../../model/manifest.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import { AS_JSON, type StorageDriver } from '../../storage/driver.ts';
import { encodeText, MiB } from '../../streams/bytes.ts';
import { listUnlessGone, readUnlessGone } from '../condemned/gone.ts';

/** Descriptors on a page. */
export const PAGE_SIZE = 100;
/** The spec's limit for an answer. */
export const PAGE_BYTES = 4 * MiB;

export type ReferrersPage = {
  descriptors: JsonObject[];
  /** `after` of the next page; absent on the last one. */
  next?: string;
};

/**
 * The manifests that name another one as their subject. Each has an object of its own, so concurrent pushes do not conflict.
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
 */
export class Referrers {
  readonly #storage: StorageDriver;

  constructor(storage: StorageDriver) {
    this.#storage = storage;
  }

  /** One storage request. */
  async add(
    repository: RepositoryName,
    subject: Digest,
    {
      mediaType,
      digest,
      sizeBytes,
      artifactType,
      annotations,
    }: ManifestDocument & { digest: Digest; sizeBytes: number },
  ): Promise<void> {
    const descriptor = { mediaType, digest, size: sizeBytes, artifactType, annotations };
    await this.#storage.put(
      layout.referrer(repository, subject, digest),
      encodeText(JSON.stringify(descriptor)),
      AS_JSON,
    );
  }

  /** One storage request. */
  async remove(repository: RepositoryName, subject: Digest, digest: Digest): Promise<void> {
    await this.#storage.delete(layout.referrer(repository, subject, digest));
  }

  /**
   * The digests of up to `PAGE_SIZE` referrers. One storage request.
   * @param options.after the last digest of the page before, as `next` gives it
   */
  async digests(
    repository: RepositoryName,
    subject: Digest,
    { after, size = PAGE_SIZE }: { after?: string | undefined; size?: number } = {},
  ): Promise<{ digests: Digest[]; next?: string }> {
    const folder = layout.referrers(repository, subject);
    const digests: Digest[] = [];
    let next: string | undefined;
    const from = after === undefined ? {} : { after: layout.referrersAfter(repository, subject, after) };
    for await (const { key } of listUnlessGone(this.#storage, folder, from)) {
      const record = parseRepositoryRecord(key);
      if (record?.kind !== 'referrer') continue;
      if (digests.length === size) return { digests, ...(next !== undefined && { next }) };
      digests.push(record.digest);
      next = key.slice(folder.length);
    }
    return { digests };
  }

  /**
   * A page of up to 100 referrers or 4 MiB, without those of another artifact type. One storage request, and one for each
   * referrer, side by side.
   * @param options.after `next` of the page before
   */
  async list(
    repository: RepositoryName,
    subject: Digest,
    { artifactType, after }: { artifactType?: string; after?: string } = {},
  ): Promise<ReferrersPage> {
    const folder = layout.referrers(repository, subject);
    const keys: Key[] = [];
    let isLast = true;
    let sizeBytes = 0;
    for await (const object of this.#storage.list(
      folder,
      after === undefined ? {} : { after: layout.referrersAfter(repository, subject, after) },
    )) {
      sizeBytes += object.sizeBytes;
      isLast = keys.length < PAGE_SIZE && (keys.length === 0 || sizeBytes <= PAGE_BYTES);
      if (!isLast) break;
      keys.push(object.key);
    }
    const read = await mapConcurrently(keys, (key) => this.#read(key));
    const descriptors = read.flat().filter((item) => artifactType === undefined || item.artifactType === artifactType);
    const last = keys.at(-1)?.slice(folder.length);
    return { descriptors, ...(!isLast && last !== undefined && { next: last }) };
  }

  async #read(key: Key): Promise<JsonObject[]> {
    const object = await readUnlessGone(this.#storage, key);
    const entry = object && parseJson(object.bytes);
    if (!isJsonObject(entry)) return []; // deleted since it was listed, or gone
    const { condemned, ...descriptor } = entry;
    return [descriptor];
  }
}
