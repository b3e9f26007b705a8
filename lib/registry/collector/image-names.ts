// Why v1 images are kept, as names in the filter `keptImages`: ids, and the pairs by which a grant is valid.
import type { Grant } from '../../model/layout.ts';
import {
  algorithmOf,
  type Digest,
  hexOf,
  type ImageId,
  type RepositoryName,
  sha256Digest,
  type Tag,
} from '../../model/names.ts';
import type { BloomFilter } from './bloom-filter.ts';

type Held = { manifest: Digest } | { tag: Tag; image: ImageId };

function nameOf(repository: RepositoryName, held: Held): string {
  return 'manifest' in held ? `${repository} ${hexOf(held.manifest)}` : `${repository} ${held.tag} ${held.image}`;
}

/** A manifest is in the repository, live or condemned: its top projection, and grants by it, are kept. */
export function keepProjectionOf(keptImages: BloomFilter, repository: RepositoryName, manifest: Digest): void {
  if (algorithmOf(manifest) === 'sha256') keptImages.add(hexOf(manifest));
  keptImages.add(nameOf(repository, { manifest }));
}

/** A tag names the image now, or did so within the undo window: the image, and grants by the tag, are kept. */
export function keepTaggedImage(keptImages: BloomFilter, repository: RepositoryName, tag: Tag, image: ImageId): void {
  keptImages.add(image);
  keptImages.add(nameOf(repository, { tag, image }));
}

/** What a tag of the repository names is not known: all grants of the repository are kept. */
export function keepAllGrants(keptImages: BloomFilter, repository: RepositoryName): void {
  keptImages.add(`${repository} unknown`);
}

/** Whether the repository still holds what gave the grant, or may hold it. */
export function isGrantValid(keptImages: BloomFilter, { repository, by }: Grant): boolean {
  if (keptImages.has(`${repository} unknown`)) return true;
  if (!Array.isArray(by)) return keptImages.has(nameOf(repository, { tag: by.tag, image: by.top }));
  return by.every((manifest) => keptImages.has(nameOf(repository, { manifest })));
}

/** Whether the grant is by the manifest of which this is the top projection. */
export function isByOwnManifest({ by }: Grant, id: ImageId): boolean {
  return Array.isArray(by) && by[0] === sha256Digest(id);
}
