// The only module with object keys. Storage drivers prepend `storage_path`.
//
//  images/<id>/{json,layer,ancestry,_checksum,_inprogress}      as docker-registry 0.x wrote them
//  images/<id>/{_files,_diff}                                   lists of files, made on request or by docker-registry
//  repositories/<ns>/<repo>/tag_<tag>                           64 hex: a manifest's sha256 or an image id; or sha512:<hex>
//  repositories/<ns>/<repo>/{tag<tag>_json,json,_index_images,_private,_images_list}
//
//  oci/layout.json                                              {"layout": 2, "minWriter": 2}
//  oci/repositories/<ns>/<repo>/manifests/<algorithm>/<hex>     manifest bytes
//  oci/repositories/<ns>/<repo>/blobs/<algorithm>/<hex>         link {size, key}: this repository holds that blob
//  oci/repositories/<ns>/<repo>/referrers/<algorithm>/<subject hex>/<hex>   descriptor of a manifest with this subject
//  oci/repositories/<ns>/<repo>/history/<tag>/<time>-<target>   a move of this tag; the time counts down, so the newest is first
//  oci/repositories/<ns>/<repo>/facts/<algorithm>-<hex>/<facts>  empty: the name holds facts of that manifest
//  oci/repositories/<ns>/<repo>/pulled/<algorithm>-<hex>        empty: its time is that of the last pull, to the day
//  oci/repositories/<ns>/<repo>/summary.json                    what the repository takes up, as the last usage run counted it
//  oci/repositories/<ns>/<repo>/shared-layers.json              which tags share a layer, as the last usage run found it
//  oci/blobs/<algorithm>/<hex>/copy-<uuid>                      bytes whose digest was known when they were stored
//  oci/blobs/<algorithm>/<hex>/data-<uuid>-<size>               pointer, empty: data/<uuid> has this digest
//  oci/blobs/<algorithm>/<hex>/condemned-<uuid>                 mark, empty: the collector has condemned the copy or data with this uuid; with content: fsck has found it corrupt
//  oci/data/<uuid>                                              bytes whose digest was not known when they came
//  oci/uploads/<uuid>                                           remains of unfinished uploads; a lifecycle rule expires them
//  oci/images/<id>/{layer,manifest}.json                        the layer and the conversion of a v1 image
//  oci/images/<hex of a manifest>/sources/<id>                  the manifest is the conversion of that v1 image
//  oci/images/<id>/view.json                                    this v1 image is the projection of a v2 manifest
//  oci/images/<id>/view/<ns>%2F<repo>/<layer>.<sums>/<hex>[.<child hex>]   a nonce: description of the projection, and grant to it, by a manifest held there
//  oci/images/<id>/view/<ns>%2F<repo>/<hex>[.<child hex>]       a nonce: grant to a projection with a projection record, likewise
//  oci/images/<id>/view/<ns>%2F<repo>/tag_<tag>/<id>            a nonce: grant to the projection, by a tag naming an image on it
//  oci/images/<id>/repositories/<ns>%2F<repo>/tag_<tag>/<id>    a nonce: the same for an image that a v1 client pushed
//  oci/images/<id>/pushers/<pusher id>                          empty: this client has pushed the image
//  oci/images/<id>/pushes/<pusher id>/<hex>[.<hex>]             this client's push of the image beside another
//  oci/images/<id>/condemned.json                               cell: the collector has condemned, or removes, the v1 image
//  oci/images/<id>/blobs/<algorithm>/<hex>                      empty: layer.json of this image names that blob
//  oci/robots/<uuid>.json                                       the rights of a robot
//  oci/gc/state.json                                            the collector's run: its start, stage and position
//  oci/gc/data/<uuid>                                           empty: data/<uuid> had no pointer when the collector saw it first
//  oci/gc/edges/<ns>/<repo>                                     what each manifest of the repository names, as the collector read it
//  oci/gc/parts/<uuid>                                          what a run of the collector remembers
//  oci/gc/plans/<id>.json                                       a plan of the retention rules: its counts and how far it is applied
//  oci/gc/plans/<id>.tags                                       the tags of the plan with their verdicts, one on each line
//  oci/gc/pulls.json                                            the repositories whose pulls are recorded, and since when

//  oci/usage.json                                               what all repositories take up, as the last usage run counted it
//  oci/quotas.json                                              what is used of each quota, as the last usage run counted it
import type { Digest, ImageId, RepositoryName, Tag } from './names.ts';
import {
  algorithmOf,
  digestOfHex,
  hexOf,
  isImageId,
  isQuoted,
  MAX_KEY_PART_BYTES,
  namespaceOf,
  quotePlus,
  repositoryPartOf,
  unquotePlus,
} from './names.ts';

