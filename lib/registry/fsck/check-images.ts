import { digestOfImageBlob, type Key, layout, parseImageRecord } from '../../model/layout.ts';
import { hexOf, type ImageId, isDigest, isImageId } from '../../model/names.ts';
import { type ObjectInfo, unchanged } from '../../storage/driver.ts';
import { encodeText } from '../../streams/bytes.ts';
import { nameOfDigest } from '../inventory/digest-folders.ts';
import { foldersInLockstep } from '../inventory/lockstep.ts';
import { joinWithSpill } from '../inventory/spill.ts';
import { readImageCell } from '../v1-images/image-cell.ts';
import { readLayerDescriptor } from '../v1-images/layers.ts';
import { findProjectionRecord, isTopProjection } from '../v1-images/projection-record.ts';
import type { Check, ImageUser } from './check.ts';
import { makeProjectionAgain, recordAsTorn } from './repairs.ts';

const NAMES = ['json', 'layer', 'ancestry', '_checksum', '_inprogress', '_files', '_diff'];

type ListedImage = {
  name: string;
  id: ImageId;
  /** The names below `images/<id>/`. */
  names: Map<string, ObjectInfo>;
  cell?: ObjectInfo;
  projection?: ObjectInfo;
  /** The newest grant that describes the projection. */
  description?: ObjectInfo;
  layerDescriptor?: ObjectInfo;
  hasMarker: boolean;
};

/** Checks v1 images, projections and the tags that name images. */
export async function checkImages(check: Check): Promise<void> {
  for await (const { name, group, records } of joinWithSpill(listImages(check), check.imageUsers)) {
    if (group && !(await isBeingRemoved(check, group))) await checkImage(check, group, records);
    if (records.length === 0 || (group?.names.has('json') && !(await isTop(check, group)))) continue;
    for (const { repository, key } of records) {
      await check.holdings.add(name, { kind: 'dangling tag', repository, key });
    }
  }
}

/** A tag never names a top projection in place of its manifest. */
async function isTop({ storage }: Check, { id, projection, description }: ListedImage): Promise<boolean> {
  return (projection ?? description) !== undefined && (await isTopProjection(storage, id));
}

async function* listImages(check: Check): AsyncGenerator<ListedImage> {
  const folders = foldersInLockstep(check.storage, {
    objects: layout.allImages(),
    records: layout.allImageRecords(),
    depth: 1,
    onStray: check.unknown,
  });
  for await (const { name, objects, records } of folders) {
    // The folder of a conversion's sources has the name of its manifest, which may have a SHA-512 digest.
    const image: ListedImage = { name, id: name as ImageId, names: new Map(), hasMarker: false };
    for await (const object of objects) {
      check.see(object);
      const rest = object.key.slice(`images/${name}/`.length);
      if (isImageId(name) && NAMES.includes(rest)) image.names.set(rest, object);
      else await check.unknown(object);
    }
    for await (const object of records) await takeRecord(check, check.see(object), image);
    if (isImageId(name)) yield image;
  }
}

const PLAIN_RECORD = /^oci\/images\/[^/]+\/(?:manifest\.json|sources\/[^/]+|pushes\/[^/]+\/[a-f0-9]+(?:\.[a-f0-9]+)?)$/;

async function takeRecord(check: Check, object: ObjectInfo, image: ListedImage): Promise<void> {
  const { key } = object;
  const { id } = image;
  if (key === layout.imageCell(id)) image.cell = object;
  else if (key === layout.projectionRecord(id)) image.projection = object;
  else if (key === layout.imageLayerDescriptor(id)) image.layerDescriptor = object;
  else if (digestOfImageBlob(key)) await takeMarker(check, object, image);
  else if (!PLAIN_RECORD.test(key)) {
    const record = parseImageRecord(key);
    if (!record) return await check.unknown(object);
    if (record.kind === 'outdated grant') {
      await check.findings.add('stale-grant', key, 'version 0.1.0 wrote it, and it gives no right');
    } else if (record.kind === 'grant') {
      const { repository, by, content } = record.grant;
      if (content && !image.description) {
        await check.digestUsers.add(nameOfDigest(content.layer), { kind: 'marker', image: id });
      }
      if (content && (!image.description || object.lastModified > image.description.lastModified)) {
        image.description = object;
      }
      if ('tag' in by) await check.holdings.add(by.top, { kind: 'grant', repository, tag: by.tag, key });
      else await check.holdings.add(hexOf(by[0]), { kind: 'grant', repository, key });
    }
  }
}

