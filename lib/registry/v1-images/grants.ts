// Who may read a v1 image. Images have no repository of their own, so the right to one is a repository's: it holds now what
// leads to the image, a tag or a manifest. Grants beside the image say where to look for that. They are written before it
// leads there, and nothing relies on their removal: one whose tag or manifest is gone is stale, and gives nothing.
//
// Clients choose the ids of the images that they push, so one may be pushed under the id of a projection before that is made.
// The right to the one is none to the other. From when `view.json` is there, which is before anything else of the projection
// is, only grants to the projection count.
import { LRUCache } from 'lru-cache';
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import {
  type Grant,
  type ImageKind,
  type Key,
  layout,
  type ManifestPath,
  parseImageMark,
  type TaggedImage,
} from '../../model/layout.ts';
import { type ImageId, type RepositoryName, sha256Digest, type Tag } from '../../model/names.ts';
import type { ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import { digestOf } from '../blobs/store.ts';
import type { Tags } from '../tags/tags.ts';
import { hasProjectionRecord } from './projection-record.ts';

export type { ImageKind } from '../../model/layout.ts';

/** What the grants of an image are compared with: the caller, as far as it matters here. */
export type ImageReader = {
  /** Whether the caller may pull from the repository. */
  mayPull(repository: RepositoryName): boolean;
  /** What only storage or another server can tell about that, of a repository that does hold the image. */
  confirmPull?(repository: RepositoryName, id: ImageId): Promise<boolean>;
  /** Whether the caller may read an image without any grant: of a bucket that was never indexed, or in the middle of its push. */
  mayReadUngranted(id: ImageId): boolean | Promise<boolean>;
  /** Whether this mark of a push stands for the caller. */
  isPusher(mark: string): boolean;
};

/** A caller who may pull from this repository alone. */
export function readerOf(repository: RepositoryName): ImageReader {
  return { mayPull: (name) => name === repository, mayReadUngranted: () => false, isPusher: () => false };
}

/** A right to read an image; by its push, or because there is no grant at all, where `grant` is absent. */
export type ImageRight = { to: ImageKind; grant?: Grant; pushers: string[] };

/** For so long the client that has pushed an image may read it before a tag names it: as long as an upload session lives. */
export const PUSHER_MILLISECONDS = 24 * 60 * 60 * 1000;

/** How many marks of an image one listing request gives. */
const PAGE = 1000;
/** How many grants of one image are looked at. */
const MAX_GRANTS = 10 * PAGE;
/** How many of them are checked, the newest of each repository first: stale ones must not make a read expensive. */
const MAX_CHECKS = 64;
/** And how many for a conversion, where no tag leads to the image. */
const MAX_CONVERSIONS = 16;
const MOST_CHECKS_AT_ONCE = 16;

/** Where the right to an image was found last is asked first: a client asks for its JSON, ancestry and layer in turn. */
const REMEMBERED = { max: 10_000, ttl: 30_000 };
/** Tags whose grants were seen, or written, by this process. */
const REMEMBERED_TAGS = { max: 10_000, ttl: 10 * 60_000 };

type FoundGrant = { grant: Grant; writtenAt: Date };

type Marks = {
  isProjection: boolean;
  /** Whether there is any grant to the image that was pushed, in whichever repository. */
  hasGrants: boolean;
  /** Of repositories from which the caller may pull. */
  grants: FoundGrant[];
  /** Marks that stand for the caller. */
  pushers: string[];
  isByPusher: boolean;
};

/** Something to ask storage for, and the grants that are worth something if it is there. */
type Check = Pick<Grant, 'to' | 'repository'> & { by: { manifests: ManifestPath } | TagCheck };
type TagCheck = { tag: Tag; tops: ImageId[] };

export class ImageGrants {
  readonly #storage: StorageDriver;
  readonly #tags: Tags;
  readonly #found = new LRUCache<ImageId, Grant>(REMEMBERED);
  readonly #tagged = new LRUCache<Key, true>(REMEMBERED_TAGS);

  constructor(storage: StorageDriver, dependencies: { tags: Tags }) {
    this.#storage = storage;
    this.#tags = dependencies.tags;
  }

  /**
   * The caller's right to read what was read of the image before this was called; `undefined` if there is none now. An image
   * that became a projection meanwhile counts as one. Two storage requests where the first grant is good; where it was good a
   * moment ago one for a projection, two side by side for an image that was pushed. At most 10 listings and 96 reads,
   * however many stale grants there are.
   */
  async find(id: ImageId, reader: ImageReader): Promise<ImageRight | undefined> {
    const remembered = await this.#findRemembered(id, reader);
    if (remembered) return { to: remembered.to, grant: remembered, pushers: [] };
    return await this.look(id, reader);
  }

  /** As `find`, with the marks of all that the caller has pushed, by way of a listing. */
  async look(id: ImageId, reader: ImageReader): Promise<ImageRight | undefined> {
    const marks = await this.#marksOf(id, reader);
    const to = marks.isProjection ? 'projection' : 'pushed';
    const { pushers } = marks;
    if (to === 'pushed' && marks.isByPusher) return { to, pushers };
    if (to === 'pushed' && !marks.hasGrants) return (await reader.mayReadUngranted(id)) ? { to, pushers } : undefined;
    const grants = marks.grants.filter(({ grant }) => grant.to === to);
    const grant =
      (await this.#firstValid(id, checksOf(grants), reader)) ?? (await this.#firstConverted(id, grants, reader));
    if (!grant) return undefined;
    this.#found.set(id, grant);
    return { to, grant, pushers };
  }

  /** A repository from which the caller may pull and which holds the manifest of which this is the top projection. As `find`. */
  async findHolder(id: ImageId, reader: ImageReader): Promise<RepositoryName | undefined> {
    const { grants } = await this.#marksOf(id, reader);
    const given = grants.filter(({ grant: { by } }) => Array.isArray(by) && by[0] === sha256Digest(id));
    return (await this.#firstValid(id, checksOf(given), reader))?.repository;
  }

  async #findRemembered(id: ImageId, reader: ImageReader): Promise<Grant | undefined> {
    const grant = this.#found.get(id);
    if (!grant || !reader.mayPull(grant.repository)) return undefined;
    const [check] = checksOf([{ grant, writtenAt: new Date(0) }]);
    const [valid, isProjection] = await Promise.all([
      check && this.#check(id, check, reader),
      grant.to === 'projection' || hasProjectionRecord(this.#storage, id),
    ]);
    return isProjection === (grant.to === 'projection') ? valid : undefined;
  }

  /** One storage request for 1,000 marks; of more a second look at those that count. */
  async #marksOf(id: ImageId, reader: ImageReader): Promise<Marks> {
    const marks: Marks = { isProjection: false, hasGrants: false, grants: [], pushers: [], isByPusher: false };
    const note = ({ key, lastModified: writtenAt }: ObjectInfo) => {
      const mark = parseImageMark(key);
      if (mark?.kind === 'projection') marks.isProjection = true;
      if (mark?.kind === 'pusher' && reader.isPusher(mark.mark)) {
        marks.pushers.push(mark.mark);
        marks.isByPusher ||= Date.now() - writtenAt.getTime() < PUSHER_MILLISECONDS;
      }
      if (mark?.kind === 'outdated grant') marks.hasGrants ||= mark.to === 'pushed';
      if (mark?.kind !== 'grant') return;
      marks.hasGrants ||= mark.grant.to === 'pushed';
      if (reader.mayPull(mark.grant.repository)) marks.grants.push({ grant: mark.grant, writtenAt });
    };
    if (await isWhole(this.#storage.list(layout.imageMarks(id)), PAGE, note)) return marks;
    // In this order too an image that is becoming a projection is seen as one.
    marks.isProjection ||= await hasProjectionRecord(this.#storage, id);
    marks.grants = [];
    const all = layout.imageGrants(id, marks.isProjection ? 'projection' : 'pushed');
    await isWhole(this.#storage.list(all), MAX_GRANTS, note);
    return marks;
  }

  /** Some at a time, and none after the first that holds. */
  async #firstValid(id: ImageId, checks: readonly Check[], reader: ImageReader): Promise<Grant | undefined> {
    let atOnce = 1;
    for (let at = 0; at < checks.length; at += atOnce, atOnce = Math.min(2 * atOnce, MOST_CHECKS_AT_ONCE)) {
      const group = checks.slice(at, at + atOnce);
      const found = await Promise.all(group.map((check) => this.#check(id, check, reader)));
      const valid = found.find((grant) => grant !== undefined);
      if (valid) return valid;
    }
    return undefined;
  }

  /** One storage request, two side by side for an image of an index. */
  async #check(id: ImageId, check: Check, reader: ImageReader): Promise<Grant | undefined> {
    const { repository, by } = check;
    const grant = 'manifests' in by ? await this.#byManifests(check, by.manifests) : await this.#byTag(check, by);
    return !grant || !reader.confirmPull || (await reader.confirmPull(repository, id)) ? grant : undefined;
  }

  async #byManifests({ to, repository }: Check, by: ManifestPath): Promise<Grant | undefined> {
    const found = await Promise.all(by.map((digest) => this.#storage.head(layout.manifest(repository, digest))));
    return found.includes(undefined) ? undefined : { to, repository, by };
  }

  async #byTag({ to, repository }: Check, { tag, tops }: TagCheck): Promise<Grant | undefined> {
    const top = (await this.#tags.find(repository, tag))?.target.imageId;
    return top && tops.includes(top) ? { to, repository, by: { tag, top } } : undefined;
  }

  /**
   * What v2 goes on to serve by digest, v1 does: a manifest that was converted from a tagged image may have outlived the tag.
   * Two storage requests for each image that was tagged, the latest 16 of them.
   */
  async #firstConverted(id: ImageId, grants: readonly FoundGrant[], reader: ImageReader): Promise<Grant | undefined> {
    const tagged = new Map<string, Grant & { by: TaggedImage }>();
    for (const { grant } of grants.toSorted(newestFirst)) {
      const { to, repository, by } = grant;
      if (to === 'pushed' && !Array.isArray(by)) tagged.set(`${repository} ${by.top}`, { to, repository, by });
    }
    for (const grant of [...tagged.values()].slice(0, MAX_CONVERSIONS)) {
      const { repository, by } = grant;
      const conversion = await this.#storage.read(layout.conversion(by.top));
      if (!conversion || !(await this.#storage.head(layout.manifest(repository, digestOf(conversion.bytes))))) continue;
      if (!reader.confirmPull || (await reader.confirmPull(repository, id))) return grant;
    }
    return undefined;
  }

  /** Which grants the repository has been given to the image, stale ones too, at most 1,000. One storage request. */
  async givenTo(repository: RepositoryName, id: ImageId, to: ImageKind): Promise<Grant[]> {
    const grants: Grant[] = [];
    await isWhole(this.#storage.list(layout.repositoryGrants(id, to, repository)), PAGE, ({ key }) => {
      const mark = parseImageMark(key);
      if (mark?.kind === 'grant') grants.push(mark.grant);
    });
    return grants;
  }

  /** Grants projections to a repository that holds these manifests. One storage request for each, side by side. */
  async grantByManifest(repository: RepositoryName, by: ManifestPath, projections: readonly ImageId[]): Promise<void> {
    await mapConcurrently(projections, (id) =>
      this.#put(layout.manifestGrant(id, repository, by), layout.outdatedGrant(id, 'projection', repository)),
    );
  }

  /** Grants an image and those it is built on to a repository, before its tag names it. As `grantByManifest`. */
  async grantByTag(
    repository: RepositoryName,
    by: TaggedImage,
    images: readonly { id: ImageId; to: ImageKind }[],
  ): Promise<void> {
    await mapConcurrently(images, ({ id, to }) =>
      this.#put(layout.tagGrant(id, to, repository, by), layout.outdatedGrant(id, to, repository)),
    );
    this.#tagged.set(layout.tagGrant(by.top, 'pushed', repository, by), true);
  }

  /** Whether the tag has granted its image, which a client of v1 has pushed. One storage request, none if that was seen before. */
  async hasGrantByTag(repository: RepositoryName, by: TaggedImage): Promise<boolean> {
    const key = layout.tagGrant(by.top, 'pushed', repository, by);
    if (this.#tagged.has(key)) return true;
    if (!(await this.#storage.head(key))) return false;
    this.#tagged.set(key, true);
    return true;
  }

  /**
   * What version 0.1.0 wrote for images that were pushed: MinIO lists nothing below a key that is an object itself. One storage
   * request for each, side by side.
   */
  async removeOutdated(repository: RepositoryName, images: readonly ImageId[]): Promise<void> {
    await mapConcurrently(images, (id) => this.#storage.delete(layout.outdatedGrant(id, 'pushed', repository)));
  }

  async #put(key: Key, outdated: Key): Promise<void> {
    try {
      await this.#storage.put(key, new Uint8Array());
    } catch (error) {
      // On disk nothing can be both an object and a folder.
      if (!(await this.#storage.head(outdated))) throw error;
      await this.#storage.delete(outdated);
      await this.#storage.put(key, new Uint8Array());
    }
  }

  /** @param pusher in letters that any key can hold. One storage request. */
  async addPusher(pusher: string, id: ImageId): Promise<void> {
    await this.#storage.put(layout.imagePusher(id, pusher), new Uint8Array());
  }

  /** One storage request. */
  async removePusher(pusher: string, id: ImageId): Promise<void> {
    await this.#storage.delete(layout.imagePusher(id, pusher));
  }
}

/** Calls `each` for the first of the objects. @returns whether these were all */
async function isWhole(
  objects: AsyncIterable<ObjectInfo>,
  max: number,
  each: (object: ObjectInfo) => void,
): Promise<boolean> {
  let seen = 0;
  for await (const object of objects) {
    each(object);
    if (++seen === max) return false;
  }
  return true;
}

/** What there is to ask for, each once, in turns of the repositories: none with many grants must keep the others waiting. */
function checksOf(grants: readonly FoundGrant[]): Check[] {
  const checks = new Map<string, Check>();
  for (const { grant } of grants.toSorted(newestFirst)) {
    const { to, repository, by } = grant;
    if (Array.isArray(by)) {
      checks.set(`${repository} manifests ${by.join(' ')}`, { to, repository, by: { manifests: by } });
      continue;
    }
    const name = `${repository} tag ${by.tag}`;
    const known = checks.get(name)?.by;
    if (known && 'tag' in known) known.tops.push(by.top);
    else checks.set(name, { to, repository, by: { tag: by.tag, tops: [by.top] } });
  }
  const turns = [...Map.groupBy(checks.values(), ({ repository }) => repository).values()];
  const longest = Math.max(0, ...turns.map(({ length }) => length));
  const inTurns: Check[] = [];
  for (let turn = 0; turn < longest && inTurns.length < MAX_CHECKS; turn++) {
    inTurns.push(...turns.flatMap((ofOne) => ofOne[turn] ?? []));
  }
  return inTurns.slice(0, MAX_CHECKS);
}

function newestFirst(one: FoundGrant, other: FoundGrant): number {
  return other.writtenAt.getTime() - one.writtenAt.getTime();
}