declare const key: unique symbol;
declare const keyPrefix: unique symbol;
/** An object's key below `storage_path`. Made here and by drivers that list; a plain string is not one. */
export type Key = string & { readonly [key]: true };
/** The beginning of keys; always ends in `/` where it stands for a folder. */
export type KeyPrefix = string & { readonly [keyPrefix]: true };

/** The origin of a v1 image: pushed by a v1 client, or the projection of a v2 manifest. */
export type ImageKind = 'pushed' | 'projection';

/** A manifest; for an index also the child that is projected. */
export type ManifestPath = [Digest] | [Digest, Digest];

/**
 * What a projection consists of, as the key of a grant describes it: the digest of its layer, and the first 32 digits of the
 * SHA-256 of its JSON and of its ancestry.
 */
export type ProjectedContent = { layer: Digest; jsonSum: string; ancestrySum: string };

/** A tag and the v1 image that it named when it gave a grant. */
export type TaggedImage = { tag: Tag; top: ImageId };

/** A repository's right to a v1 image, parsed from its key. It is stale once the repository holds neither the manifests nor the tag. */
export type Grant = {
  imageKind: ImageKind;
  repository: RepositoryName;
  by: ManifestPath | TaggedImage;
  /** Of a grant by a manifest to a projection without a projection record. */
  content?: ProjectedContent;
};

/** A move of a tag. `target`: `sha256-<hex>`, `sha512-<hex>`, `image-<v1 image id of 16 digits>`, or `deleted`. */
export type TagMove = { tag: Tag; atMs: number; target: string };

/** Folders of grants. They are apart: pushing an image under the id of a projection must give no right to the projection. */
const GRANTS: Record<ImageKind, string> = { pushed: 'repositories', projection: 'view' };

const at = (...parts: string[]) => parts.join('/') as Key;
const beginning = (...parts: string[]) => parts.join('/') as KeyPrefix;
const folder = (...parts: string[]) => `${parts.join('/')}/` as KeyPrefix;

const TAG_PREFIX = 'tag_';

/** History entries count down from here, in milliseconds of Unix time, so that a listing begins with the newest. */
const COUNTDOWN_START = 10 ** 13;

const countdownOf = (atMs: number) => String(COUNTDOWN_START - atMs).padStart(13, '0');
const dashed = (digest: Digest) => `${algorithmOf(digest)}-${hexOf(digest)}`;

