import { mediaTypeOfStored } from '../../model/manifest.ts';
import type { Digest, ImageId, Reference, RepositoryName, Tag } from '../../model/names.ts';
import type { Bytes } from '../../streams/bytes.ts';
import type { Reader } from '../condemned/revive-for-reader.ts';
import type { Tags } from '../tags/tags.ts';
import type { ResolvedTag } from '../tags/target.ts';
import { manifestUnknown } from './manifest-errors.ts';
import type { Manifest, StoredManifests } from './stored-manifests.ts';

/** How often a tag may move while it is read. */
const MAX_MOVES = 5;

/** Gives the conversion of a v1 image in a repository; `undefined` if there is no such image. */
export type ConvertImage = (
  repository: RepositoryName,
  id: ImageId,
) => Promise<{ digest: Digest; bytes: Bytes } | undefined>;

/** Manifests as clients pull them: by digest, and by tag. */
export class ManifestReads {
  readonly #tags: Tags;
  readonly #stored: StoredManifests;
  readonly #convert: ConvertImage;

  constructor(dependencies: { tags: Tags; stored: StoredManifests; convert: ConvertImage }) {
    this.#tags = dependencies.tags;
    this.#stored = dependencies.stored;
    this.#convert = dependencies.convert;
  }

  /**
   * By digest one storage request; by tag two, or one if the manifest was read before. One more for a condemned manifest that
   * becomes live because its reader may push. A tag that names a v1 image gives the conversion of that image.
   * @throws RegistryError MANIFEST_UNKNOWN
   */
  async get(repository: RepositoryName, reference: Reference, reader: Reader = {}): Promise<Manifest> {
    const manifest =
      'digest' in reference
        ? await this.#stored.find(repository, reference.digest, reader)
        : await this.#findByTag(repository, reference.tag, reader);
    if (!manifest) throw manifestUnknown(repository, reference);
    return manifest;
  }

  async #findByTag(repository: RepositoryName, tag: Tag, reader: Reader): Promise<Manifest | undefined> {
    let before: Digest | undefined;
    for (let moves = 0; moves < MAX_MOVES; moves++) {
      const resolved = await this.#tags.find(repository, tag);
      // The same target twice, and nothing stored for it: the tag has not moved, so nothing will be there.
      if (!resolved || resolved.target.digest === before) return undefined;
      const manifest = await this.findTarget(repository, resolved, reader);
      if (manifest) return manifest;
      before = resolved.target.digest;
    }
    return undefined;
  }

  /** What a tag names, as it was resolved. */
  async findTarget(
    repository: RepositoryName,
    { target }: ResolvedTag,
    reader?: Reader,
  ): Promise<Manifest | undefined> {
    const { digest, imageId } = target;
    const manifest = await this.#stored.findTagged(repository, digest, reader);
    if (manifest || !imageId) return manifest;
    const conversion = await this.#convert(repository, imageId);
    return conversion && { ...conversion, mediaType: mediaTypeOfStored(conversion.bytes) };
  }
}
