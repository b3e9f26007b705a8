// How long an image asks to be kept: an annotation of its manifest, or a label of its config.
// https://docs.redhat.com/en/documentation/red_hat_quay/3/html/use_red_hat_quay/working-with-tags#setting-tag-from-dockerfile

import { parseDuration } from '../../model/duration.ts';
import { isJsonObject, type JsonValue, parseJson } from '../../model/json.ts';
import { layout } from '../../model/layout.ts';
import { LruCache } from '../../model/lru-cache.ts';
import { MAX_INDEX_DEPTH, parseManifest } from '../../model/manifest.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';
import { MiB, readAll } from '../../streams/bytes.ts';
import type { Blobs } from '../blobs/blobs.ts';
import type { StoredManifests } from '../manifests/stored-manifests.ts';
import type { TagTarget } from '../tags/target.ts';

/** The first one that is there and is a duration decides. */
const NAMES = ['stowage.expires-after', 'quay.expires-after'];

/** The config of an artifact may be any blob. */
const MAX_CONFIG_BYTES = 4 * MiB;

/** Expiries that one process remembers: what a digest stands for never changes. */
const REMEMBERED = { max: 100_000 };

export class ImageExpiries {
  readonly #storage: StorageDriver;
  readonly #stored: StoredManifests;
  readonly #blobs: Blobs;
  readonly #remembered = new LruCache<Digest, { ms: number | undefined }>(REMEMBERED);

  constructor(storage: StorageDriver, { stored, blobs }: { stored: StoredManifests; blobs: Blobs }) {
    this.#storage = storage;
    this.#stored = stored;
    this.#blobs = blobs;
  }

  /**
   * How long the image asks to be kept. For an index without an annotation, the longest expiry of its children, if each has one.
   * Three storage requests for an image, unless it was read before; one for a v1 image beside that of its manifest.
   * @returns milliseconds; `undefined` if it does not say, or says something else than a duration (`never`)
   */
  async find(repository: RepositoryName, { digest, imageId }: TagTarget): Promise<number | undefined> {
    const ofManifest = await this.#ofManifest(repository, digest);
    if (ofManifest || !imageId) return ofManifest?.ms;
    const json = await this.#storage.read(layout.imageJson(imageId));
    return json && expiryOf(labelsOf(parseJson(json.bytes)));
  }

  /** Undefined if there is no manifest with this digest. */
  async #ofManifest(
    repository: RepositoryName,
    digest: Digest,
    depth = 0,
  ): Promise<{ ms: number | undefined } | undefined> {
    const remembered = this.#remembered.get(digest);
    if (remembered) return remembered;
    const manifest = depth > MAX_INDEX_DEPTH ? undefined : await this.#stored.find(repository, digest);
    if (!manifest) return undefined;
    const { annotations, config, manifests } = parseManifest(manifest.bytes);
    let ms = expiryOf(annotations);
    if (ms === undefined && config && config.sizeBytes <= MAX_CONFIG_BYTES) {
      const link = await this.#blobs.find(repository, config.digest);
      if (link) ms = expiryOf(labelsOf(parseJson(await readAll(await this.#blobs.read(link)))));
    }
    if (ms === undefined && !config) {
      const children = manifests.filter(({ isAttestation }) => !isAttestation);
      const ofChildren: (number | undefined)[] = [];
      for (const child of children) {
        ofChildren.push((await this.#ofManifest(repository, child.digest, depth + 1))?.ms);
      }
      const known = ofChildren.filter((expiry) => expiry !== undefined);
      if (known.length > 0 && known.length === children.length) ms = Math.max(...known);
    }
    this.#remembered.set(digest, { ms });
    return { ms };
  }
}

/** `config.Labels`, in the config of an image and in the JSON of a v1 image alike. */
function labelsOf(json: JsonValue | undefined): unknown {
  return isJsonObject(json) && isJsonObject(json.config) ? json.config.Labels : undefined;
}

function expiryOf(named: unknown): number | undefined {
  if (!isJsonObject(named)) return undefined;
  for (const name of NAMES) {
    const text = named[name];
    const milliseconds = typeof text === 'string' ? parseDuration(text) : undefined;
    if (milliseconds !== undefined && milliseconds > 0) return milliseconds;
  }
  return undefined;
}