export const layout = {
  image: (id: ImageId) => folder('images', id),
  imageJson: (id: ImageId) => at('images', id, 'json'),
  imageLayer: (id: ImageId) => at('images', id, 'layer'),
  imageAncestry: (id: ImageId) => at('images', id, 'ancestry'),
  imageChecksum: (id: ImageId) => at('images', id, '_checksum'),
  imageFiles: (id: ImageId) => at('images', id, '_files'),
  imageDiff: (id: ImageId) => at('images', id, '_diff'),
  imageInProgress: (id: ImageId) => at('images', id, '_inprogress'),

  repositories: () => folder('repositories'),
  namespace: (namespace: string) => folder('repositories', namespace),
  repository: (repository: RepositoryName) => folder('repositories', partsOf(repository)),
  tags: (repository: RepositoryName) => beginning('repositories', partsOf(repository), TAG_PREFIX),
  tag: (repository: RepositoryName, tag: Tag) => at('repositories', partsOf(repository), `${TAG_PREFIX}${tag}`),
  /** The position after a tag in the list of tags; the tag need not exist. */
  tagsAfter: (repository: RepositoryName, tag: string) =>
    at('repositories', partsOf(repository), `${TAG_PREFIX}${tag}`),
  isTag: (key: Key) => lastPartOf(key).startsWith(TAG_PREFIX),
  /** Undefined for a tag that starts with `_`: `tag_x_json` would be the key of a tag `x_json`. */
  tagJson: (repository: RepositoryName, tag: Tag) =>
    tag.startsWith('_') ? undefined : at('repositories', partsOf(repository), `tag${tag}_json`),
  /** Where docker-registry wrote the metadata of any tag. */
  legacyTagJson: (repository: RepositoryName, tag: Tag) => at('repositories', partsOf(repository), `tag${tag}_json`),
  /** Whether a key of a tag may hold metadata instead: `tag_x_json` is that of a tag `x_json` and the legacy metadata of a tag `_x`. */
  mayBeLegacyTagJson: (key: Key) => key.endsWith('_json'),
  /** The inverse of `tagJson`; `undefined` for any other key. */
  tagOfMetadata: (repository: RepositoryName, key: Key): Tag | undefined => {
    const [, tag] = /^tag([^_].*)_json$/.exec(key.slice(layout.repository(repository).length)) ?? [];
    return tag === undefined || layout.repository(repository) + lastPartOf(key) !== key ? undefined : (tag as Tag);
  },
  repositoryJson: (repository: RepositoryName) => at('repositories', partsOf(repository), 'json'),
  repositoryPrivate: (repository: RepositoryName) => at('repositories', partsOf(repository), '_private'),
  repositoryImagesList: (repository: RepositoryName) => at('repositories', partsOf(repository), '_images_list'),
  indexImages: (repository: RepositoryName) => at('repositories', partsOf(repository), '_index_images'),

  /** The position after all keys of a folder: `0` is the character after `/`. */
  afterFolder: (folderKey: KeyPrefix) => `${folderKey.slice(0, -1)}0` as Key,

  /** Everything of Stowage's own. */
  stowageObjects: () => folder('oci'),
  layoutVersion: () => at('oci', 'layout.json'),
  ociRepositories: () => folder('oci/repositories'),
  ociRepository: (repository: RepositoryName) => folder('oci/repositories', partsOf(repository)),
  manifests: (repository: RepositoryName) => folder('oci/repositories', partsOf(repository), 'manifests'),
  manifest: (repository: RepositoryName, digest: Digest) =>
    at('oci/repositories', partsOf(repository), 'manifests', algorithmOf(digest), hexOf(digest)),
  blobLink: (repository: RepositoryName, digest: Digest) =>
    at('oci/repositories', partsOf(repository), 'blobs', algorithmOf(digest), hexOf(digest)),
  /** The referrers of `subject`, named by their hex digits. */
  referrers: (repository: RepositoryName, subject: Digest) =>
    folder('oci/repositories', partsOf(repository), 'referrers', algorithmOf(subject), hexOf(subject)),
  /** The position after a referrer in the list of referrers. `name` is the rest of its key after `layout.referrers`. */
  referrersAfter: (repository: RepositoryName, subject: Digest, name: string) =>
    at('oci/repositories', partsOf(repository), 'referrers', algorithmOf(subject), hexOf(subject), name),
  referrer: (repository: RepositoryName, subject: Digest, digest: Digest) =>
    at('oci/repositories', partsOf(repository), 'referrers', algorithmOf(subject), hexOf(subject), hexOf(digest)),
  /** All moves of a tag, newest first. */
  tagHistory: (repository: RepositoryName, tag: Tag) =>
    folder('oci/repositories', partsOf(repository), 'history', historyFolderOf(tag)),
  /** The position after a move in the history of a tag. `entry` is the last part of its key. */
  historyAfter: (repository: RepositoryName, tag: Tag, entry: string) =>
    at('oci/repositories', partsOf(repository), 'history', historyFolderOf(tag), entry),
  /** Whether the folder of a tag's history has a name that every file system allows. */
  hasHistory: (tag: Tag) => Buffer.byteLength(historyFolderOf(tag)) <= MAX_KEY_PART_BYTES,
  repositoryHistory: (repository: RepositoryName) => folder('oci/repositories', partsOf(repository), 'history'),
  historyEntry: (repository: RepositoryName, { tag, atMs, target }: TagMove) =>
    at('oci/repositories', partsOf(repository), 'history', historyFolderOf(tag), `${countdownOf(atMs)}-${target}`),
  /** The facts of all manifests of a repository. */
  repositoryFacts: (repository: RepositoryName) => folder('oci/repositories', partsOf(repository), 'facts'),
  manifestFacts: (repository: RepositoryName, digest: Digest) =>
    folder('oci/repositories', partsOf(repository), 'facts', dashed(digest)),
  facts: (repository: RepositoryName, digest: Digest, name: string) =>
    at('oci/repositories', partsOf(repository), 'facts', dashed(digest), name),
  repositoryPulls: (repository: RepositoryName) => folder('oci/repositories', partsOf(repository), 'pulled'),
  lastPulled: (repository: RepositoryName, digest: Digest) =>
    at('oci/repositories', partsOf(repository), 'pulled', dashed(digest)),
  sharedLayers: (repository: RepositoryName) => at('oci/repositories', partsOf(repository), 'shared-layers.json'),
  usageSummary: (repository: RepositoryName) => at('oci/repositories', partsOf(repository), 'summary.json'),
  usageOverview: () => at('oci', 'usage.json'),
  quotas: () => at('oci', 'quotas.json'),

  blobs: () => folder('oci/blobs'),
  /** All that is known about a digest: marks first, then copies, then pointers. */
  blobFolder: (digest: Digest) => folder('oci/blobs', algorithmOf(digest), hexOf(digest)),
  blobCopy: (digest: Digest, uuid: string) => at('oci/blobs', algorithmOf(digest), hexOf(digest), `copy-${uuid}`),
  blobPointer: (digest: Digest, uuid: string, sizeBytes: number) =>
    at('oci/blobs', algorithmOf(digest), hexOf(digest), `data-${uuid}-${sizeBytes}`),
  blobMark: (digest: Digest, uuid: string) => at('oci/blobs', algorithmOf(digest), hexOf(digest), `condemned-${uuid}`),
  allData: () => folder('oci/data'),
  data: (uuid: string) => at('oci/data', uuid),
  isData: (key: Key) => key.startsWith('oci/data/'),
  /** Where layout 1 recorded which bytes a digest has. */
  outdatedDigestMarkers: () => folder('oci/digests'),
  uploadScraps: () => folder('oci/uploads'),
  uploadScrap: (uuid: string) => at('oci/uploads', uuid),
  robots: () => folder('oci/robots'),
  robot: (id: string) => at('oci/robots', `${id}.json`),
  collectorState: () => at('oci/gc', 'state.json'),
  /** Data without a pointer that the collector has seen once. */
  unnamedData: (uuid: string) => at('oci/gc/data', uuid),
  allUnnamedData: () => folder('oci/gc/data'),
  /** What the manifests of a repository name. Which manifests exist is never taken from here. */
  manifestEdges: (repository: RepositoryName) => at('oci/gc/edges', partsOf(repository)),
  collectorPart: (uuid: string) => at('oci/gc/parts', uuid),
  collectorParts: () => folder('oci/gc/parts'),
  retentionPlans: () => folder('oci/gc/plans'),
  retentionPlan: (id: string) => at('oci/gc/plans', `${id}.json`),
  retentionPlanTags: (id: string) => at('oci/gc/plans', `${id}.tags`),
  /** Its LastModified is the time since when the pulls that it names are recorded. */
  recordedPulls: () => at('oci/gc', 'pulls.json'),
  allImages: () => folder('images'),
  allImageRecords: () => folder('oci/images'),
  imageCell: (id: ImageId) => at('oci/images', id, 'condemned.json'),
  imageBlob: (id: ImageId, digest: Digest) => at('oci/images', id, 'blobs', algorithmOf(digest), hexOf(digest)),
  imageLayerDescriptor: (id: ImageId) => at('oci/images', id, 'layer.json'),
  projectionRecord: (id: ImageId) => at('oci/images', id, 'view.json'),
  /** The projection record and the grants to the projection: where there is any, the image is a projection. */
  imageProjections: (id: ImageId) => beginning('oci/images', id, GRANTS.projection),
  /** All records of an image. Listings rely on the order: grants to a pushed image, `view.json`, grants to a projection. */
  imageRecords: (id: ImageId) => folder('oci/images', id),
  imageGrants: (id: ImageId, kind: ImageKind) => folder('oci/images', id, GRANTS[kind]),
  repositoryGrants: (id: ImageId, kind: ImageKind, repository: RepositoryName) =>
    folder('oci/images', id, GRANTS[kind], quotePlus(repository)),
  /** @param manifests the manifest that a tag names, and for an index the child that is projected */
  manifestGrant: (id: ImageId, repository: RepositoryName, manifests: ManifestPath) =>
    at('oci/images', id, GRANTS.projection, quotePlus(repository), manifests.map(hexOf).join('.')),
  /** As `manifestGrant`, with a description of the projection. */
  describingGrant: (
    id: ImageId,
    repository: RepositoryName,
    manifests: ManifestPath,
    { layer, jsonSum, ancestrySum }: ProjectedContent,
  ) =>
    at(
      ...['oci/images', id, GRANTS.projection, quotePlus(repository)],
      ...[`${dashed(layer)}.${jsonSum}.${ancestrySum}`, manifests.map(hexOf).join('.')],
    ),
  tagGrant: (id: ImageId, kind: ImageKind, repository: RepositoryName, { tag, top }: TaggedImage) =>
    at('oci/images', id, GRANTS[kind], quotePlus(repository), `${TAG_PREFIX}${tag}`, top),
  /** Grants of version 0.1.0: an object at the key of a folder of grants. It gives no right. */
  outdatedGrant: (id: ImageId, kind: ImageKind, repository: RepositoryName) =>
    at('oci/images', id, GRANTS[kind], quotePlus(repository)),
  /** `pusherId` is a hash that identifies the client that pushes. */
  pusherRecord: (id: ImageId, pusherId: string) => at('oci/images', id, 'pushers', pusherId),
  /** Pending pushes: of an image that another push has begun or completed. `json` and `sum` in hex. */
  allPendingPushes: (id: ImageId) => folder('oci/images', id, 'pushes'),
  pendingPushes: (id: ImageId, pusherId: string) => folder('oci/images', id, 'pushes', pusherId),
  pendingJson: (id: ImageId, pusherId: string, json: string) => at('oci/images', id, 'pushes', pusherId, json),
  sentLayer: (id: ImageId, pusherId: string, json: string, sum: string) =>
    at('oci/images', id, 'pushes', pusherId, `${json}.${sum}`),
  conversion: (id: ImageId) => at('oci/images', id, 'manifest.json'),
  /** The v1 images of which a manifest is the conversion. */
  conversionSources: (digest: Digest) => folder('oci/images', hexOf(digest), 'sources'),
  conversionSource: (digest: Digest, id: ImageId) => at('oci/images', hexOf(digest), 'sources', id),
};

