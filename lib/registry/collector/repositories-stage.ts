// Level (a) of the collector: tags, manifests, links, referrer entries and the history of all repositories.
import { forEachConcurrently, mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { parseJson } from '../../model/json.ts';
import { type KeyPrefix, layout, parseTagKey, tagOf, twiceQuotedOf, withoutTwiceQuoting } from '../../model/layout.ts';
import type { Digest, ImageId, RepositoryName, Tag } from '../../model/names.ts';
import type { ObjectInfo, ReadObject, StorageDriver } from '../../storage/driver.ts';
import { decodeText } from '../../streams/bytes.ts';
import { decodeBlobLink } from '../blobs/link.ts';
import { isGone } from '../condemned/gone.ts';
import { ListedDigests, ListedObjects } from '../inventory/listed-objects.ts';
import { TagResolver } from '../tags/resolve-tags.ts';
import { decodeMoveTarget, decodeTarget, type ResolvedTag } from '../tags/target.ts';
import type { ReadLink } from './blob-copies.ts';
import { addMissingMoves, collectHistory } from './collect-history.ts';
import { collectLinks } from './collect-links.ts';
import { collectManifests, type PresentManifests, type UntaggedManifests } from './collect-manifests.ts';
import { collectDerived, collectReferrers, collectUsage } from './collect-referrers.ts';
import { readEdges } from './edges.ts';
import { keepAllGrants, keepProjectionOf, keepTaggedImage } from './image-names.ts';
import { ListedManifests } from './listed-manifests.ts';
import { type ListedRepository, listRepositories } from './listed-repositories.ts';
import { sortRecords } from './repository-records.ts';
import { divideHistories, type ResolvedTags, Roots, resolveTags } from './roots.ts';
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
const NO_MANIFESTS = new ListedManifests(new ListedDigests((digest) => layout.manifest(NO_REPOSITORY, digest)));

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
      await run.checkpoint(position);
    }
  }

  async #collect(stage: StageState, { repository, position, inRepositories, inOci }: ListedRepository): Promise<void> {
    const { run, resolver } = stage;
    const tagObjects = await listTags(run, `${layout.repositories()}${position}` as KeyPrefix, inRepositories);
    if (repository === undefined) {
      // Its tags count for the repository with the name that is quoted once; here they only keep v1 images.
      const [first] = tagObjects;
      const named = first && parseTagKey(first.key)?.repository;
      const options = { repository: NO_REPOSITORY, objects: tagObjects, manifests: NO_MANIFESTS };
      for await (const { resolved } of resolveTags(run, resolver, options)) {
        if (named !== undefined) keepTaggedImages(run, named, resolved);
      }
      for await (const { key } of inOci) {
        run.report.listed();
        keepUnknownLink(run, key);
      }
      return;
    }
    const records = await sortRecords(repository, inOci, (key) => run.report.unknown(key));
    run.report.listed(records.count);
    const manifests = await readEdges(run.storage, repository, records.manifests, {
      onRead: everyNth(READS_PER_CHECKPOINT, stage.heartbeat),
    });
    const roots = new Roots(manifests);
    const indexOfTag = (tag: Tag) => tagObjects.indexOf(layout.tag(repository, tag));
    const divided = divideHistories(run, records.history, {
      indexOfTag,
      undoMs: this.#options.undoMs,
      onRecent: ({ tag, target }) => {
        const recent = decodeMoveTarget(target);
        if (recent) roots.addRecent(recent);
        if (recent?.imageId) keepTaggedImage(run.filters.keptImages, repository, tag, recent.imageId);
      },
    });
    const toCollect = { repository, history: records.history, divided };
    let hasBadTag = false;
    const takeTags = async ({ objects, resolved }: ResolvedTags) => {
      if (await findBadTags(run, objects, resolved)) hasBadTag = true;
      for (const { target } of resolved) roots.addTag(target);
      keepTaggedImages(run, repository, resolved);
    };
    for await (const tags of resolveTags(run, resolver, { repository, objects: tagObjects, manifests })) {
      await takeTags(tags);
      await addMissingMoves(run, toCollect, { tags: tags.resolved, indexOfTag, manifests });
    }
    const twiceQuoted = await listTwiceQuotedTags(stage, repository);
    for await (const tags of resolveTags(run, resolver, { repository, objects: twiceQuoted, manifests })) {
      await takeTags(tags);
    }
    if (hasBadTag) keepAllGrants(run.filters.keptImages, repository);
    if (records.count === 0) return;

    const converted = await this.#findConversions(manifests, roots);
    const present = await collectManifests(run, {
      ...{ repository, manifests, untagged: this.#options.untaggedPolicy?.(repository) ?? 'keep' },
      referrers: records.referrers,
      rootReason: (index) =>
        roots.reasonOf(index) ??
        (hasBadTag ? 'a tag of the repository cannot be read' : undefined) ??
        (converted.has(index) ? 'a tag names the image that it was converted from' : undefined),
    });
    for (const index of present.indexes()) {
      keepProjectionOf(run.filters.keptImages, repository, manifests.digestAt(index));
    }
    await collectLinks(run, records.links, {
      keepReason: keepLinks(records.links, manifests, present),
      onLeft: (digest, link) => this.#noteLink(run, repository, digest, link),
    });
    await collectReferrers(run, records.referrers, present);
    await collectDerived(run, records.derived, present);
    const isEmpty = present.size + tagObjects.size + twiceQuoted.size === 0;
    if (isEmpty && !hasBadTag) await collectUsage(run, repository, records.usage);
    await collectHistory(run, toCollect);
  }

  /** The names of links say which digests are linked; a link is read only for digests with several copies of their bytes. */
  async #noteLink(
    run: CollectorRun,
    repository: RepositoryName,
    digest: Digest,
    { isCondemned }: { isCondemned: boolean },
  ): Promise<void> {
    run.filters.linkedDigests.add(digest);
    if (!run.copies.isWanted(digest)) return;
    const key = layout.blobLink(repository, digest);
    const object = await run.storage.read(key);
    if (!object || isGone(object.bytes)) return;
    // A dry run has left the link as it was before this run.
    run.copies.addLink(digest, key, asReadLink(object, run.isDryRun ? isCondemned : undefined));
  }

  /** The manifests that were converted from a v1 image that a tag of the repository names. */
  async #findConversions(manifests: ListedManifests, roots: Roots): Promise<Set<number>> {
    const converted = new Set<number>();
    if (roots.images.size === 0) return converted;
    const candidates = manifests.indexes(
      (index) => roots.reasonOf(index) === undefined && manifests.edgesAt(index)?.isConversion === true,
    );
    await forEachConcurrently(candidates, async (index) => {
      const sources = await this.#options.findSources(manifests.digestAt(index), roots.images);
      if (sources.size > 0) converted.add(index);
    });
    return converted;
  }
}

