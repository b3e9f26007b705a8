import { type Key, layout, parseImageReference } from '../../model/layout.ts';
import type { Digest, ImageId } from '../../model/names.ts';
import { readLayerDescriptor } from '../v1-images/layers.ts';
import type { CollectorRun, Stage } from './stage.ts';

/**
 * Adds to `linkedDigests` the blobs that descriptors of v1 layers name, after the images that go have gone. A descriptor of
 * version 0.1.0 has no marker of its blob and is read.
 */
export class ImageReferencesStage implements Stage {
  readonly name = 'image references';

  async run(run: CollectorRun, cursor: string | undefined): Promise<void> {
    let marked: ImageId | undefined;
    for await (const { key } of run.storage.list(
      layout.allImageRecords(),
      cursor === undefined ? {} : { after: cursor as Key },
    )) {
      run.report.listed();
      const found = parseImageReference(key);
      if (!found) continue;
      const { id, digest } = found;
      if (digest !== undefined) {
        marked = id; // `blobs/` comes before `layer.json`
        await this.#add(run, digest, id);
      } else if (marked !== id) {
        const descriptor = await readLayerDescriptor(run.storage, id);
        if (descriptor) await this.#add(run, descriptor.digest, id);
      }
      if (digest === undefined) await run.checkpoint(key);
    }
  }

  async #add(run: CollectorRun, digest: Digest, id: ImageId): Promise<void> {
    run.filters.linkedDigests.add(digest);
    if (!run.copies.isWanted(digest)) return;
    const descriptor = await readLayerDescriptor(run.storage, id);
    if (descriptor?.digest !== digest) return; // the marker of a descriptor that was never written, or was replaced
    run.copies.addLink(digest, layout.imageLayerDescriptor(id), {
      bytesKey: descriptor.key,
      sizeBytes: descriptor.sizeBytes,
    });
  }
}
