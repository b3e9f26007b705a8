// How a v2 image looks to v1: a chain of images with one layer each. Images with the same base layers share the images of
// that base.
import { createHash } from 'node:crypto';
import { canonicalJson } from '../../model/canonical-json.ts';
import { isJsonObject, type JsonObject } from '../../model/json.ts';
import { type Descriptor, type IndexChild, type ManifestDocument, MEDIA_TYPES } from '../../model/manifest.ts';
import type { Digest, ImageId } from '../../model/names.ts';
import { RFC_3339 } from '../v1-to-v2/image-config.ts';

/** One image of the chain. */
export type ProjectedImage = {
  id: ImageId;
  /** What its JSON says, but for `created` of an image below the top. */
  fields: JsonObject;
  /** Of an image below the top, if the history tells. Images that share one may tell different times: the first one counts. */
  created?: string;
  /** This image first, its base last. */
  ancestry: ImageId[];
  layer: Descriptor;
};

/** Fields of a v2 config that a v1 JSON has as well. */
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
 * Pure: the same ids give the same images for ever, but for `created` below the top, of which the ids say nothing.
 * @param ids of the images, base first
 * @param layers as many
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
    // Docker 1.10 and newer sent as little for images below the top. What depends on the image that they were first made of,
    // the time, is kept with their mark, so that it is the same for all that share them.
    const fields = { ...(isTop ? topOf(config) : {}), id, ...(parent && { parent }) };
    const created = isTop ? undefined : times[index];
    images.push({ id, fields, ancestry, layer, ...(created !== undefined && { created }) });
  }
  return images;
}

/** The JSON of an image, as a v1 client gets it. @param created as it was kept when the image was first made */
export function jsonOf({ fields }: ProjectedImage, created: string | undefined): string {
  return canonicalJson({ ...(created !== undefined && { created }), ...fields });
}

/** When each layer was made, if the history has an entry for each; none where Go could not read the time. */
function layerTimes({ history }: JsonObject, layers: number): (string | undefined)[] {
  const entries = Array.isArray(history) ? history.filter(isJsonObject) : [];
  const ofLayers = entries.filter(({ empty_layer }) => empty_layer !== true);
  if (ofLayers.length !== layers) return [];
  return ofLayers.map(({ created }) => (typeof created === 'string' && RFC_3339.test(created) ? created : undefined));
}

function topOf(config: JsonObject): JsonObject {
  return Object.fromEntries(KEPT_FIELDS.flatMap((name) => (config[name] == null ? [] : [[name, config[name]]])));
}

/**
 * The ids of a chain of layers, base first: equal for equal chains.
 * @param above a chain that this one goes on with, in a way that nobody knows beforehand who cannot read the manifest
 */
export function chainIds(
  layers: readonly Digest[],
  above?: { parent: ImageId | undefined; manifest: Uint8Array },
): ImageId[] {
  const ids: ImageId[] = [];
  for (const layer of layers) {
    const parent = ids.at(-1) ?? above?.parent;
    const hash = createHash('sha256').update(parent ? `${parent} ${layer}` : layer);
    if (above && ids.length === 0) hash.update('\n').update(above.manifest);
    ids.push(hash.digest('hex') as ImageId);
  }
  return ids;
}

/** The children of an index that v1 may show, the first that is an image: that for linux/amd64, which was all there was, else as listed. */
export function projectedChildren(children: readonly IndexChild[]): IndexChild[] {
  const images = children.filter(({ platform, isAttestation }) => !isAttestation && platform !== 'unknown/unknown');
  const preferred = images.find(({ platform }) => platform === 'linux/amd64');
  return preferred ? [preferred, ...images.filter((child) => child !== preferred)] : images;
}

const IMAGE_CONFIGS: readonly string[] = [MEDIA_TYPES.dockerConfig, MEDIA_TYPES.ociConfig];

/** Tars, as they are or packed; encrypted ones have a suffix more. */
const IMAGE_LAYER =
  /^application\/vnd\.(?:oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+(?:gzip|zstd))?|docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.(?:gzip|zstd))?)$/;

/**
 * Whether a manifest is that of an image that is run; v1 knows nothing else. Signatures and attestations may have the config
 * of an image, but not its layers.
 */
export function isImage({ config, layers, artifactType }: ManifestDocument): boolean {
  if (!config || !IMAGE_CONFIGS.includes(config.mediaType) || artifactType !== config.mediaType) return false;
  return layers.length > 0 && layers.every(({ mediaType }) => IMAGE_LAYER.test(mediaType));
}
