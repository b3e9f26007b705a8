// Level (a) of the collector: tags, manifests, links, referrer entries and the history of all repositories.
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { parseJson } from '../../model/json.ts';
import { layout, parseTagKey, tagOf, twiceQuotedOf, withoutTwiceQuoting } from '../../model/layout.ts';
import { type Digest, type ImageId, type RepositoryName, sha256Digest } from '../../model/names.ts';
import type { ObjectInfo, ReadObject, StorageDriver } from '../../storage/driver.ts';
import { decodeText } from '../../streams/bytes.ts';
import { decodeBlobLink } from '../blobs/link.ts';
import { isGone } from '../condemned/gone.ts';
import { TagResolver } from '../tags/resolve-tags.ts';
import { decodeMoveTarget, decodeTarget, type ResolvedTag } from '../tags/target.ts';
import type { ReadLink } from './blob-copies.ts';
import { collectHistory } from './collect-history.ts';
import { collectLinks } from './collect-links.ts';
import { collectManifests, type UntaggedManifests } from './collect-manifests.ts';
import { collectDerived, collectReferrers, collectUsage } from './collect-referrers.ts';
import { type ListedManifest, readEdges } from './edges.ts';
import { keepAllGrants, keepProjectionOf, keepTaggedImage } from './image-names.ts';
import { type ListedRepository, listRepositories } from './listed-repositories.ts';
import { sortRecords } from './repository-records.ts';
import { byTag, divideHistory, findRoots, type HistoryEntry, type Roots, resolveTags, rootReason } from './roots.ts';
import type { CollectorRun, Stage } from './stage.ts';

export type RepositoriesStageOptions = {
  /** For how long what a tag named can be brought back after the tag has moved or was deleted. */
  undoMs: number;
  /** Default: manifests without a tag are kept. */
  untaggedPolicy?: (repository: RepositoryName) => UntaggedManifests;
  /** Finds the v1 images that a manifest was converted from: see `ImageConversions.findSources`. */
  findSources(digest: Digest, images: ReadonlySet<ImageId>): Promise<ReadonlySet<ImageId>>;
};

/** Requests between two looks at the clock and the signal while the manifests of one repository are read. */
const READS_PER_CHECKPOINT = 1000;

/** The resolver asks for nothing of it where it is given all candidates. */
const NO_REPOSITORY = 'none/none' as RepositoryName;

/** Level (a). Adds the digests of all links to `linkedDigests`, and the images that tags name to `keptImages`. */
export class RepositoriesStage implements Stage {
  readonly name = 'repositories';
  readonly #options: RepositoriesStageOptions;

  constructor(options: RepositoriesStageOptions) {
    this.#options = options;
  }

  async run(run: CollectorRun, cursor: string | undefined): Promise<void> {
    const resolver = new TagResolver(run.storage);
    const twiceQuoted = await listTwiceQuotedFolders(run.storage);
    const onStray = (key: ObjectInfo['key']) => run.report.unknown(key);
    let position = cursor;
    for await (const listed of listRepositories(run.storage, { after: cursor, onStray })) {
      const collected = { run, resolver, twiceQuoted, heartbeat: () => run.checkpoint(position) };
      await this.#collect(collected, listed);
      position = listed.position;
      run.report.listed(listed.inRepositories.length + listed.inOci.length);
      await run.checkpoint(position);
    }
  }

  async #collect(stage: StageState, { repository, inRepositories, inOci }: ListedRepository): Promise<void> {
    const { run, resolver } = stage;
    const tagObjects = inRepositories.filter(({ key }) => layout.isTag(key));
    if (repository === undefined) {
      // Its tags count for the repository with the name that is quoted once; here they only keep v1 images.
      const tags = await resolver.resolve(NO_REPOSITORY, { objects: tagObjects, indexed: [], manifests: [] });
      const named = tagObjects[0] && parseTagKey(tagObjects[0].key)?.repository;
      if (named !== undefined) keepTaggedImages(run, named, tags);
      for (const { key } of inOci) keepUnknownLink(run, key);
      return;
    }
    const records = sortRecords(inOci, (key) => run.report.unknown(key));
    const manifests = await readEdges(run.storage, repository, records.manifests, {
      onRead: everyNth(READS_PER_CHECKPOINT, stage.heartbeat),
    });
    const digests = [...manifests.keys()];
    const tags = await resolveTags(run, resolver, { repository, objects: tagObjects, manifests: digests });
    const twiceQuoted = await this.#twiceQuotedTags(stage, repository, digests);
    const hasBadTag = (await findBadTags(run, tagObjects, tags)) || twiceQuoted.hasBadTag;
    if (hasBadTag) keepAllGrants(run.filters.keptImages, repository);

