// Converts the images of a bucket that docker-registry wrote, ahead of the first v2 pull. Each result is stored at once, so an
// interrupted run can be repeated, and a run beside a serving registry stores nothing that a v2 pull would not. It only adds
// objects: those that docker-registry wrote stay as they are.

import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import type { ImageId, RepositoryName } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import { hasManifest } from '../condemned/read-manifest.ts';
import { Spill } from '../inventory/spill.ts';
import type { Catalog } from '../repositories/catalog.ts';
import type { Tags } from '../tags/tags.ts';
import type { ResolvedTag } from '../tags/target.ts';
import type { ImageGrants } from '../v1-images/grants.ts';
import type { Images } from '../v1-images/images.ts';
import type { ImageLayers } from '../v1-images/layers.ts';
import type { ImageConversions } from '../v1-to-v2/convert-image.ts';
import { AdoptionPlan, type ImageTag, partitionsOf } from './adoption-plan.ts';
import { listTwiceQuoted, type TwiceQuotedObject } from './twice-quoted-objects.ts';

type FoundTag = ImageTag & { id: ImageId };

/** Their tags are in memory together. */
const REPOSITORIES_AT_ONCE = 64;

/** `what`: `layer of image <id>` or `<repository>:<tag>`. */
export type AdoptionFailure = { what: string; error: Error };

export type AdoptionOptions = {
  /** How many layers are read side by side. */
  layersAtOnce: number;
  /** Called with the size of each chunk that was read. */
  onBytes?: (sizeBytes: number) => void;
};

export class Adoption {
  readonly #storage: StorageDriver;
  readonly #catalog: Catalog;
  readonly #tags: Tags;
  readonly #images: Images;
  readonly #layers: ImageLayers;
  readonly #conversions: ImageConversions;
  readonly #grants: ImageGrants;

  constructor(
    storage: StorageDriver,
    dependencies: {
      catalog: Catalog;
      tags: Tags;
      images: Images;
      layers: ImageLayers;
      conversions: ImageConversions;
      grants: ImageGrants;
    },
  ) {
    this.#storage = storage;
    this.#catalog = dependencies.catalog;
    this.#tags = dependencies.tags;
    this.#images = dependencies.images;
    this.#layers = dependencies.layers;
    this.#conversions = dependencies.conversions;
    this.#grants = dependencies.grants;
  }

  /**
   * Objects under twice-quoted keys without a copy under the once-quoted key. One storage request for each, and those of
   * `listTwiceQuoted`.
   */
  async findTwiceQuoted(): Promise<TwiceQuotedObject[]> {
    const found: TwiceQuotedObject[] = [];
    for await (const object of listTwiceQuoted(this.#storage)) {
      if (!(await this.#storage.head(object.to))) found.push(object);
    }
    return found;
  }

  /** Copies objects to their once-quoted keys. An object that is there already stays. Two storage requests for each. */
  async copyTwiceQuoted(twiceQuoted: readonly TwiceQuotedObject[]): Promise<void> {
    await mapConcurrently(twiceQuoted, async ({ from, to }) => {
      const object = await this.#storage.read(from);
      if (object) await this.#storage.put(to, object.bytes, { ifAbsent: true });
    });
  }

  /**
   * What `run` will do, for the caller to close. Reads no layer. Storage requests: those of `Catalog.all` and `Tags.resolveAll`,
   * one for each tag and each image that a tag names, two for each image.
   * @param only repositories to adopt; all if empty
   * @param onTag called with each tag of a v1 image
   */
  async plan(only: readonly RepositoryName[] = [], onTag: (tag: ImageTag) => void = () => {}): Promise<AdoptionPlan> {
    const plan = new AdoptionPlan();
    const images = new Spill<null>();
    try {
      const repositories = only.length > 0 ? [...only] : await this.#catalog.all();
      plan.repositoryCount = repositories.length;
      await this.#findTags(repositories, plan, onTag);
      for await (const tops of partitionsOf(plan.tags)) {
        const chains = await mapConcurrently(tops, async ({ id }) => (await this.#images.findAncestry(id)) ?? []);
        for (const id of new Set(chains.flat())) await images.add(id, null);
      }
      for await (const partition of partitionsOf(images)) {
        plan.imageCount += partition.length;
        const found = await mapConcurrently(partition, async ({ id }) => await this.#layers.unreadBytes(id));
        for (const [index, { id }] of partition.entries()) {
          const sizeBytes = found[index];
          if (sizeBytes === undefined) continue;
          plan.unreadCount++;
          plan.unreadBytes += sizeBytes;
          await plan.unread.add(id, { sizeBytes });
        }
      }
      return plan;
    } catch (error) {
      await plan.close();
      throw error;
    } finally {
      await images.close();
    }
  }

  async #findTags(
    repositories: readonly RepositoryName[],
    plan: AdoptionPlan,
    onTag: (tag: ImageTag) => void,
  ): Promise<void> {
    for (let at = 0; at < repositories.length; at += REPOSITORIES_AT_ONCE) {
      const some = repositories.slice(at, at + REPOSITORIES_AT_ONCE);
      const found = await mapConcurrently(some, (repository) => this.#imageTags(repository));
      for (const { id, ...tag } of found.flat()) {
        plan.tagCount++;
        onTag(tag);
        await plan.tags.add(id, tag);
      }
    }
  }

  async #imageTags(repository: RepositoryName): Promise<FoundTag[]> {
    const tags = await this.#tags.resolveAll(repository);
    return (await mapConcurrently(tags, (tag) => this.#asImageTag(repository, tag))).flat();
  }

  async #asImageTag(repository: RepositoryName, { tag, target }: ResolvedTag): Promise<FoundTag[]> {
    const isManifest = await hasManifest(this.#storage, repository, target.digest);
    return isManifest || !target.imageId ? [] : [{ repository, tag, id: target.imageId }];
  }

  /** Reads the layers and converts the images of the tags. A failure does not stop the others. @returns the failures */
  async run({ unread, tags }: AdoptionPlan, options: AdoptionOptions): Promise<AdoptionFailure[]> {
    const { layersAtOnce, onBytes } = options;
    const failures: AdoptionFailure[] = [];
    const attempt = async (what: string, task: () => Promise<void>) => {
      try {
        await task();
      } catch (error) {
        failures.push({ what, error: error instanceof Error ? error : new Error(String(error)) });
      }
    };
    const readLayer = ({ id }: { id: ImageId }) =>
      attempt(`layer of image ${id}`, async () => void (await this.#layers.describe(id, onBytes)));
    for await (const layers of partitionsOf(unread)) await mapConcurrently(layers, readLayer, layersAtOnce);
    for await (const partition of partitionsOf(tags)) {
      const found = partition.flatMap(({ id, records }) => records.map((tag) => ({ ...tag, id })));
      await mapConcurrently(found, (tag) => attempt(`${tag.repository}:${tag.tag}`, () => this.#adoptTag(tag)));
    }
    return failures;
  }

  async #adoptTag({ repository, tag, id }: FoundTag): Promise<void> {
    const [manifest, ancestry] = await Promise.all([
      this.#conversions.convert(repository, id),
      this.#images.findAncestry(id),
    ]);
    const images = (ancestry ?? [id]).map((image) => ({ id: image, imageKind: 'pushed' as const }));
    await this.#grants.grantByTag(repository, { tag, top: id }, images);
    if (!manifest)
      throw new Error(
        `image ${id} is not complete: the image, a layer or an ancestor is missing, being pushed, or a projection that ${repository} has no grant to`,
      );
  }
}
