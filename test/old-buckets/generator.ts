// Generates a bucket as docker-registry wrote it, from its source code and one real bucket, without the code under test. The
// bytes are the same on each run and each machine.
import type { TarEntry } from '../support/tar.ts';
import { simpleSum, tarSum } from './checksums.ts';
import { BASE_ID, CENTOS_INDEX, CENTOS_TAGS, TAG_JSON_OF_14_04, UBUNTU_INDEX, UBUNTU_TAGS } from './example.ts';
import { deepImages, exampleImages, interruptedImage, type OldImage } from './images.ts';
import { type DockerRegistryVersion, Keys } from './keys.ts';
import { firstHalf } from './layers.ts';
import { jsonDumps } from './python.ts';

export type OldRepository = {
  /** As in URLs, with its namespace: `a/b/c`. */
  name: string;
  /** Image ids by tag. */
  tags: Readonly<Record<string, string>>;
  /** The ids in `_index_images`. */
  index: readonly string[];
  isPrivate: boolean;
};

export type OldBucket = {
  version: DockerRegistryVersion;
  /** By key below `storage_path`, in byte order of the keys. */
  objects: ReadonlyMap<string, Buffer>;
  /** The complete images by id, parents before their children. */
  images: ReadonlyMap<string, OldImage>;
  /** The images of interrupted pushes. */
  incomplete: readonly OldImage[];
  repositories: readonly OldRepository[];
};

export type OldBucketOptions = {
  /** Adds a repository `library/deep`, whose tag `latest` names an image with this number of ancestors. */
  longChain?: number;
};

/** Images with an unusual `_checksum`: none, one with a newline, one by a client older than 0.10. */
const NO_CHECKSUM_ID = 'cf8dc907452c970224551599da573c9e32897fc65286d942625c4c86dabd680d';
const NEWLINE_CHECKSUM_ID = '7064731afe90d78da2c117d64a1221c826234cd7145fd330ae7e207ff5606980';
const OLD_CLIENT_ID = '02dae1c13f51edae0a9817e01dcbbad380c1b31933779641e5f733958af5d8d5';

export function oldBucket(version: DockerRegistryVersion, { longChain }: OldBucketOptions = {}): OldBucket {
  const deep = longChain === undefined ? [] : deepImages(longChain);
  const images = new Map([...exampleImages(), ...deep].map((image) => [image.id, image]));
  const incomplete = version === '0.9.1' ? [interruptedImage()] : [];
  const repositories = repositoriesOf(version, deep, incomplete);
  const objects = [
    ...[...images.values()].flatMap((image) => imageObjects(version, image)),
    ...incomplete.flatMap((image) => interruptedObjects(image)),
    ...repositories.flatMap((repository) => repositoryObjects(version, repository, images)),
    ...(version === '0.6.5' ? strayObjects() : []),
  ];
  const inOrder = objects.toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const asBytes = inOrder.map(([key, content]) => [key, Buffer.from(content)] as const);
  return { version, objects: new Map(asBytes), images, incomplete, repositories };
}

type KeyedObject = [key: string, content: Uint8Array | string];

function repositoriesOf(version: DockerRegistryVersion, deep: OldImage[], incomplete: OldImage[]): OldRepository[] {
  const centos = CENTOS_TAGS['6.5'] ?? '';
  const centosChain = CENTOS_INDEX.slice(1);
  const isPrivate = false;
  return [
    { name: 'library/centos', tags: CENTOS_TAGS, index: CENTOS_INDEX, isPrivate },
    { name: 'library/ubuntu', tags: UBUNTU_TAGS, index: UBUNTU_INDEX, isPrivate },
    { name: 'a/b/c', tags: { latest: centos, '1.0': centos }, index: centosChain, isPrivate: version === '0.6.5' },
    // A tag that 0.9 quotes, and one whose metadata looks like another tag.
    { name: 'example/tools', tags: { '1.0+b': BASE_ID, _x: BASE_ID, latest: BASE_ID }, index: [BASE_ID], isPrivate },
    // A push that was interrupted before its first tag.
    ...incomplete.map(({ ancestry }) => ({ name: 'example/broken', tags: {}, index: ancestry, isPrivate })),
    ...deep.slice(-1).map(({ id, ancestry }) => ({
      name: 'library/deep',
      tags: { latest: id },
      index: ancestry,
      isPrivate,
    })),
  ];
}

function imageObjects(version: DockerRegistryVersion, image: OldImage): KeyedObject[] {
  const { id, ancestry, json, layer } = image;
  const at = (object: string) => new Keys(version).image(id, object);
  const checksum = checksumOf(version, image);
  const files = version === '0.6.5' && layer.form !== 'none' ? [[at('_files'), filesOf(layer.entries)] as const] : [];
  return [
    [at('json'), json],
    [at('layer'), layer.bytes],
    [at('ancestry'), jsonDumps(ancestry)],
    ...(checksum === undefined ? [] : [[at('_checksum'), checksum] as KeyedObject]),
    ...files.map(([key, content]): KeyedObject => [key, content]),
  ];
}