/**
 * `library/centos`, `a/b%2Fc`: the folder of a repository never contains another repository. As docker-registry 0.6 wrote it;
 * 0.9 quoted the second part twice, see `twiceQuotedOf`.
 */
function partsOf(repository: RepositoryName): string {
  return `${namespaceOf(repository)}/${quotePlus(repositoryPartOf(repository))}`;
}

/** A tag of v1 may be `.` or `..`, which are no names of folders. */
function historyFolderOf(tag: Tag): string {
  return tag.replaceAll('%', '%25').replace(/^\./, '%2E');
}

function tagOfHistoryFolder(name: string): Tag {
  return name.replace(/^%2E/, '.').replaceAll('%25', '%') as Tag;
}

const REPOSITORY_PART = /^(repositories\/[^/]+\/)([^/]+)(\/.*)$/;

/**
 * The key or prefix that docker-registry 0.9 used instead of this one: it quoted the repository's part twice,
 * `repositories/a/b%252Fc/`. `undefined` where both are equal, or where the part is longer than a file system allows.
 */
export function twiceQuotedOf<K extends Key | KeyPrefix>(key: K): { key: K; folder: KeyPrefix } | undefined {
  const [, namespace, part = '', rest = ''] = REPOSITORY_PART.exec(key) ?? [];
  if (namespace === undefined || !part.includes('%')) return undefined;
  const twice = quotePlus(part);
  if (twice.length > MAX_KEY_PART_BYTES) return undefined;
  const folder = `${namespace}${twice}`;
  return { key: `${folder}${rest}` as K, folder: `${folder}/` as KeyPrefix };
}

