// How a v2 image looks to v1: a chain of images with one layer each. Images with the same base layers share the images of
// that base.
import { createHash } from 'node:crypto';
import type { JsonObject } from '../json.ts';
import type { Digest, ImageId } from '../names.ts';
import { canonicalJson } from './canonical-json.ts';
import type { Descriptor, IndexChild } from './manifest-document.ts';

/** One image of the chain. */
export type ViewedImage = {
  id: ImageId;
  /** The image's JSON, as a v1 client gets it. */
  json: string;
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
 * Pure: the same ids give the same images for ever.
 * @param ids of the images, base first
 * @param layers as many
 */
export function viewOf(ids: readonly ImageId[], config: JsonObject, layers: readonly Descriptor[]): ViewedImage[] {
  const images: ViewedImage[] = [];
  let ancestry: ImageId[] = [];
  for (const [index, layer] of layers.entries()) {
    const id = ids[index];
    if (id === undefined) throw new Error(`no id for layer ${layer.digest}`);
    const isTop = index === layers.length - 1;
    const parent = ancestry[0];
    ancestry = [id, ...ancestry];
    // Docker 1.10 and newer sent as little for images below the top: nothing in them may depend on who made them.
    const json = { ...(isTop ? topOf(config) : {}), id, ...(parent && { parent }) };
    images.push({ id, json: canonicalJson(json), ancestry, layer });
  }
  return images;
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

/** The child of an index that v1 shows: that for linux/amd64, which was all there was, else the first. */
export function shownChild(children: readonly IndexChild[]): IndexChild | undefined {
  return children.find(({ platform }) => platform === 'linux/amd64') ?? children[0];
}