    const history = this.#divide(run, records.history, tagObjects);
    const roots = findRoots([...tags, ...twiceQuoted.tags], history.recent);
    keepTaggedImages(run, repository, [...tags, ...twiceQuoted.tags]);
    for (const { move } of history.recent) {
      const image = decodeMoveTarget(move.target)?.imageId;
      if (image) keepTaggedImage(run.filters.keptImages, repository, move.tag, image);
    }
    if (inOci.length === 0) return;

    const converted = await this.#findConversions(manifests, roots);
    const present = await collectManifests(run, {
      ...{ repository, manifests, untagged: this.#options.untaggedPolicy?.(repository) ?? 'keep' },
      subjects: subjectsOf(records.referrers),
      rootReason: (digest) =>
        rootReason(roots, digest) ??
        (hasBadTag ? 'a tag of the repository cannot be read' : undefined) ??
        (converted.has(digest) ? 'a tag names the image that it was converted from' : undefined),
    });
    for (const digest of present) keepProjectionOf(run.filters.keptImages, repository, digest);
    const linked = await collectLinks(run, records.links, keepLinks(manifests, present));
    await this.#noteLinks(run, repository, linked);
    await collectReferrers(run, records.referrers, present);
    await collectDerived(run, records.derived, present);
    const isEmpty = present.size + tagObjects.length + twiceQuoted.tags.length === 0;
    if (isEmpty && !hasBadTag) await collectUsage(run, repository, records.usage);
    await collectHistory(run, {
      repository,
      history: records.history,
      expired: history.expired,
      tags,
      tagObjects,
      manifests,
    });
  }

  /** The names of links say which digests are linked; a link is read only for digests with several copies of their bytes. */
  async #noteLinks(
    run: CollectorRun,
    repository: RepositoryName,
    links: ReadonlyMap<Digest, { isCondemned: boolean }>,
  ): Promise<void> {
    for (const digest of links.keys()) run.filters.linkedDigests.add(digest);
    const wanted = [...links].filter(([digest]) => run.copies.isWanted(digest));
    await mapConcurrently(wanted, async ([digest, { isCondemned }]) => {
      const key = layout.blobLink(repository, digest);
      const object = await run.storage.read(key);
      if (!object || isGone(object.bytes)) return;
      // A dry run has left the link as it was before this run.
      run.copies.addLink(digest, key, asReadLink(object, run.isDryRun ? isCondemned : undefined));
    });
  }

  async #twiceQuotedTags(
    { run, resolver, twiceQuoted }: StageState,
    repository: RepositoryName,
    manifests: Digest[],
  ): Promise<{ tags: ResolvedTag[]; hasBadTag: boolean }> {
    const folder = twiceQuotedOf(layout.repository(repository))?.folder;
    if (folder === undefined || !twiceQuoted.has(folder)) return { tags: [], hasBadTag: false };
    const all = await Array.fromAsync(run.storage.list(folder));
    const objects = all.filter(({ key }) => layout.isTag(key));
    const tags = await resolveTags(run, resolver, { repository, objects, manifests });
    return { tags, hasBadTag: await findBadTags(run, objects, tags) };
  }

  #divide(run: CollectorRun, entries: readonly HistoryEntry[], tagObjects: readonly ObjectInfo[]) {
    const tags = new Set(tagObjects.map(({ key }) => tagOf(key)));
    const divided = [...byTag(entries)].map(([tag, ofTag]) =>
      divideHistory(run, ofTag, { undoMs: this.#options.undoMs, isTagThere: tags.has(tag) }),
    );
    return {
      recent: divided.flatMap(({ recent }) => recent),
      expired: divided.flatMap(({ expired }) => expired),
    };
  }

  /** The manifests that were converted from a v1 image that a tag of the repository names. */
  async #findConversions(manifests: ReadonlyMap<Digest, ListedManifest>, roots: Roots): Promise<Set<Digest>> {
    // Digits that are those of a manifest here name the manifest, and no image.
    const images = new Set([...roots.images].filter((id) => !manifests.has(sha256Digest(id))));
    if (images.size === 0) return new Set();
    const candidates = [...manifests].filter(
      ([digest, { edges }]) => edges?.isConversion && rootReason(roots, digest) === undefined,
    );
    const converted = await mapConcurrently(candidates, async ([digest]) =>
      (await this.#options.findSources(digest, images)).size > 0 ? [digest] : [],
    );
    return new Set(converted.flat());
  }
}

