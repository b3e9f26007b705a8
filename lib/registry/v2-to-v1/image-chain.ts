// The images of a projection: one for each layer of a v2 image, each with the one below it as its parent. v2 images with the
// same base layers share the images of that base.
import { createHash } from 'node:crypto';
import { canonicalJson } from '../../model/canonical-json.ts';
import { isJsonObject, type JsonObject } from '../../model/json.ts';
import type { Descriptor } from '../../model/manifest.ts';
import type { Digest, ImageId } from '../../model/names.ts';
import { RFC_3339 } from '../v1-to-v2/image-config.ts';

/** One image of a projection. */
export type ProjectedImage = {
  id: ImageId;
  /** Its JSON without `created`, if it is below the top. */
  fields: JsonObject;
  /**
   * When the layer was made, for an image below the top whose history tells. Manifests that share the image may differ in it;
   * the projection record keeps that of the first.
   */
  created?: string;
  /** This image first, its base last. */
  ancestry: ImageId[];
  layer: Descriptor;
};

/** Fields that a v2 config and a v1 JSON have in common. */
const KEPT_FIELDS = [
  'architecture',
  'author',
  'comment',
  'config',
  'container',
  'container_config',
  'created',
  'docker_version',
  'os',
  'variant',
];

/**
 * Pure: the same arguments give the same images in every version of Stowage. Below the top, the ids determine everything but
 * `created`.
 * @param ids of the images, base first
 * @param config of the v2 image
 * @param layers one for each id
 */
export function projectChain(
  ids: readonly ImageId[],
  config: JsonObject,
  layers: readonly Descriptor[],
): ProjectedImage[] {
  const images: ProjectedImage[] = [];
  const times = layerTimes(config, layers.length);
  let ancestry: ImageId[] = [];
  for (const [index, layer] of layers.entries()) {
    const id = ids[index];
    if (id === undefined) throw new Error(`no id for layer ${layer.digest}`);
    const isTop = index === layers.length - 1;
    const parent = ancestry[0];
    ancestry = [id, ...ancestry];
    // Only the top gets the config, as in the v1 pushes of Docker 1.10 and newer.
    const fields = { ...(isTop ? keptFieldsOf(config) : {}), id, ...(parent && { parent }) };
    const created = isTop ? undefined : times[index];
    images.push({ id, fields, ancestry, layer, ...(created !== undefined && { created }) });
  }
  return images;
}

/** The JSON of an image for v1 clients. @param created of the projection record */
export function imageJson({ fields }: ProjectedImage, created: string | undefined): string {
  return canonicalJson({ ...(created !== undefined && { created }), ...fields });
}

/** When each layer was made, if the history has one entry for each. Times that Go cannot parse are left out. */
function layerTimes({ history }: JsonObject, layers: number): (string | undefined)[] {
  const entries = Array.isArray(history) ? history.filter(isJsonObject) : [];
  const ofLayers = entries.filter(({ empty_layer }) => empty_layer !== true);
  if (ofLayers.length !== layers) return [];
  return ofLayers.map(({ created }) => (typeof created === 'string' && RFC_3339.test(created) ? created : undefined));
}

function keptFieldsOf(config: JsonObject): JsonObject {
  return Object.fromEntries(KEPT_FIELDS.flatMap((name) => (config[name] == null ? [] : [[name, config[name]]])));
}

/**
 * The ids of a chain of layers, base first: equal chains have equal ids. They can be computed from the layer digests alone.
 * @param continuation makes the chain start above `parent`, with ids that also depend on the manifest, so that a client which
 *   cannot read that cannot compute them
 */
export function chainIds(
  layers: readonly Digest[],
  continuation?: { parent: ImageId | undefined; manifest: Uint8Array },
): ImageId[] {
  const ids: ImageId[] = [];
  for (const layer of layers) {
    const parent = ids.at(-1) ?? continuation?.parent;
    const hash = createHash('sha256').update(parent ? `${parent} ${layer}` : layer);
    if (continuation && ids.length === 0) hash.update('\n').update(continuation.manifest);
    ids.push(hash.digest('hex') as ImageId);
  }
  return ids;
}
