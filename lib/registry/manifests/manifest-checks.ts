import { mapConcurrently } from '../../concurrency/map-concurrently.ts';
import { Slots } from '../../concurrency/slots.ts';
import type { Descriptor, ManifestDocument } from '../../model/manifest.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import type { Blobs } from '../blobs/blobs.ts';
import type { BlobLink } from '../blobs/link.ts';
import type { Look } from '../condemned/look.ts';
import { immutableTag } from '../tags/tags.ts';
import type { ImmutableImageTags } from '../v1-images/immutable-image-tags.ts';
import { manifestBlobUnknown, wrongSize } from './manifest-errors.ts';
import type { StoredManifests } from './stored-manifests.ts';

/** Checks of all manifests that are being put to this process: further ones wait, and no other request waits for them. */
const CHECKS_AT_ONCE = 64;

/** Whether the manifests that an index lists have to be in its repository. */
export type IndexChildren = 'required' | 'optional';

export type ManifestChecksOptions = { indexChildren?: IndexChildren };

/** What must be true before a manifest is stored. */
export class ManifestChecks {
  readonly #blobs: Blobs;
  readonly #stored: StoredManifests;
  readonly #immutableImageTags: ImmutableImageTags;
  readonly #indexChildren: IndexChildren;
  readonly #slots = new Slots({ atOnce: CHECKS_AT_ONCE });

  constructor(
    dependencies: { blobs: Blobs; stored: StoredManifests; immutableImageTags: ImmutableImageTags },
    { indexChildren = 'required' }: ManifestChecksOptions = {},
  ) {
    this.#blobs = dependencies.blobs;
    this.#stored = dependencies.stored;
    this.#immutableImageTags = dependencies.immutableImageTags;
    this.#indexChildren = indexChildren;
  }

  /**
   * Checks that the repository holds each blob and child, in the size that the manifest says, and that no immutable tag points
   * to a v1 image with this digest, which the manifest would replace. Blobs and children that are condemned are live
   * afterwards. One storage request for each blob and child, side by side, and three where tags may be immutable.
   * @param options.caller callers take turns
   * @param options.look which began before this call. The manifest is put while it is valid
   * @returns the links of the blobs
   * @throws RegistryError MANIFEST_BLOB_UNKNOWN, MANIFEST_INVALID, DENIED
   * @throws StorageUnavailableError if the look has expired
   */
  async check(
    repository: RepositoryName,
    digest: Digest,
    { blobs, manifests }: ManifestDocument,
    { caller, look }: { caller: string; look: Look },
  ): Promise<Map<Digest, BlobLink>> {
    const links = new Map<Digest, BlobLink>();
    const checks = [
      ...distinct(blobs).map((blob) => async () => {
        links.set(blob.digest, await this.#checkBlob(repository, blob, look));
      }),
      ...distinct(manifests).map((child) => () => this.#checkChild(repository, child, look)),
      () => this.#checkImmutable(repository, digest),
    ];
    await mapConcurrently(checks, (check) => this.#slots.run(check, caller));
    return links;
  }

  async #checkBlob(repository: RepositoryName, { digest, sizeBytes }: Descriptor, look: Look): Promise<BlobLink> {
    const link = await this.#blobs.lookAt(repository, digest, look);
    if (!link) throw manifestBlobUnknown(repository, digest);
    checkSize(digest, sizeBytes, link.sizeBytes);
    return link;
  }

  async #checkChild(repository: RepositoryName, child: Descriptor, look: Look): Promise<void> {
    const storedBytes = await this.#stored.lookAtSize(repository, child, look);
    if (storedBytes !== undefined) checkSize(child.digest, child.sizeBytes, storedBytes);
    else if (this.#indexChildren === 'required') throw manifestBlobUnknown(repository, child.digest);
  }

  async #checkImmutable(repository: RepositoryName, digest: Digest): Promise<void> {
    const tag = await this.#immutableImageTags.findImmutableTagFor(repository, digest);
    if (tag) throw immutableTag(repository, tag);
  }
}

/** Each descriptor once, however often the manifest lists it. */
export function distinct(descriptors: readonly Descriptor[]): Descriptor[] {
  return [...new Map(descriptors.map((item) => [`${item.digest} ${item.sizeBytes}`, item])).values()];
}

function checkSize(digest: Digest, inManifest: number, stored: number): void {
  if (inManifest !== stored) throw wrongSize(digest, inManifest, stored);
}