function keepTaggedImages(run: CollectorRun, repository: RepositoryName, tags: readonly ResolvedTag[]): void {
  for (const { tag, target } of tags) {
    if (target.imageId) keepTaggedImage(run.filters.keptImages, repository, tag, target.imageId);
  }
}

/** Reports tags whose content is damaged. One storage request for each object that was not resolved. @returns whether there are any */
async function findBadTags(
  run: CollectorRun,
  objects: readonly ObjectInfo[],
  resolved: readonly ResolvedTag[],
): Promise<boolean> {
  const known = new Set<string>(resolved.map(({ tag }) => tag));
  const unresolved = objects.filter(({ key }) => !known.has(tagOf(key)));
  const bad = await mapConcurrently(unresolved, async ({ key }) => {
    const object = await run.storage.read(key);
    if (!object || decodeTarget(decodeText(object.bytes))) return []; // deleted, or set, since it was listed
    // docker-registry stored the metadata of a tag `_x` as `tag_x_json`.
    if (layout.mayBeLegacyTagJson(key) && parseJson(object.bytes) !== undefined) return [];
    run.report.problem(`${key} is no tag`);
    return [key];
  });
  return bad.flat().length > 0;
}

const LINK_KEY = /\/blobs\/(sha256|sha512)\/([a-f0-9]+)$/;

/** Also of a folder that belongs to no repository, since a link in it names bytes. */
function keepUnknownLink(run: CollectorRun, key: ObjectInfo['key']): void {
  run.report.unknown(key);
  const [, algorithm, hex] = LINK_KEY.exec(key) ?? [];
  if (algorithm === undefined) return;
  const digest = `${algorithm}:${hex}` as Digest;
  run.filters.linkedDigests.add(digest);
  run.copies.addLink(digest, key, undefined);
}

type StageState = {
  run: CollectorRun;
  resolver: TagResolver;
  twiceQuoted: ReadonlySet<string>;
  heartbeat: () => Promise<void>;
};

/** The folders of repositories that docker-registry 0.9 quoted twice. One storage request per namespace and 1,000 folders. */
async function listTwiceQuotedFolders(storage: StorageDriver): Promise<Set<string>> {
  const folders = new Set<string>();
  for await (const namespace of storage.listFolders(layout.repositories())) {
    for await (const folder of storage.listFolders(namespace)) {
      if (withoutTwiceQuoting(folder) !== folder) folders.add(folder);
    }
  }
  return folders;
}

/** By referrer, the subjects that its entries name. */
function subjectsOf(referrers: readonly { subject: Digest; digest: Digest }[]): Map<Digest, Digest[]> {
  const subjects = new Map<Digest, Digest[]>();
  for (const { subject, digest } of referrers) subjects.set(digest, [...(subjects.get(digest) ?? []), subject]);
  return subjects;
}

/** Why a link is kept: a manifest names it, or what the manifests name is not all known. */
function keepLinks(
  manifests: ReadonlyMap<Digest, ListedManifest>,
  present: ReadonlySet<Digest>,
): (digest: Digest) => string | undefined {
  const held = [...manifests].filter(([digest]) => present.has(digest));
  const named = new Set(held.flatMap(([, { edges }]) => edges?.blobs ?? []));
  const isComplete = held.every(([, { edges }]) => edges !== undefined);
  return (digest) => {
    if (named.has(digest)) return 'a manifest names it';
    return isComplete ? undefined : 'a manifest of the repository cannot be read';
  };
}

/**
 * A condemned link is not changed. `undefined` if it is damaged.
 * @param isCondemned by default, what the link says
 */
function asReadLink({ info: { key, etag }, bytes }: ReadObject, isCondemned?: boolean): ReadLink | undefined {
  try {
    const { key: bytesKey, sizeBytes, condemned } = decodeBlobLink(bytes, key);
    return { bytesKey, sizeBytes, ...(!(isCondemned ?? condemned !== undefined) && { etag }) };
  } catch {
    return undefined;
  }
}

/** Calls `task` at each nth call. */
function everyNth(n: number, task: () => Promise<void>): () => Promise<void> {
  let calls = 0;
  return async () => {
    if (++calls % n === 0) await task();
  };
}