/** The inverse of `twiceQuotedOf`; a key that is not quoted twice is returned as it is. */
export function withoutTwiceQuoting<K extends Key | KeyPrefix>(key: K): K {
  const [, namespace, part = '', rest] = REPOSITORY_PART.exec(key) ?? [];
  const once = unquotePlus(part);
  return namespace !== undefined && once !== undefined && isQuoted(once) ? (`${namespace}${once}${rest}` as K) : key;
}

const QUOTED = /%[0-9A-F]{2}/;

/** Undoes the quoting in `tag_1.0%2Bb` and `tag1.0%2Bb_json`. The other objects of a repository have fixed names. */
export function withoutTagQuoting(key: Key): Key {
  const name = lastPartOf(key);
  const unquoted = name.startsWith('tag') && QUOTED.test(name) ? unquotePlus(name) : undefined;
  return unquoted === undefined ? key : (`${key.slice(0, -name.length)}${unquoted}` as Key);
}

/** The key of an object in one folder, in another. */
export function movedKey(key: Key, from: KeyPrefix, to: KeyPrefix): Key {
  return `${to}${key.slice(from.length)}` as Key;
}

/** The last part of a key or folder: `tag_6.4`, or `centos` of `repositories/library/centos/`. */
export function lastPartOf(key: Key | KeyPrefix): string {
  const end = key.endsWith('/') ? key.length - 1 : key.length;
  return key.slice(key.lastIndexOf('/', end - 1) + 1, end);
}

