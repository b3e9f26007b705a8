// Level (c): one v1 image, by its cell. See `image-cell.ts` for the states.
import { layout } from '../../model/layout.ts';
import { type ObjectInfo, StorageUnavailableError } from '../../storage/driver.ts';
import { Look } from '../condemned/look.ts';
import {
  condemnImage,
  endRemoving,
  isLiveAsListed,
  type MarkedCell,
  makeLive,
  readImageCell,
  startRemoving,
} from '../v1-images/image-cell.ts';
import { saysProjection } from '../v1-images/projection-record.ts';
import { reportWaiting } from './condemn.ts';
import { reasonToKeepImage, type V1ImagesPolicy } from './image-reasons.ts';
import { isPartOfImage, type ListedImage } from './listed-images.ts';
import { type CollectorRun, isRipe } from './stage.ts';

/**
 * Condemns, revives or removes an image, or leaves it. No storage request for most images that are kept.
 * @returns whether it is there afterwards, or may be
 */
export async function collectImage(run: CollectorRun, image: ListedImage, v1Images: V1ImagesPolicy): Promise<boolean> {
  if (!isLiveAsListed(image.cell)) return await collectMarked(run, image, v1Images);
  await collectLive(run, image, v1Images);
  return true;
}

async function collectLive(run: CollectorRun, image: ListedImage, v1Images: V1ImagesPolicy): Promise<void> {
  const { id, cell, objects } = image;
  if (objects.length === 0) return;
  const reason = await reasonToKeepImage(run, image, v1Images);
  if (reason !== undefined) {
    run.report.kept('image', reason);
    return;
  }
  if (!(await condemnImage(run.storage, id, { state: 'live', ...(cell && { object: cell }) }, run.id))) return;
  run.report.did('condemn', 'image', layout.imageCell(id), { bytes: bytesOf(image), reason: 'nothing leads to it' });
}

async function collectMarked(run: CollectorRun, image: ListedImage, v1Images: V1ImagesPolicy): Promise<boolean> {
  const cell = await readImageCell(run.storage, image.id);
  if (cell.state === 'live') return true; // a writer has revived it since it was listed
  // A removal that has begun goes on even if a tag leads to the image now, since some of its objects are gone.
  const reason = cell.state === 'removing' ? undefined : await reasonToKeepImage(run, image, v1Images);
  if (reason !== undefined) {
    if (await makeLive(run.storage, image.id, cell)) {
      run.report.did('revive', 'image', layout.imageCell(image.id), { bytes: bytesOf(image), reason });
    }
  } else if (isRipe(run, cell.object.lastModified)) {
    return !(await removeImage(run, image, cell));
  } else reportWaiting(run, 'image');
  return true;
}

/**
 * Deletes the objects of an image, each once and without repetition: a DELETE that is repeated, or late, could meet an object of
 * a new push. Where one has no answer, the cell stays, and a run takes over the removal after the grace period.
 */
async function removeImage(run: CollectorRun, image: ListedImage, cell: MarkedCell): Promise<boolean> {
  const { storage, report } = run;
  const look = new Look(run.times);
  const removing = await startRemoving(storage, image.id, cell, run.id);
  if (!removing) return false; // a writer has revived the image, or another collector removes it
  try {
    for await (const { key, sizeBytes } of objectsInOrder(run, image)) {
      await storage.delete(key, { onceWithin: look });
      report.did('remove', 'image', key, {
        bytes: sizeBytes,
        reason: 'still nothing leads to it after the grace period',
      });
    }
    look.check();
  } catch (error) {
    if (!(error instanceof StorageUnavailableError)) throw error;
    report.problem(`image ${image.id} is removed in part, and a run after the grace period goes on: ${error.message}`);
    return false;
  }
  await endRemoving(storage, image.id, removing, { hasConditionalDeletes: run.hasConditionalDelete });
  return true;
}

/**
 * The JSON first, so that the image looks complete no longer, then the layer; `_inprogress` after both; the grants that describe a
 * projection and `view.json` last, since without them the rest of a projection would pass for a pushed image. They are the last
 * in the listing too, after the objects below `images/`.
 */
async function* objectsInOrder(
  { storage }: CollectorRun,
  { id, objects, hasMore }: ListedImage,
): AsyncGenerator<ObjectInfo> {
  const first = [layout.imageJson(id), layout.imageLayer(id)];
  const ends = new Map(objects.map((object) => [object.key, object]));
  const isLast = ({ key }: ObjectInfo) => key === layout.imageInProgress(id) || saysProjection(key);
  const isBetween = (object: ObjectInfo) => !first.includes(object.key) && !isLast(object);
  yield* first.flatMap((key) => ends.get(key) ?? []);
  yield* objects.filter(isBetween);
  yield* [layout.imageInProgress(id)].flatMap((key) => ends.get(key) ?? []);
  let record = ends.get(layout.projectionRecord(id));
  yield* objects.filter((object) => isLast(object) && object.key !== layout.imageInProgress(id) && object !== record);
  const after = objects.at(-1)?.key;
  if (hasMore && after !== undefined) {
    for await (const object of storage.list(layout.imageRecords(id), { after })) {
      if (object.key === layout.projectionRecord(id)) record = object;
      else if (isPartOfImage(object.key)) yield object;
    }
  }
  if (record) yield record;
}

function bytesOf({ objects }: ListedImage): number {
  return objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