async function takeMarker(check: Check, object: ObjectInfo, image: ListedImage): Promise<void> {
  const digest = digestOfImageBlob(object.key);
  if (!digest || !isDigest(digest)) return await check.unknown(object);
  image.hasMarker = true;
  await check.digestUsers.add(nameOfDigest(digest), { kind: 'marker', image: image.id });
}

async function isBeingRemoved({ storage }: Check, { id, cell }: ListedImage): Promise<boolean> {
  return cell !== undefined && (await readImageCell(storage, id)).state === 'removing';
}

async function checkImage(check: Check, image: ListedImage, users: readonly ImageUser[]): Promise<void> {
  const { id, names, projection, description, layerDescriptor } = image;
  const inProgress = names.get('_inprogress');
  const key = (projection ? layout.projectionRecord(id) : layout.imageJson(id)) as Key;
  if (description && !projection) {
    await checkDescribed(check, image, description);
  } else if (inProgress) {
    if (check.isOld(inProgress))
      await check.findings.add('unfinished-push', inProgress.key, `image ${id} is not complete`);
  } else if (projection) {
    await checkProjection(check, image);
  } else if (names.has('json') || users.length > 0) {
    const missing = ['json', 'ancestry', 'layer'].filter((name) => !names.has(name));
    if (missing.length > 0) {
      const now = await Promise.all(missing.map((name) => check.storage.head(`images/${id}/${name}` as Key)));
      if (now.includes(undefined)) await check.findings.add('incomplete-image', key, `without ${missing.join(', ')}`);
    }
  }
  if (layerDescriptor && !image.hasMarker) await checkUnmarkedLayer(check, id);
}

/** A projection that grants describe. One that has been made a short time ago may lack its JSON. */
async function checkDescribed(check: Check, { id, names }: ListedImage, description: ObjectInfo): Promise<void> {
  if ((names.has('json') && names.has('ancestry')) || !check.isOld(description)) return;
  const keys = [layout.imageJson(id), layout.imageAncestry(id)];
  const found = await Promise.all([...keys, description.key].map((key) => check.storage.head(key)));
  const missing = keys.filter((_, index) => !found[index]);
  if (missing.length === 0 || !found.at(-1)) return;
  // The JSON is written last: without it the projection was interrupted, and a v1 pull makes it.
  if (!found[0]) {
    await check.findings.add('unfinished-projection', description.key, `without ${missing.join(', ')}`);
    return;
  }
  await check.findings.add('torn-projection', description.key, `without ${missing.join(', ')}`, {
    action: 'record that it is not made, so that the next v1 request makes it',
    run: () => recordAsTorn(check.storage, id, description.key),
  });
}

async function checkProjection(check: Check, { id, names, layerDescriptor }: ListedImage): Promise<void> {
  if (names.has('json') && names.has('ancestry') && layerDescriptor) return;
  const record = await findProjectionRecord(check.storage, id);
  if (!record?.isComplete) return; // it is being made, or will be
  const keys = [layout.imageJson(id), layout.imageAncestry(id), layout.imageLayerDescriptor(id)];
  const missing = (await Promise.all(keys.map((key) => check.storage.head(key)))).flatMap((info, index) =>
    info ? [] : [keys[index]],
  );
  if (missing.length === 0) return;
  await check.findings.add('torn-projection', layout.projectionRecord(id), `without ${missing.join(', ')}`, {
    action: 'record that it is not made, so that the next v1 request makes it',
    run: () => makeProjectionAgain(check.storage, id),
  });
}

/** The layer of an image needs a marker, unless its bytes are the image's own object. */
async function checkUnmarkedLayer(check: Check, id: ImageId): Promise<void> {
  const { storage } = check;
  const layer = await readLayerDescriptor(storage, id);
  if (!layer || layer.key === layout.imageLayer(id)) return;
  const marker = layout.imageBlob(id, layer.digest);
  if (await storage.head(marker)) return;
  await check.digestUsers.add(nameOfDigest(layer.digest), { kind: 'marker', image: id });
  const kind = check.isOfLayout1 ? 'old-layout' : 'missing-marker';
  await check.findings.add(kind, layout.imageLayerDescriptor(id), `there is no ${marker}`, {
    action: `write ${marker}`,
    run: async () => (await storage.put(marker, encodeText(''), unchanged(undefined))) !== undefined,
  });
}