/** The tag of a key below `layout.tags`. */
export function tagOf(key: Key): Tag {
  return lastPartOf(key).slice(TAG_PREFIX.length) as Tag;
}

const IMAGE_BLOB = /^oci\/images\/[^/]+\/blobs\/(sha256|sha512)\/([a-f0-9]+)$/;

/** The digest in a key of `layout.imageBlob`; `undefined` for any other key. */
export function digestOfImageBlob(key: Key): Digest | undefined {
  const [, algorithm, hex] = IMAGE_BLOB.exec(key) ?? [];
  return algorithm === undefined ? undefined : (`${algorithm}:${hex}` as Digest);
}

/** The inverse of `layout.robot`. */
export function robotIdOf(key: Key): string {
  return lastPartOf(key).replace(/\.json$/, '');
}

/** The inverse of `layout.repository`; `undefined` for the folder of no repository. */
export function repositoryOf(namespace: string, folderKey: KeyPrefix): RepositoryName | undefined {
  const part = unquotePlus(lastPartOf(folderKey));
  return part === undefined ? undefined : (`${namespace}/${part}` as RepositoryName);
}

const IMAGE_LAYER = /^images\/([^/]+)\/layer$/;

/** The inverse of `layout.imageLayer`; `undefined` for any other key. */
export function imageOfLayer(key: Key): ImageId | undefined {
  const [, id] = IMAGE_LAYER.exec(key) ?? [];
  return isImageId(id) ? id : undefined;
}

/** An object below `layout.imageRecords`. */
export type ImageRecord =
  | { kind: 'projection' }
  | { kind: 'pusher'; pusherId: string }
  | { kind: 'grant'; grant: Grant }
  | { kind: 'outdated grant'; imageKind: ImageKind };

const IMAGE_RECORD = /^oci\/images\/[^/]+\/(?:(view\.json)|pushers\/([^/]+)|(view|repositories)\/([^/]+)(?:\/(.+))?)$/;
const MANIFEST_GRANT = /^([a-f0-9]{64})(?:\.([a-f0-9]{64}|[a-f0-9]{128}))?$/;
const DESCRIPTION = /^(sha256|sha512)-([a-f0-9]+)\.([a-f0-9]{32})\.([a-f0-9]{32})\/(.+)$/;
const TAG_GRANT = /^tag_([^/]+)\/([^/]+)$/;

/** The inverse of `layout.projectionRecord`, `manifestGrant`, `describingGrant`, `tagGrant`, `outdatedGrant`, `pusherRecord`; `undefined` for any other key. */
export function parseImageRecord(key: Key): ImageRecord | undefined {
  const [, projection, pusher, folderName, name = '', rest] = IMAGE_RECORD.exec(key) ?? [];
  if (projection !== undefined) return { kind: 'projection' };
  if (pusher !== undefined) return { kind: 'pusher', pusherId: pusher };
  const repository = unquotePlus(name) as RepositoryName | undefined;
  if (folderName === undefined || repository === undefined) return undefined;
  const imageKind = folderName === GRANTS.projection ? 'projection' : 'pushed';
  if (rest === undefined) return { kind: 'outdated grant', imageKind };
  const [, tag, top] = TAG_GRANT.exec(rest) ?? [];
  if (tag !== undefined && isImageId(top))
    return { kind: 'grant', grant: { imageKind, repository, by: { tag: tag as Tag, top } } };
  if (imageKind === 'pushed') return undefined;
  const [, algorithm, layerHex, jsonSum = '', ancestrySum = '', manifestsPart = rest] = DESCRIPTION.exec(rest) ?? [];
  const [, hex, childHex] = MANIFEST_GRANT.exec(manifestsPart) ?? [];
  if (hex === undefined) return undefined;
  const by: ManifestPath = childHex === undefined ? [digestOfHex(hex)] : [digestOfHex(hex), digestOfHex(childHex)];
  const content = algorithm && { layer: `${algorithm}:${layerHex}` as Digest, jsonSum, ancestrySum };
  return { kind: 'grant', grant: { imageKind, repository, by, ...(content && { content }) } };
}

const IMAGE_FOLDER = /^(?:oci\/)?images\/([^/]+)\//;