/** 0.6.5 stored the checksum that the client sent, from Docker a TarSum; 0.9.1 stores those it computes. */
function checksumOf(version: DockerRegistryVersion, { id, json, layer }: OldImage): string | undefined {
  if (id === NO_CHECKSUM_ID) return undefined;
  const simple = simpleSum(json, layer.bytes);
  if (version === '0.6.5') {
    const claimed = layer.form.startsWith('docker') ? tarSum(json, layer.bytes) : simple;
    return id === NEWLINE_CHECKSUM_ID ? `${claimed}\n` : claimed;
  }
  // For a Docker older than 0.10, 0.7 and 0.8 computed both.
  return jsonDumps(id === OLD_CLIENT_ID ? [simple, tarSum(json, layer.bytes)] : [simple]);
}

/** `_files` as Python's tarfile lists a layer: names without a final slash, whiteouts in the root without their prefix. */
export function filesOf(entries: readonly TarEntry[]): string {
  return jsonDumps(
    entries.map(({ path, content, mode = content ? 0o644 : 0o755 }) => {
      const rooted = path.replace(/\/$/, '').replace(/^\.(?:\/|$)/, '/');
      const isDeleted = rooted.startsWith('/.wh.');
      const name = isDeleted ? `/${rooted.slice('/.wh.'.length)}` : rooted;
      return [name, content ? 'f' : 'd', isDeleted, content?.length ?? 0, 0, mode, 0, 0];
    }),
  );
}

/** A push whose connection broke within the layer: half of it is stored, and no `_checksum`. */
function interruptedObjects({ id, ancestry, json, layer }: OldImage): KeyedObject[] {
  return [
    [`images/${id}/_inprogress`, 'true'],
    [`images/${id}/json`, json],
    [`images/${id}/ancestry`, jsonDumps(ancestry)],
    [`images/${id}/layer`, firstHalf(layer.bytes)],
  ];
}

function repositoryObjects(
  version: DockerRegistryVersion,
  repository: OldRepository,
  images: ReadonlyMap<string, OldImage>,
): KeyedObject[] {
  const { name, tags, index, isPrivate } = repository;
  const keys = new Keys(version);
  const tagNames = Object.keys(tags);
  const tagObjects = tagNames.flatMap((tag): KeyedObject[] => {
    const object: KeyedObject = [keys.tag(name, tag), tags[tag] ?? ''];
    // Tag metadata since 0.6.6.
    return version === '0.6.5' ? [object] : [object, [keys.tagJson(name, tag), tagJson(tagNames.indexOf(tag))]];
  });
  const latest = tagNames.indexOf('latest');
  return [
    ...tagObjects,
    ...(latest < 0 ? [] : [[keys.repository(name, 'json'), tagJson(latest)] as KeyedObject]),
    [keys.repository(name, '_index_images'), indexImages(version, repository, images)],
    ...(version === '0.6.5' && name === 'library/ubuntu'
      ? [[keys.repository(name, '_images_list'), jsonDumps(index)] as KeyedObject]
      : []),
    ...(isPrivate ? [[keys.repository(name, '_private'), ''] as KeyedObject] : []),
  ];
}

/** The real metadata of 14.04, with a time one second later for each tag that follows it. */
function tagJson(position: number): string {
  const of14_04 = Object.keys(UBUNTU_TAGS).indexOf('14.04');
  return TAG_JSON_OF_14_04.replace(/\d{10}/, (seconds) => String(Number(seconds) + position - of14_04));
}

/**
 * `_index_images`. 0.6.5 stored `Tag`, and the `checksum` that Docker up to 0.7 sent; docker-registry since 0.6.6 drops `Tag`, and
 * Docker since 0.8 sends no `checksum`. The first list of a repository is stored byte for byte as it was sent.
 */
function indexImages(
  version: DockerRegistryVersion,
  { name, tags, index }: OldRepository,
  images: ReadonlyMap<string, OldImage>,
): string {
  const tagsOf = (id: string) => Object.keys(tags).filter((tag) => tags[tag] === id);
  if (name === 'example/broken' || (version === '0.6.5' && name === 'a/b/c')) {
    const sent = index.toReversed().flatMap((id) => {
      const own = tagsOf(id);
      return own.length > 0 ? own.map((Tag) => ({ id, Tag })) : [{ id }];
    });
    return JSON.stringify(sent);
  }
  if (version !== '0.6.5') return jsonDumps(index.map((id) => ({ id })));
  const entries = index.map((id) => {
    const image = images.get(id);
    const Tag = tagsOf(id)[0];
    const checksum = image && name === 'library/centos' ? checksumOf(version, image)?.trim() : undefined;
    return { ...(Tag !== undefined && { Tag }), ...(checksum !== undefined && { checksum }), id };
  });
  return jsonDumps(entries);
}

/** The probe of a `_status` that was interrupted, objects of other programs, and folders that are no repository. */
function strayObjects(): KeyedObject[] {
  return [
    ['7QX2B0ZK9M4TW1PD', 'H3JQ5C8RNV6YKE0L'],
    ['logs/2014-05-15/access.log', '127.0.0.1 - - "GET /_ping HTTP/1.1" 200\n'],
    ['images/README', 'not an image\n'],
    ['repositories/README', 'not a namespace\n'],
    ['repositories/library/README', 'not a repository\n'],
    ['repositories/alone/README', 'a namespace without a repository\n'],
  ];
}
