// Level (c) of the collector: v1 images. The first pass finds what images keep others: an image keeps its ancestors, and its
// layer if a link names it. The second condemns, revives and removes images by their cells, deletes what is left beside them, and
// notes the layers of those that are left: only then, so that the first tells links apart from what images name.
import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { isJsonObject, type JsonValue, parseJson } from '../../model/json.ts';
import { type Grant, layout } from '../../model/layout.ts';
import { type ImageId, isImageId } from '../../model/names.ts';
import { StorageDeniedError, StorageFullError, StorageUnavailableError } from '../../storage/driver.ts';
import { decodeAncestry } from '../v1-images/images.ts';
import { findProjectionRecord } from '../v1-images/projection-record.ts';
import { collectImage } from './collect-image.ts';
import { deleteStaleGrants, deleteStaleSources } from './collect-image-records.ts';
import { isByOwnManifest, isGrantValid } from './image-names.ts';
import { isLayerLinked, type V1ImagesPolicy } from './image-reasons.ts';
import { addImageReferences } from './image-references.ts';
import { type ListedImage, listImages } from './listed-images.ts';
import { type CollectorRun, isOlderThan, type Stage } from './stage.ts';

/** How many images are worked on between two checkpoints; their requests are sent side by side. */
const BATCH = 256;

const PASSES = ['keep', 'collect'] as const;
type Pass = (typeof PASSES)[number];

/**
 * Adds the ancestors of images that stay to `keptImages`, and the digests of all layers to `linkedDigests`. It comes after
 * the stage that fills both from the repositories, and before the one that removes bytes.
 */
export class ImagesStage implements Stage {
  readonly name = 'images';
  readonly #v1Images: V1ImagesPolicy;

  /** @param options.v1Images default `keep` */
  constructor({ v1Images = 'keep' }: { v1Images?: V1ImagesPolicy } = {}) {
    this.#v1Images = v1Images;
  }

  async run(run: CollectorRun, cursor: string | undefined): Promise<void> {
    const [pass = PASSES[0], after] = (cursor?.split(' ') ?? []) as [Pass?, ImageId?];
    for (const next of PASSES.slice(PASSES.indexOf(pass))) {
      await this.#runPass(run, next, next === pass ? after : undefined);
    }
  }

  async #runPass(run: CollectorRun, pass: Pass, after: ImageId | undefined): Promise<void> {
    const { keptImages } = run.filters;
    const listing = listImages(run.storage, {
      after,
      isValid: (grant: Grant) => isGrantValid(keptImages, grant),
      isOwn: isByOwnManifest,
      ...(pass === 'collect' && { onUnknown: (key) => run.report.unknown(key) }),
    });
    let batch: ListedImage[] = [];
    const work = async () => {
      await mapConcurrently(batch, (image) =>
        pass === 'keep' ? this.#keepOthers(run, image) : this.#collect(run, image),
      );
      const last = batch.at(-1);
      batch = [];
      if (last) await run.checkpoint(`${pass} ${last.id}`);
    };
    for await (const image of listing) {
      batch.push(image);
      if (batch.length === BATCH) await work();
    }
    await work();
  }

  /**
   * No storage request for an image with a valid grant, since each image that it keeps has such a grant too; else one. A top
   * projection without a grant by its manifest is one that was made and not granted yet.
   */
  async #keepOthers(run: CollectorRun, image: ListedImage): Promise<void> {
    const { keptImages } = run.filters;
    const { id } = image;
    if (!this.#stays(run, image)) {
      if (await isLayerLinked(run, image)) keptImages.add(id);
    } else if (image.isThere && !image.isProjection) {
      keptImages.add(id);
      if (!image.hasValidGrant && image.hasAncestry) {
        for (const ancestor of await readAncestry(run, id)) keptImages.add(ancestor);
      }
    } else if (image.hasRecord && !image.hasOwnGrant && keptImages.has(id)) {
      const record = await findProjectionRecord(run.storage, id);
      for (const below of record?.idsBelowTop ?? []) keptImages.add(below);
    }
  }

  /** Whether the image stays, as far as the listing tells, so that it keeps others. */
  #stays(run: CollectorRun, image: ListedImage): boolean {
    if (image.hasValidGrant || run.filters.keptImages.has(image.id)) return true;
    if (!isOlderThan(run, image.newestAt, run.times.graceMs)) return true;
    return image.isThere && !image.isProjection && this.#v1Images === 'keep';
  }

  async #collect(run: CollectorRun, image: ListedImage): Promise<void> {
    run.report.listed(image.objects.length);
    try {
      const isLeft = await collectImage(run, image, this.#v1Images);
      if (isLeft) await addImageReferences(run, image);
      await deleteStaleGrants(run, image);
      await deleteStaleSources(run, image);
    } catch (error) {
      if (isOfStorage(error)) throw error; // the run goes on from its last checkpoint once storage answers
      await addImageReferences(run, image);
      // A damaged image must not keep the others from being collected.
      run.report.problem(`image ${image.id}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** Whether storage failed, and not this image alone. */
function isOfStorage(error: unknown): boolean {
  return [StorageUnavailableError, StorageDeniedError, StorageFullError].some((type) => error instanceof type);
}

/** The ids of an image and its ancestors. One storage request, and one for each of them where the ancestry is damaged. */
async function readAncestry(run: CollectorRun, id: ImageId): Promise<ImageId[]> {
  const object = await run.storage.read(layout.imageAncestry(id));
  const ancestry = object ? decodeAncestry(object.bytes) : [];
  if (ancestry) return ancestry;
  run.report.problem(`${layout.imageAncestry(id)} is not an ancestry`);
  return await followParents(run, id);
}

/** The ids of an image and its ancestors, as their JSON documents name their parents. */
async function followParents({ storage }: CollectorRun, id: ImageId): Promise<ImageId[]> {
  const ids = new Set<ImageId>();
  for (let next: JsonValue | undefined = id; isImageId(next) && !ids.has(next); ) {
    ids.add(next);
    const json: JsonValue | undefined = parseJson(
      (await storage.read(layout.imageJson(next)))?.bytes ?? new Uint8Array(),
    );
    next = isJsonObject(json) ? json.parent : undefined;
  }
  return [...ids];
}