/** The v1 image in whose folder below `layout.allImages` or `layout.allImageRecords` a key lies; `undefined` if in none. */
export function imageOfKey(key: Key): ImageId | undefined {
  const [, id] = IMAGE_FOLDER.exec(key) ?? [];
  return isImageId(id) ? id : undefined;
}

/** What docker-registry and v1 clients wrote for an image. */
const V1_OBJECTS = ['json', 'layer', 'ancestry', '_checksum', '_inprogress', '_files', '_diff'] as const;

export type ImageObject =
  | { kind: 'v1'; name: (typeof V1_OBJECTS)[number] }
  | { kind: 'cell' | 'layer descriptor' | 'conversion' | 'pending push' }
  | { kind: 'blob'; digest: Digest }
  | { kind: 'source'; id: ImageId }
  | ImageRecord;

const V1_OBJECT = /^images\/[^/]+\/([^/]+)$/;
const IMAGE_OBJECT =
  /^oci\/images\/[^/]+\/(condemned\.json|layer\.json|manifest\.json|blobs|sources|pushes)(?:\/(.+))?$/;

/** Parses the key of any object of a v1 image; `undefined` for a key that this layout does not have. */
export function parseImageObject(key: Key): ImageObject | undefined {
  const [, v1Name] = V1_OBJECT.exec(key) ?? [];
  if (v1Name !== undefined) {
    const name = V1_OBJECTS.find((known) => known === v1Name);
    return name && { kind: 'v1', name };
  }
  const [, kind, rest] = IMAGE_OBJECT.exec(key) ?? [];
  if (kind === undefined) return parseImageRecord(key);
  if (kind === 'condemned.json' && rest === undefined) return { kind: 'cell' };
  if (kind === 'layer.json' && rest === undefined) return { kind: 'layer descriptor' };
  if (kind === 'manifest.json' && rest === undefined) return { kind: 'conversion' };
  if (kind === 'pushes' && rest !== undefined) return { kind: 'pending push' };
  if (kind === 'sources' && isImageId(rest)) return { kind: 'source', id: rest };
  const [, algorithm, hex] = kind === 'blobs' ? (SLASHED_DIGEST.exec(rest ?? '') ?? []) : [];
  return algorithm === undefined ? undefined : { kind: 'blob', digest: `${algorithm}:${hex}` as Digest };
}

const MANIFEST_KEY = /\/manifests\/(sha256|sha512)\/([a-f0-9]+)$/;

/** The inverse of `layout.manifest`; `undefined` for any other key. */
export function digestOfManifestKey(key: Key): Digest | undefined {
  const [, algorithm, hex] = MANIFEST_KEY.exec(key) ?? [];
  return algorithm === undefined || hex === undefined ? undefined : (`${algorithm}:${hex}` as Digest);
}

const TAG_KEY = /^repositories\/([^/]+)\/([^/]+)\/tag_([^/]+)$/;

/** The inverse of `layout.tag`, also for keys that are quoted twice; `undefined` for any other key. */
export function parseTagKey(key: string): { repository: RepositoryName; tag: Tag } | undefined {
  const [, namespace, part = '', tag] = TAG_KEY.exec(withoutTwiceQuoting(key as Key)) ?? [];
  const repositoryPart = unquotePlus(part);
  if (namespace === undefined || tag === undefined || repositoryPart === undefined) return undefined;
  return { repository: `${namespace}/${repositoryPart}` as RepositoryName, tag: tag as Tag };
}

const REPOSITORY_FOLDER = /^(?:oci\/)?repositories\/([^/]+)\/([^/]+)\//;

/**
 * The folder that a key below `layout.repositories` or `layout.ociRepositories` lies in, and its repository: undefined for a
 * name that is quoted twice, or not as `layout` quotes. `undefined` for a key in no such folder.
 */
export function repositoryFolderOf(key: Key): { folder: KeyPrefix; repository?: RepositoryName } | undefined {
  const [match, namespace, part = ''] = REPOSITORY_FOLDER.exec(key) ?? [];
  if (match === undefined || namespace === undefined) return undefined;
  const name = unquotePlus(part);
  const isValid = name !== undefined && !isQuoted(name);
  return {
    folder: match as KeyPrefix,
    ...(isValid && { repository: `${namespace}/${name}` as RepositoryName }),
  };
}

/** An object below `layout.blobs`: bytes, a pointer to bytes, or a mark on either. */
export type BlobRecord = { digest: Digest; uuid: string } & (
  | { kind: 'copy' }
  | { kind: 'pointer'; sizeBytes: number }
  | { kind: 'mark' }
);

