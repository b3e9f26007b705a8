// A bucket that docker-registry wrote, generated. Each tag names an image of its own, on two more and a base image that it shares.
import { layout } from '../../lib/model/layout.ts';
import type { ImageId, Tag } from '../../lib/model/names.ts';
import { pythonJson } from '../../lib/model/python-json.ts';
import { filled, kept, Sections, type SyntheticObject, text } from './sections.ts';
import { AscendingHex, coprimeStep } from './spread.ts';
import { repositoryName } from './synthetic-bucket.ts';

export type OldBucketSize = { repositories: number; tagsPerRepository: number };

const MAX_BASE_IMAGES = 100;
const IMAGES_PER_TAG = 3;
const REPOSITORIES_PER_NAMESPACE = 1000;
const LAYER_BYTES = 1000;

export class OldBucket extends Sections {
  readonly contents: Record<string, number>;

  constructor({ repositories, tagsPerRepository }: OldBucketSize) {
    const tagCount = repositories * tagsPerRepository;
    const baseCount = Math.min(MAX_BASE_IMAGES, repositories);
    const imageCount = baseCount + tagCount * IMAGES_PER_TAG;
    const hex = new AscendingHex(1);
    const step = coprimeStep(imageCount);
    const inverse = inverseOf(step, imageCount);
    const idAt = (position: number) => hex.at(position, imageCount, 64) as ImageId;
    const idOf = (image: number) => idAt((image * step) % imageCount);

    /** The image and those below it, by their numbers. Base images come first, then those of each tag, the lowest first. */
    const chainOf = (image: number): number[] => {
      if (image < baseCount) return [image];
      const tag = Math.floor((image - baseCount) / IMAGES_PER_TAG);
      const lowest = baseCount + tag * IMAGES_PER_TAG;
      const own = Array.from({ length: image - lowest + 1 }, (_, at) => image - at);
      return [...own, Math.floor(tag / tagsPerRepository) % baseCount];
    };
    const topOf = (tag: number) => idOf(baseCount + tag * IMAGES_PER_TAG + IMAGES_PER_TAG - 1);
    const imageObjects = (position: number): SyntheticObject[] => {
      const id = idAt(position);
      const ancestry = chainOf(Number((BigInt(position) * inverse) % BigInt(imageCount))).map(idOf);
      const [, parent] = ancestry;
      return [
        text(layout.imageAncestry(id), pythonJson(ancestry)),
        text(layout.imageJson(id), JSON.stringify({ id, ...(parent && { parent }) })),
        filled(layout.imageLayer(id), LAYER_BYTES),
      ];
    };
    const tags = new Map<number, SyntheticObject[]>();
    const tagObjects = (repository: number): SyntheticObject[] => {
      const numbers = Array.from({ length: tagsPerRepository }, (_, at) => repository * tagsPerRepository + at);
      const name = repositoryName(repository, REPOSITORIES_PER_NAMESPACE);
      const images = numbers.flatMap((tag) => chainOf(baseCount + tag * IMAGES_PER_TAG + IMAGES_PER_TAG - 1).map(idOf));
      return [
        text(layout.indexImages(name), pythonJson([...new Set(images)].map((id) => ({ id })))),
        ...numbers.map((tag, at) => text(layout.tag(name, `v${String(at).padStart(7, '0')}` as Tag), topOf(tag))),
      ];
    };
    super([
      { count: imageCount, start: (at) => `${layout.allImages()}${idAt(at)}/`, objects: imageObjects },
      {
        count: repositories,
        start: (at) => layout.repository(repositoryName(at, REPOSITORIES_PER_NAMESPACE)),
        objects: (at) => kept(tags, at, () => tagObjects(at)),
      },
    ]);
    this.contents = { repositories, tags: tagCount, 'v1 images': imageCount };
  }
}

/** The number that undoes a multiplication by `step`, modulo `count`. */
function inverseOf(step: number, count: number): bigint {
  const modulus = BigInt(count);
  let [old, next] = [BigInt(step), modulus];
  let [inverse, nextInverse] = [1n, 0n];
  while (next !== 0n) {
    const quotient = old / next;
    [old, next] = [next, old - quotient * next];
    [inverse, nextInverse] = [nextInverse, inverse - quotient * nextInverse];
  }
  return ((inverse % modulus) + modulus) % modulus;
}
