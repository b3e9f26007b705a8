// Decides whether a caller may read a v1 image. A v1 image belongs to no repository, so the right to read one follows from what
// a repository holds now: a tag or a manifest that leads to the image. Grants beside the image (`grants.ts`) say which tags and
// manifests to look for. A grant whose tag or manifest is gone is stale and gives no right.
//
// Clients choose the ids of the images that they push, and may choose that of a projection before the projection is made. A
// right to the pushed image gives no right to the projection: as soon as storage says that the id is one, which it does before
// the JSON of the projection is written, only grants to the projection count. What is then read of the image is served only if
// the grant describes it, or if the projection record says that it is complete.

import { digestOf } from '../../model/content-digest.ts';
import {
  type Grant,
  type ImageKind,
  type Key,
  layout,
  type ManifestPath,
  type ProjectedContent,
  parseImageRecord,
  type TaggedImage,
} from '../../model/layout.ts';
import { LruCache } from '../../model/lru-cache.ts';
import { type Digest, type ImageId, type RepositoryName, sha256Digest } from '../../model/names.ts';
import type { ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import { hasManifest } from '../condemned/read-manifest.ts';
import type { Tags } from '../tags/tags.ts';
import { type GrantCheck, grantChecks, newestFirst, type StoredGrant, type TagCheck } from './grant-checks.ts';
import { type ListedCell, listedCell } from './image-cell.ts';
import { isProjection, saysProjection } from './projection-record.ts';

export type { ImageKind } from '../../model/layout.ts';

/** What decides about a caller whether a grant or a pusher record is for that caller. */
export type ImageReader = {
  /** Whether the caller may pull from the repository, as far as that is known without a request to another server. */
  mayPull(repository: RepositoryName): boolean;
  /** Asks storage or a separate index about a repository that holds the image. If absent, `mayPull` alone decides. */
  confirmPull?(repository: RepositoryName, id: ImageId): Promise<boolean>;
  /** Whether the caller may read an image that has no grant: of a bucket that was never indexed, or during its push. */
  mayReadWithoutGrant(id: ImageId): boolean | Promise<boolean>;
  /** Whether a pusher record with this id was written for the caller. */
  matchesPusher(pusherId: string): boolean;
};

/** A caller that may pull from this repository alone. */
export function readerOf(repository: RepositoryName): ImageReader {
  return { mayPull: (name) => name === repository, mayReadWithoutGrant: () => false, matchesPusher: () => false };
}

/** The right to read an image, the ids of the pusher records that were written for the caller, and the cell of the image. */
export type ImageRight = {
  imageKind: ImageKind;
  pusherIds: string[];
  cell: ListedCell;
  /** The manifest of the projection, if its grants describe it. */
  source?: ProjectionSource;
};

/** The manifest by which a repository has a right to a projection, and what the grant says that the projection consists of. */
export type ProjectionSource = { repository: RepositoryName; manifests: ManifestPath; content: ProjectedContent };

/** How long a client that has pushed an image may read it before a tag names it: as long as an upload session lives. */
export const PUSHER_RECORD_LIFETIME_MS = 24 * 60 * 60 * 1000;

/** The keys of one listing request. */
const PAGE = 1000;
/** How many grants of one image are listed. */
const MAX_GRANTS = 10 * PAGE;
const MAX_CHECKS_AT_ONCE = 16;
/** How many tagged images are checked for a conversion where no tag or manifest leads to the image. */
const MAX_CONVERSIONS = 16;

/** The grant that gave a right last is checked first: a client asks for the JSON, ancestry and layer of an image in turn. */
const REMEMBERED = { max: 10_000, ttlMs: 30_000 };

/** What the records beside an image say about one caller. */
type RecordsForReader = {
  isProjection: boolean;
  /** Whether the projection has a record: then no grant describes it. */
  hasRecord: boolean;
  /** Whether the pushed image has any grant, of any repository. */
  hasGrants: boolean;
  /** Of the repositories from which the caller may pull. */
  grants: StoredGrant[];
  /** Of the pusher records that were written for the caller. */
  pusherIds: string[];
  /** Whether one of these is younger than `PUSHER_RECORD_LIFETIME_MS`. */
  isRecentPusher: boolean;
  cell: ListedCell;
};

export class ImageRights {
  readonly #storage: StorageDriver;
  readonly #tags: Tags;
  readonly #validGrants = new LruCache<ImageId, Grant>(REMEMBERED);

  constructor(storage: StorageDriver, { tags }: { tags: Tags }) {
    this.#storage = storage;
    this.#tags = tags;
  }

  /**
   * As what the caller may read the image now, pushed or projection; `undefined` if not at all. Call it after reading the image:
   * a pushed image may become a projection in between, and the right is then decided for the projection.
   *
   * Two storage requests if the first grant is valid. If a grant was valid a moment ago: one for a projection, two side by side
   * for a pushed image. At most 10 listings and 96 reads, however many stale grants there are.
   * @param options.isOfPushed whether what was read is known to be of the pushed image: then it is not asked again whether the
   *   image has become a projection
   */
  async findReadableKind(
    id: ImageId,
    reader: ImageReader,
    { isOfPushed = false }: { isOfPushed?: boolean } = {},
  ): Promise<ImageKind | undefined> {
    const remembered = await this.#checkRemembered(id, reader, isOfPushed);
    return (remembered ?? (await this.findRight(id, reader)))?.imageKind;
  }

  /** As `findReadableKind`, always by a listing, with the caller's pusher records. */
  async findRight(id: ImageId, reader: ImageReader): Promise<ImageRight | undefined> {
    const records = await this.#listRecords(id, reader);
    const { hasGrants, pusherIds, isRecentPusher, cell } = records;
    const imageKind = records.isProjection ? 'projection' : 'pushed';
    const right = { imageKind, pusherIds, cell } as const;
    if (imageKind === 'pushed' && isRecentPusher) return right;
    if (imageKind === 'pushed' && !hasGrants) return (await reader.mayReadWithoutGrant(id)) ? right : undefined;
    const grants = records.grants.filter(({ grant }) => grant.imageKind === imageKind);
    const valid =
      (await this.#findValid(id, grantChecks(grants), reader)) ?? (await this.#findConverted(id, grants, reader));
    if (!valid) return undefined;
    this.#validGrants.set(id, valid);
    const source = sourceOf(valid);
    return { ...right, ...(source && { source }) };
  }

  /**
   * A repository from which the caller may pull, and which holds the manifest of which this is the top projection. Storage
   * requests as for `findRight`.
   */
  async findRepositoryWithManifest(id: ImageId, reader: ImageReader): Promise<RepositoryName | undefined> {
    const { grants } = await this.#listRecords(id, reader);
    const ofManifest = grants.filter(({ grant: { by } }) => Array.isArray(by) && by[0] === sha256Digest(id));
    return (await this.#findValid(id, grantChecks(ofManifest), reader))?.repository;
  }

  /** The repository and the tagged manifest by which a right to this projection was found a moment ago. No storage request. */
  manifestOf(id: ImageId): { repository: RepositoryName; digest: Digest } | undefined {
    const { repository, by } = this.#validGrants.get(id) ?? {};
    return repository && Array.isArray(by) ? { repository, digest: by[0] } : undefined;
  }

  /** Forgets by which grant a right to the image was found. */
  forget(id: ImageId): void {
    this.#validGrants.delete(id);
  }

  /** What grants say about this projection, if a right to it was found by one a moment ago. No storage request. */
  sourceOf(id: ImageId): ProjectionSource | undefined {
    const grant = this.#validGrants.get(id);
    return grant && sourceOf(grant);
  }

  async #checkRemembered(id: ImageId, reader: ImageReader, isOfPushed: boolean): Promise<Grant | undefined> {
    const grant = this.#validGrants.get(id);
    if (!grant || !reader.mayPull(grant.repository)) return undefined;
    const [check] = grantChecks([{ grant, writtenAt: new Date(0) }]);
    const [valid, isProjected] = await Promise.all([
      check && this.#check(id, check, reader),
      grant.imageKind === 'projection' || (!isOfPushed && isProjection(this.#storage, id)),
    ]);
    if (!valid || isProjected !== (grant.imageKind === 'projection')) return undefined;
    // The caller asks for the source next.
    this.#validGrants.set(id, grant);
    return valid;
  }

  /** One storage request for 1,000 records; if there are more, up to 11 further ones. */
  async #listRecords(id: ImageId, reader: ImageReader): Promise<RecordsForReader> {
    const records: RecordsForReader = {
      isProjection: false,
      hasRecord: false,
      hasGrants: false,
      grants: [],
      pusherIds: [],
      isRecentPusher: false,
      cell: {},
    };
    const add = (object: ObjectInfo) => addRecord(records, object, reader);
    let cell: ObjectInfo | undefined;
    let last: Key | undefined;
    const isWhole = await forEachUpTo(PAGE, this.#storage.list(layout.imageRecords(id)), (object) => {
      add(object);
      if (object.key === layout.imageCell(id)) cell = object;
      last = object.key;
    });
    records.cell = listedCell(id, cell, isWhole ? undefined : last);
    if (isWhole) return withoutContent(records);
    // Asked after the listing, so that an image which becomes a projection in between is treated as one.
    records.isProjection ||= await isProjection(this.#storage, id);
    records.grants = [];
    const grants = layout.imageGrants(id, records.isProjection ? 'projection' : 'pushed');
    await forEachUpTo(MAX_GRANTS, this.#storage.list(grants), add);
    if (last !== undefined && last < layout.projectionRecord(id)) {
      records.hasRecord = (await this.#storage.head(layout.projectionRecord(id))) !== undefined;
    }
    return withoutContent(records);
  }

  /** Runs 1, 2, 4, … checks side by side, and stops after the first valid grant. */
  async #findValid(id: ImageId, checks: readonly GrantCheck[], reader: ImageReader): Promise<Grant | undefined> {
    let atOnce = 1;
    for (let at = 0; at < checks.length; at += atOnce, atOnce = Math.min(2 * atOnce, MAX_CHECKS_AT_ONCE)) {
      const group = checks.slice(at, at + atOnce);
      const found = await Promise.all(group.map((check) => this.#check(id, check, reader)));
      const valid = found.find((grant) => grant !== undefined);
      if (valid) return valid;
    }
    return undefined;
  }

  /** One storage request, two side by side for an image of an index. */
  async #check(id: ImageId, check: GrantCheck, reader: ImageReader): Promise<Grant | undefined> {
    const { repository, by } = check;
    const grant = 'manifests' in by ? await this.#checkManifests(check, by) : await this.#checkTag(check, by);
    return !grant || !reader.confirmPull || (await reader.confirmPull(repository, id)) ? grant : undefined;
  }

  async #checkManifests(
    { imageKind, repository }: GrantCheck,
    { manifests: by, content }: { manifests: ManifestPath; content?: ProjectedContent },
  ): Promise<Grant | undefined> {
    const found = await Promise.all(by.map((digest) => hasManifest(this.#storage, repository, digest)));
    return found.includes(false) ? undefined : { imageKind, repository, by, ...(content && { content }) };
  }

  async #checkTag({ imageKind, repository }: GrantCheck, { tag, tops }: TagCheck): Promise<Grant | undefined> {
    const top = (await this.#tags.find(repository, tag))?.target.imageId;
    return top && tops.includes(top) ? { imageKind, repository, by: { tag, top } } : undefined;
  }

  /**
   * A grant by a tag that is gone, but whose image was converted to a manifest that the repository still holds: v2 serves that
   * by digest, so v1 serves the image. Two storage requests for each image that was tagged, the latest 16 of them.
   */
  async #findConverted(id: ImageId, grants: readonly StoredGrant[], reader: ImageReader): Promise<Grant | undefined> {
    const tagged = new Map<string, Grant & { by: TaggedImage }>();
    for (const { grant } of grants.toSorted(newestFirst)) {
      const { imageKind, repository, by } = grant;
      if (imageKind === 'projection' || Array.isArray(by)) continue;
      tagged.set(`${repository} ${by.top}`, { imageKind, repository, by });
    }
    for (const grant of [...tagged.values()].slice(0, MAX_CONVERSIONS)) {
      const { repository, by } = grant;
      const conversion = await this.#storage.read(layout.conversion(by.top));
      if (!conversion || !(await hasManifest(this.#storage, repository, digestOf(conversion.bytes)))) continue;
      if (!reader.confirmPull || (await reader.confirmPull(repository, id))) return grant;
    }
    return undefined;
  }
}

function sourceOf({ repository, by, content }: Grant): ProjectionSource | undefined {
  return content && Array.isArray(by) ? { repository, manifests: by, content } : undefined;
}

/** Where the projection has a record, what grants describe does not count. */
function withoutContent(records: RecordsForReader): RecordsForReader {
  if (!records.hasRecord) return records;
  const grants = records.grants.map(({ grant: { content: _, ...grant }, writtenAt }) => ({ grant, writtenAt }));
  return { ...records, grants };
}

function addRecord(records: RecordsForReader, { key, lastModified }: ObjectInfo, reader: ImageReader): void {
  const record = parseImageRecord(key);
  if (saysProjection(key)) records.isProjection = true;
  if (record?.kind === 'projection') records.hasRecord = true;
  if (record?.kind === 'pusher' && reader.matchesPusher(record.pusherId)) {
    records.pusherIds.push(record.pusherId);
    records.isRecentPusher ||= Date.now() - lastModified.getTime() < PUSHER_RECORD_LIFETIME_MS;
  }
  if (record?.kind === 'outdated grant') records.hasGrants ||= record.imageKind === 'pushed';
  if (record?.kind !== 'grant') return;
  const { grant } = record;
  records.hasGrants ||= grant.imageKind === 'pushed';
  if (reader.mayPull(grant.repository)) records.grants.push({ grant, writtenAt: lastModified });
}

/** Calls `each` for the first `max` objects. @returns whether these were all */
async function forEachUpTo(
  max: number,
  objects: AsyncIterable<ObjectInfo>,
  each: (object: ObjectInfo) => void,
): Promise<boolean> {
  let seen = 0;
  for await (const object of objects) {
    each(object);
    if (++seen === max) return false;
  }
  return true;
}