const BLOB_RECORD =
  /^oci\/blobs\/(sha256|sha512)\/([a-f0-9]+)\/(?:(copy|condemned)-([a-f0-9-]{36})|data-([a-f0-9-]{36})-(\d+))$/;

/** The inverse of `layout.blobCopy`, `blobPointer` and `blobMark`; `undefined` for any other key. */
export function parseBlobRecord(key: Key): BlobRecord | undefined {
  const [, algorithm, hex, kind, uuid, dataUuid, size] = BLOB_RECORD.exec(key) ?? [];
  if (algorithm === undefined || hex === undefined) return undefined;
  const digest = `${algorithm}:${hex}` as Digest;
  if (dataUuid !== undefined) return { digest, uuid: dataUuid, kind: 'pointer', sizeBytes: Number(size) };
  if (uuid === undefined) return undefined;
  return { digest, uuid, kind: kind === 'copy' ? 'copy' : 'mark' };
}

/** An object of a repository below `oci/repositories/`. */
export type RepositoryRecord = { repository: RepositoryName } & (
  | { kind: 'manifest' | 'link' | 'pull'; digest: Digest }
  | { kind: 'facts'; digest: Digest; name: string }
  | { kind: 'referrer'; subject: Digest; digest: Digest }
  | { kind: 'history'; move: TagMove }
  | { kind: 'summary' | 'shared layers' }
);

const REPOSITORY_RECORD = /^oci\/repositories\/([^/]+)\/([^/]+)\/([^/]+)(?:\/(.+))?$/;
const SLASHED_DIGEST = /^(sha256|sha512)\/([a-f0-9]+)$/;
const DASHED_DIGEST = /^(sha256|sha512)-([a-f0-9]+)(?:\/([^/]+))?$/;
const REFERRER = /^(sha256|sha512)\/([a-f0-9]+)\/([a-f0-9]+)$/;
const HISTORY = /^([^/]+)\/(\d{13})-((?:sha256|sha512|image)-[a-f0-9]+|deleted)$/;

/** Parses a key below `layout.ociRepositories`; `undefined` for a key that this layout does not have. */
export function parseRepositoryRecord(key: Key): RepositoryRecord | undefined {
  const [, namespace, part = '', kind, rest = ''] = REPOSITORY_RECORD.exec(key) ?? [];
  const repositoryPart = unquotePlus(part);
  if (namespace === undefined || repositoryPart === undefined) return undefined;
  const record = parseInRepository(kind, rest);
  return record && { repository: `${namespace}/${repositoryPart}` as RepositoryName, ...record };
}

type WithoutRepository<R> = R extends unknown ? Omit<R, 'repository'> : never;

function parseInRepository(kind: string | undefined, rest: string): WithoutRepository<RepositoryRecord> | undefined {
  const digestIn = (pattern: RegExp): Digest | undefined => {
    const [, algorithm, hex] = pattern.exec(rest) ?? [];
    return algorithm === undefined ? undefined : (`${algorithm}:${hex}` as Digest);
  };
  const digest = kind === 'manifests' || kind === 'blobs' ? digestIn(SLASHED_DIGEST) : digestIn(DASHED_DIGEST);
  const name = DASHED_DIGEST.exec(rest)?.[3];
  if (kind === 'manifests' && digest) return { kind: 'manifest', digest };
  if (kind === 'blobs' && digest) return { kind: 'link', digest };
  if (kind === 'pulled' && digest && name === undefined) return { kind: 'pull', digest };
  if (kind === 'facts' && digest && name !== undefined) return { kind: 'facts', digest, name };
  if (kind === 'summary.json' && rest === '') return { kind: 'summary' };
  if (kind === 'shared-layers.json' && rest === '') return { kind: 'shared layers' };
  if (kind === 'referrers') {
    const [, algorithm, subject, hex] = REFERRER.exec(rest) ?? [];
    if (algorithm === undefined || hex === undefined) return undefined;
    return { kind: 'referrer', subject: `${algorithm}:${subject}` as Digest, digest: digestOfHex(hex) };
  }
  if (kind === 'history') {
    const [, tag, countdown, target] = HISTORY.exec(rest) ?? [];
    if (tag === undefined || target === undefined) return undefined;
    return {
      kind: 'history',
      move: { tag: tagOfHistoryFolder(tag), atMs: COUNTDOWN_START - Number(countdown), target },
    };
  }
  return undefined;
}
