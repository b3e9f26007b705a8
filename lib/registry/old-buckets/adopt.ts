// Makes an old bucket ready for v2 ahead of time: all that a v2 client's first request would do, for every image.
// Each result is kept as it comes, so a run that broke off goes on where it was, and a run beside a serving registry does
// no more than that would have done. No object below `images/` or `repositories/` is changed.

import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { layout } from '../../model/layout.ts';
import type { ImageId, RepositoryName, Tag } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import type { Catalog } from '../repositories/catalog.ts';
import type { Tags } from '../tags/tags.ts';
import type { ResolvedTag } from '../tags/target.ts';
import type { ImageGrants } from '../v1-images/grants.ts';
import type { Images } from '../v1-images/images.ts';
import type { ImageLayers } from '../v1-images/layers.ts';
import type { ImageConversions } from '../v1-to-v2/convert-image.ts';
import { listTwiceQuoted, type TwiceQuotedObject } from './twice-quoted-objects.ts';

/** A tag that names a v1 image. */
type ImageTag = { repository: RepositoryName; tag: Tag; id: ImageId };

export type AdoptionPlan = {
  repositories: RepositoryName[];
  tags: ImageTag[];
  /** Every image of every chain, once. */
  images: ImageId[];
  /** Those of the images whose layer nobody has read yet, and how much that is. */
  unread: { id: ImageId; sizeBytes: number }[];
};

export type AdoptionFailure = { what: string; error: Error };

export type AdoptionOptions = {
  /** How many layers are read side by side. */
  layersAtOnce: number;
  /** Is told of each piece that was read. */
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

  /** What docker-registry 0.9 quoted twice and is not yet there under its one name. */
  async findTwiceQuoted(): Promise<TwiceQuotedObject[]> {
    const found: TwiceQuotedObject[] = [];
    for await (const object of listTwiceQuoted(this.#storage)) {
      if (!(await this.#storage.head(object.to))) found.push(object);
    }
    return found;
  }

  /** Copies those objects to the names under which they are looked for; what is there already stays. */
  async copyTwiceQuoted(twiceQuoted: readonly TwiceQuotedObject[]): Promise<void> {
    await mapConcurrently(twiceQuoted, async ({ from, to }) => {
      const object = await this.#storage.read(from);
      if (object) await this.#storage.put(to, object.bytes, { ifAbsent: true });
    });
  }

  /** Looks at the given repositories, or at all. Reads no layer. */
  async plan(only: readonly RepositoryName[] = []): Promise<AdoptionPlan> {
    const repositories = only.length > 0 ? [...only] : await this.#catalog.all();
    const tags = (await mapConcurrently(repositories, (repository) => this.#imageTags(repository))).flat();
    const tops = [...new Set(tags.map(({ id }) => id))];
    const chains = await mapConcurrently(tops, async (id) => (await this.#images.findAncestry(id)) ?? []);
    const images = [...new Set(chains.flat())];
    const unread = await mapConcurrently(images, async (id) => {
      const sizeBytes = await this.#layers.unreadBytes(id);
      return sizeBytes === undefined ? [] : [{ id, sizeBytes }];
    });
    return { repositories, tags, images, unread: unread.flat() };
  }

  async #imageTags(repository: RepositoryName): Promise<ImageTag[]> {
    const tags = await this.#tags.resolveAll(repository);
    return (await mapConcurrently(tags, (tag) => this.#asImageTag(repository, tag))).flat();
  }

  async #asImageTag(repository: RepositoryName, { tag, target }: ResolvedTag): Promise<ImageTag[]> {
    const isManifest = await this.#storage.head(layout.manifest(repository, target.digest));
    return isManifest || !target.imageId ? [] : [{ repository, tag, id: target.imageId }];
  }

  /** Does it all, whatever fails in between. */
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
    await mapConcurrently(unread, readLayer, layersAtOnce);
    await mapConcurrently(tags, (tag) => attempt(`${tag.repository}:${tag.tag}`, () => this.#adoptTag(tag)));
    return failures;
  }

  async #adoptTag({ repository, tag, id }: ImageTag): Promise<void> {
    const [manifest, ancestry] = await Promise.all([
      this.#conversions.convert(repository, id),
      this.#images.findAncestry(id),
    ]);
    const images = (ancestry ?? [id]).map((image) => ({ id: image, imageKind: 'pushed' as const }));
    await this.#grants.grantByTag(repository, { tag, top: id }, images);
    if (!manifest)
      throw new Error(
        `image ${id} is not complete: it, a layer or an ancestor is missing, being pushed, or of another repository's manifest`,
      );
  }
}
