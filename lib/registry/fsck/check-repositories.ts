import { isJsonObject, parseJson } from '../../model/json.ts';
import {
  type Key,
  lastPartOf,
  layout,
  parseRepositoryRecord,
  parseTagKey,
  tagOf,
  withoutTwiceQuoting,
} from '../../model/layout.ts';
import { type Digest, hexOf, isDigest, type RepositoryName } from '../../model/names.ts';
import type { ObjectInfo, StorageDriver } from '../../storage/driver.ts';
import { parseCondemned } from '../condemned/condemned.ts';
import { isGone, readUnlessGone } from '../condemned/gone.ts';
import { nameOfDigest } from '../inventory/digest-folders.ts';
import { DigestSet } from '../inventory/digest-set.ts';
import { isAbsentAsListed } from '../inventory/gone-forms.ts';
import { foldersInLockstep } from '../inventory/lockstep.ts';
import type { Tags } from '../tags/tags.ts';
import { decodeTarget } from '../tags/target.ts';
import type { Check } from './check.ts';
import { checkOfLayout1 } from './old-layout.ts';
import { removeRecord } from './repairs.ts';

/** Tags that are resolved together. */
const TAGS_AT_ONCE = 1000;

/** Above this number of manifests in a repository, tags are read instead of being matched with them. */
const MAX_MATCHED = 100_000;

const FIXED_NAMES = ['json', '_private', '_images_list', '_index_images'];

/** What a repository holds, for checks that go on after its listing. */
export type RepositoryContent = {
  repository: RepositoryName;
  links: DigestSet;
  manifests: DigestSet;
  /** `<subject> <digest>` of each referrer entry. */
  referrers: Set<string>;
};

/**
 * Checks tags, links, manifests and referrer entries by name, and hands on what other listings decide.
 * @param options.onContent is called with each repository, after its listing
 */
export async function checkRepositories(
  check: Check,
  tags: Tags,
  onContent: (content: RepositoryContent) => Promise<void>,
): Promise<void> {
  const folders = foldersInLockstep(check.storage, {
    objects: layout.repositories(),
    records: layout.ociRepositories(),
    depth: 2,
    onStray: check.unknown,
  });
  for await (const { name, objects, records } of folders) {
    const once = withoutTwiceQuoting(`repositories/${name}/tag_` as Key);
    const repository = parseTagKey(`${once}x`)?.repository;
    const content = { links: new DigestSet(), manifests: new DigestSet(), referrers: new Set<string>() };
    for await (const object of records) await checkRecord(check, check.see(object), content);
    let batch: ObjectInfo[] = [];
    const checkBatch = async () => {
      if (repository) await checkTags(check, tags, repository, batch, content.manifests);
      batch = [];
    };
    for await (const object of objects) {
      check.see(object);
      if (repository && layout.isTag(object.key)) batch.push(object);
      else if (!repository || !isKnownName(lastPartOf(object.key))) await check.unknown(object);
      if (batch.length === TAGS_AT_ONCE) await checkBatch();
    }
    await checkBatch();
    if (repository) await onContent({ repository, ...content });
  }
}

function isKnownName(name: string): boolean {
  return FIXED_NAMES.includes(name) || (name.startsWith('tag') && layout.mayBeLegacyTagJson(name as Key));
}

async function checkRecord(
  check: Check,
  object: ObjectInfo,
  { links, manifests, referrers }: Omit<RepositoryContent, 'repository'>,
): Promise<void> {
  const { storage } = check;
  const record = parseRepositoryRecord(object.key);
  if (!record || ('digest' in record && !isDigest(record.digest))) {
    return (await checkOfLayout1(check, object)) ? undefined : await check.unknown(object);
  }
  const { repository } = record;
  if (record.kind === 'link') {
    if (await isAbsentAsListed(storage, object)) return;
    links.add(record.digest);
    const { etag, sizeBytes } = object;
    await check.digestUsers.add(nameOfDigest(record.digest), { kind: 'link', repository, etag, sizeBytes });
  } else if (record.kind === 'manifest') {
    if (await isAbsentAsListed(storage, object)) return;
    manifests.add(record.digest);
    await check.holdings.add(hexOf(record.digest), { kind: 'manifest', repository });
  } else if (record.kind === 'referrer') {
    if (await isAbsentAsListed(storage, object)) return;
    const { subject, digest } = record;
    referrers.add(`${subject} ${digest}`);
    if (manifests.has(digest) || (await hasManifest(check, repository, digest))) return;
    if (await isBeingCollected(storage, object.key)) return;
    await check.findings.add('dangling-referrer', object.key, `${repository} does not hold the manifest ${digest}`, {
      action: 'remove the entry',
      run: () => removeRecord(storage, object.key, object.etag),
    });
  }
}

/** Whether a referrer entry is gone, or condemned: the collector removes it, after its manifest. One storage request. */
async function isBeingCollected(storage: StorageDriver, key: Key): Promise<boolean> {
  const object = await readUnlessGone(storage, key);
  if (!object) return true;
  const entry = parseJson(object.bytes);
  return isJsonObject(entry) && parseCondemned(entry.condemned) !== undefined;
}

/** One storage request. */
export async function hasManifest(check: Check, repository: RepositoryName, digest: Digest): Promise<boolean> {
  const object = await check.storage.read(layout.manifest(repository, digest));
  return object !== undefined && !isGone(object.bytes);
}

async function checkTags(
  check: Check,
  tags: Tags,
  repository: RepositoryName,
  objects: readonly ObjectInfo[],
  manifests: DigestSet,
): Promise<void> {
  const hints = { manifests: manifests.size <= MAX_MATCHED ? [...manifests] : [] };
  const resolved = await tags.resolveObjects(repository, objects, hints);
  const targets = new Map(resolved.map(({ tag, target }) => [tag, target]));
  for (const object of objects) {
    const target = targets.get(tagOf(object.key));
    if (!target) {
      await checkBadTag(check, object);
      continue;
    }
    const hex = hexOf(target.digest);
    await check.holdings.add(target.imageId ?? hex, { kind: 'tag', repository, tag: tagOf(object.key) });
    if (manifests.has(target.digest)) continue;
    const { key } = object;
    if (target.imageId) await check.imageUsers.add(target.imageId, { repository, key, digest: target.digest });
    else await check.holdings.add(hex, { kind: 'dangling tag', repository, key });
  }
}

/** docker-registry stored the metadata of a tag `_x` as `tag_x_json`. */
async function checkBadTag(check: Check, { key }: ObjectInfo): Promise<void> {
  const object = await check.storage.read(key);
  if (!object || decodeTarget(new TextDecoder().decode(object.bytes))) return;
  if (layout.mayBeLegacyTagJson(key) && parseJson(object.bytes) !== undefined) return;
  await check.findings.add('bad-tag', key, `its ${object.bytes.length} bytes are no digest and no image id`);
}