/** The tags of a folder. Counts all of its objects as listed. */
async function listTags(
  run: CollectorRun,
  folder: KeyPrefix,
  objects: AsyncIterable<ObjectInfo>,
): Promise<ListedObjects> {
  const tags = new ListedObjects(folder);
  for await (const object of objects) {
    run.report.listed();
    if (layout.isTag(object.key)) tags.add(object);
  }
  return tags;
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

/** The tags of the repository in the folder with the name that docker-registry 0.9 quoted twice. */
async function listTwiceQuotedTags(
  { run, twiceQuoted }: StageState,
  repository: RepositoryName,
): Promise<ListedObjects> {
  const folder = twiceQuotedOf(layout.repository(repository))?.folder;
  const tags = new ListedObjects(folder ?? layout.repository(repository));
  if (folder === undefined || !twiceQuoted.has(folder)) return tags;
  for await (const object of run.storage.list(folder)) if (layout.isTag(object.key)) tags.add(object);
  return tags;
}

/** Why the link with a number is kept: a manifest names it, or what the manifests name is not all known. */
function keepLinks(
  links: ListedDigests,
  manifests: ListedManifests,
  present: PresentManifests,
): (index: number) => string | undefined {
  const isNamed = new Uint8Array(links.size);
  let isComplete = true;
  for (const index of present.indexes()) {
    const edges = manifests.edgesAt(index);
    isComplete &&= edges !== undefined;
    for (const blob of edges?.blobs ?? []) {
      const link = links.indexOf(blob);
      if (link >= 0) isNamed[link] = 1;
    }
  }
  return (index) => {
    if (isNamed[index] === 1) return 'a manifest names it';
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
